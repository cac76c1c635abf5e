"""`vq.s_curve`: sigmoid or tanh of int16, TensorFlow Lite's, in every rounding.

tanh(x) = 2 sigmoid(2 x) - 1: both read one table of the sigmoid at i / 24, i in [0, 256), between
whose entries lie 512 steps of the input, or 256 for tanh. LiteRT computes the scale 2**-12 in
another way, which is not followed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from .quantization import check_scale
from .rounding import Int64Array

Function: TypeAlias = Literal["sigmoid", "tanh"]

Y_SCALE = 2.0**-15
ENTRIES = 256
_FACTOR_BITS = 15
_STEPS_PER_UNIT = 3 * 4096
"""Of the input that the table is for: 24 entries of 512 steps."""


def output_shape(x_shape: tuple[int, ...], attrs: SCurveAttrs) -> tuple[int, ...]:
    """The input's shape."""
    return tuple(x_shape)


def table() -> npt.NDArray[np.uint16]:
    """2**16 sigmoid(i / 24), each above the curve by half of what the chord to the next lacks in
    the middle; the last is what tanh goes on with."""
    i = np.arange(ENTRIES)
    at, middle, end = (1 / (1 + np.exp(-(i + part) / 24)) for part in (0.0, 0.5, 1.0))
    raised = at + (middle - (at + end) / 2) / 2
    entries = np.rint(65536 * raised).astype(np.uint16)
    entries[-1] = 65535
    return entries


def factor(attrs: SCurveAttrs) -> tuple[int, int]:
    """`(multiplier, shift)`: x is (x * multiplier + half) >> shift steps; of 15 bits, 0 to 31."""
    multiplier, shift = float(np.float32(attrs.x_scale)) * _STEPS_PER_UNIT, 0
    while multiplier < 1 << (_FACTOR_BITS - 1) and shift < 31:
        multiplier, shift = 2 * multiplier, shift + 1
    return int(multiplier), shift


def reference(x: npt.NDArray[Any], attrs: SCurveAttrs) -> npt.NDArray[np.int16]:
    """The function of x, int16 of scale x_scale, as int16 of scale 2**-15."""
    if x.dtype != np.int16:
        raise ValueError(f"s_curve: x is {x.dtype.name}, must be int16")
    multiplier, shift = factor(attrs)
    steps = (x.astype(np.int64) * multiplier + ((1 << shift) >> 1)) >> shift
    return from_steps(steps, attrs).astype(np.int16)


def from_steps(steps: Int64Array, attrs: SCurveAttrs) -> Int64Array:
    """The output for inputs in steps, whose scale is that of `table`."""
    entries, bits = table().astype(np.int64), step_bits(attrs)
    magnitude = np.abs(steps)
    index = np.minimum(magnitude >> bits, ENTRIES - 2)
    between = magnitude & ((1 << bits) - 1)
    curve = (entries[index] << bits) + between * (entries[index + 1] - entries[index])
    curve = np.where(magnitude >> bits >= ENTRIES - 1, largest(attrs), curve)
    curve = np.where(steps < 0, (1 << (16 + bits)) - 1 - curve, curve)
    offset, shift = ending(attrs)
    return np.asarray((curve + offset) >> shift, dtype=np.int64)


def step_bits(attrs: SCurveAttrs) -> int:
    """Of the steps between two entries of the table."""
    return 9 if attrs.function == "sigmoid" else 8


def largest(attrs: SCurveAttrs) -> int:
    """What stands for the curve beyond the table."""
    return 65534 << 9 if attrs.function == "sigmoid" else 65535 << 8


def ending(attrs: SCurveAttrs) -> tuple[int, int]:
    """`(offset, shift)`: y = (curve + offset) >> shift."""
    return (1 << 9, 10) if attrs.function == "sigmoid" else ((1 << 7) - (1 << 23), 8)


@dataclass(frozen=True)
class SCurveAttrs:
    """x_scale is at most 2; both sides are int16 with zero point 0."""

    function: Function
    x_scale: float
    y_dtype: str = "int16"

    def __post_init__(self) -> None:
        if self.function not in get_args(Function) or self.y_dtype != "int16":
            raise ValueError(
                f"s_curve: {self.function} as {self.y_dtype} must be sigmoid or tanh, and int16"
            )
        check_scale("s_curve", "x_scale", self.x_scale)
        if self.x_scale > 2:
            raise ValueError(f"s_curve: x_scale {self.x_scale} must be at most 2")
