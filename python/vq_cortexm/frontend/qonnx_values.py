"""What QONNX's quantizers compute, in float32 as QONNX's own executor does.

    Quant         q = round(clip(x / scale + zero_point, low, high));  y = (q - zero_point) * scale
    BipolarQuant  q = 1 where x >= 0, else -1;                         y = q * scale

`low` and `high` are those of an integer of `bit_width` bits, signed or not; `narrow` takes away
the lowest of a signed and the highest of an unsigned one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..op.quantization import dtype_range

FloatArray = npt.NDArray[np.float32]

EXACT_ROUNDINGS = ("ROUND", "HALF_EVEN")
"""Rounding modes that a layer's output may have."""


def _away(x: Any) -> Any:
    return np.sign(x) * np.ceil(np.abs(x))


def _half_away(x: Any) -> Any:
    return np.sign(x) * np.floor(np.abs(x) + 0.5)


def _half_towards(x: Any) -> Any:
    return np.sign(x) * np.ceil(np.abs(x) - 0.5)


ROUNDINGS: dict[str, Callable[[Any], Any]] = {
    "ROUND": np.rint,
    "HALF_EVEN": np.rint,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "UP": _away,
    "DOWN": np.trunc,
    "HALF_UP": _half_away,
    "HALF_DOWN": _half_towards,
}
"""QONNX's rounding modes: UP and DOWN are away from and towards zero."""


def integer_range(bits: int, signed: bool, narrow: bool) -> tuple[int, int]:
    """The lowest and the highest integer of that many bits."""
    if signed:
        return -(1 << (bits - 1)) + narrow, (1 << (bits - 1)) - 1
    return 0, (1 << bits) - 1 - narrow


@dataclass(frozen=True, eq=False)
class Quantizer:
    """A Quant node's constants; scale and zero point broadcast against what is quantized."""

    scale: FloatArray
    zero_point: FloatArray
    bits: int
    signed: bool
    narrow: bool
    rounding: str

    @property
    def is_bipolar(self) -> bool:
        """Whether it is a BipolarQuant, as which QONNX executes a signed Quant of one bit too."""
        return self.bits == 1 and self.signed

    def constant(self, x: FloatArray) -> QuantizedConstant:
        """A constant tensor, quantized."""
        scaled = x / self.scale + self.zero_point
        if self.is_bipolar:
            q = np.where(scaled >= 0, np.float32(1), np.float32(-1))
        else:
            low, high = integer_range(self.bits, self.signed, self.narrow)
            clipped = np.clip(scaled, np.float32(low), np.float32(high))
            q = ROUNDINGS[self.rounding](clipped)
        centred = np.asarray(q - self.zero_point, np.float32)
        return QuantizedConstant(centred, np.broadcast_to(self.scale, centred.shape))


@dataclass(frozen=True, eq=False)
class QuantizedConstant:
    """value = steps * scale, elementwise: both float32 of one shape. Steps are integers unless the
    zero point was none."""

    steps: FloatArray
    scale: FloatArray

    @property
    def value(self) -> FloatArray:
        """The real numbers, as QONNX computes them."""
        return np.asarray(self.steps * self.scale, np.float32)


@dataclass(frozen=True)
class Format:
    """How an activation is stored: real = scale * (q - zero_point), q of `dtype` within
    [low, high]."""

    scale: float
    zero_point: int
    low: int
    high: int
    dtype: str

    @property
    def is_clipped(self) -> bool:
        """Whether the dtype holds more than the range."""
        return (self.low, self.high) != dtype_range(self.dtype)

    @property
    def unclipped(self) -> Format:
        """The same grid over the dtype's whole range."""
        low, high = dtype_range(self.dtype)
        return replace(self, low=low, high=high)

    @property
    def largest(self) -> int:
        """Of the magnitudes of q - zero_point."""
        return max(abs(self.low - self.zero_point), abs(self.high - self.zero_point))


def activation_format(quantizer: Quantizer) -> Format:
    """The format of a layer's output; ValueError says why there is none, and what works.

    Up to 7 bits are int8, signed or not, so that neighbours agree; 8 unsigned bits are uint8.
    """
    if quantizer.scale.size != 1 or quantizer.zero_point.size != 1:
        raise ValueError("an activation with a scale per channel; one scale for the tensor works")
    if not 1 <= quantizer.bits <= 8:
        raise ValueError(f"an activation of {quantizer.bits} bits; 1 to 8 work")
    if quantizer.rounding not in EXACT_ROUNDINGS:
        raise ValueError(f"an activation of rounding mode {quantizer.rounding}; ROUND works")
    zero_point = float(quantizer.zero_point.reshape(()))
    low, high = integer_range(quantizer.bits, quantizer.signed, quantizer.narrow)
    dtype = "int8" if high <= 127 else "uint8"
    lowest, highest = dtype_range(dtype)
    if zero_point != round(zero_point) or not lowest <= zero_point <= highest:
        raise ValueError(
            f"an activation with zero point {zero_point:g}; an integer from {lowest} to {highest} "
            "works"
        )
    return Format(float(quantizer.scale.reshape(())), int(zero_point), low, high, dtype)
