"""Functions of int16 as tables of 512 straight pieces, as TensorFlow Lite makes and reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .rounding import Int64Array

Float = Any
_PIECES = 512
_PIECE_BITS = 7
_LOWEST, _HIGHEST = -(1 << 15), (1 << 15) - 1


def piecewise(
    function: Callable[[Float], Float], low: Float, high: Float, y_scale: Float
) -> npt.NDArray[np.int16]:
    """The values at the ends of all pieces of [low, high], (513,); an integer is y_scale.

    Each is off the curve by half of what the piece that it begins is off it in the middle. All is
    computed in the float type of the arguments: TensorFlow Lite Micro takes float32, LiteRT
    float64.
    """
    real = type(y_scale)
    step = (high - low) / real(_PIECES)
    per_unit = real(1) / y_scale
    values = []
    for piece in range(_PIECES):
        begin = low + real(piece) * step
        value = _round(function(begin) * per_unit)
        middle = _round(function(begin + step / real(2)) * per_unit)
        end = function(low + real(piece + 1) * step) * per_unit
        excess = _round((end + value) / real(2)) - middle
        values.append(value - _round(excess / real(2)))
    values.append(_round(function(high) * per_unit))
    return np.asarray(np.clip(values, _LOWEST, _HIGHEST), np.int16)


def interpolate(x: Int64Array, table: npt.NDArray[np.int16]) -> Int64Array:
    """The function at x, int16 values: between its piece's ends, halves upwards."""
    ends = table.astype(np.int64)
    piece, offset = (x - _LOWEST) >> _PIECE_BITS, x & ((1 << _PIECE_BITS) - 1)
    slope = ends[piece + 1] - ends[piece]
    half = 1 << (_PIECE_BITS - 1)
    return np.asarray(ends[piece] + ((slope * offset + half) >> _PIECE_BITS), dtype=np.int64)


def _round(value: Float) -> Float:
    """Half away from zero, in the value's float type."""
    return np.copysign(np.floor(np.abs(value) + type(value)(0.5)), value)
