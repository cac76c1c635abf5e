"""The softmax of int16 over the last axis: TensorFlow Lite's, by two tables of straight pieces.

A row's exponentials are e = exp(beta * x_scale * (x - max)) from a table over [-10, 0]; their sum s
is shifted to [1, 2), and y = e / s with 1 / s from a table over [0, 1]. `double` has TensorFlow
Lite Micro's tables, computed in float32, the others LiteRT's, in float64: few entries differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .interpolation import interpolate, piecewise
from .rounding import Int64Array, RequantizeConstants, fixed_point, requantize

Y_SCALE = 2.0**-15
_STEPS = 65535
_LONGEST_AXIS = (1 << 16) - 1
_LOWEST_EXPONENT = 10.0


def int16_constants(length: int, beta: float, x_scale: float, rounding: str) -> Int16Softmax:
    """What a kernel needs for rows of `length` elements."""
    if not 1 <= length <= _LONGEST_AXIS:
        raise ValueError(f"softmax: an axis of {length} must be in [1, {_LONGEST_AXIS}]")
    real: Any = np.float32 if rounding == "double" else np.float64
    # both functions' inputs are float32 steps away from the end that is exact
    exponent_step = np.float32(_LOWEST_EXPONENT) / np.float32(_STEPS)
    sum_step = np.float32(1) / np.float32(_STEPS)
    y_scale = real(np.float32(2) / np.float32(_STEPS))
    y_unit = (y_scale * real(32767) - y_scale * real(-32768)) / real(_STEPS + 1)
    lowest = real(exponent_step) * real(-_STEPS)
    exponentials = piecewise(np.exp, lowest, real(0), y_unit)
    highest = real(sum_step) * real(_STEPS)
    reciprocals = piecewise(lambda v: real(1) / (real(1) + v), real(0), highest, y_unit)
    scale = float(np.float32(x_scale)) * float(np.float32(beta)) / (_LOWEST_EXPONENT / _STEPS)
    return Int16Softmax(exponentials, reciprocals, fixed_point(scale, "double"))


def int16_softmax(rows: Int64Array, known: Int16Softmax) -> Int64Array:
    """The outputs of int16 values, (rows, length), in [0, 32767]."""
    below = rows - rows.max(axis=1, keepdims=True)
    exponents = np.clip(requantize(below, known.scale) + 32767, -32768, 32767)
    exponentials = interpolate(exponents, known.exponentials)
    total = exponentials.sum(axis=1, keepdims=True)
    bits = np.array([int(t).bit_length() for t in total[:, 0]], np.int64)[:, np.newaxis]
    # the sum in [1, 2), of 16 bits behind the point, less one
    fraction = (((total << (31 - bits)) + (1 << 13)) >> 14) - (1 << 16) - (1 << 15)
    factor = interpolate(np.clip(fraction, -32768, 32767), known.reciprocals)
    half = np.int64(1) << (bits - 2)
    return np.asarray(np.clip((exponentials * factor + half) >> (bits - 1), 0, 32767), np.int64)


@dataclass(frozen=True, eq=False)
class Int16Softmax:
    """Both tables, (513,), and what scales differences of x to the first: `double`, shape ()."""

    exponentials: npt.NDArray[np.int16]
    reciprocals: npt.NDArray[np.int16]
    scale: RequantizeConstants
