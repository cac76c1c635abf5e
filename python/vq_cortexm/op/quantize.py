"""`vq.quantize`: float32 to integers, where a model takes real numbers or computes in them.

    y = clamp(round(x / y_scale) + y_zero_point), each step float32

`single`  x times float32(1 / y_scale), halves to even: one product an element. LiteRT's default
          back end does the same.
`double`  the quotient, halves away from zero: TensorFlow Lite Micro's QUANTIZE.
`float`   the quotient, halves to even: ONNX's QuantizeLinear; or with `reciprocal` the arithmetic
          of `single`.

What is not a number becomes y_min.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .quantization import check_output, check_scale


def output_shape(x_shape: tuple[int, ...], attrs: QuantizeAttrs) -> tuple[int, ...]:
    """The input's shape."""
    return tuple(x_shape)


def reference(x: npt.NDArray[Any], attrs: QuantizeAttrs) -> npt.NDArray[Any]:
    """x, float32 of any shape, as y_dtype."""
    if x.dtype != np.float32:
        raise ValueError(f"quantize: x is {x.dtype.name}, must be float32")
    with np.errstate(all="ignore"):
        steps = x * attrs.inverse if attrs.multiplies else x / np.float32(attrs.y_scale)
    low, high = (np.float32(end) for end in attrs.bounds)
    steps = np.where(steps > low, steps, low)
    steps = np.where(steps < high, steps, high)
    whole = np.trunc(steps)
    if attrs.rounding == "double":
        rounded = whole + np.where(np.abs(steps - whole) >= 0.5, np.sign(steps), 0)
    else:
        rounded = np.rint(steps)
    return np.asarray(rounded.astype(np.int64) + attrs.y_zero_point, dtype=attrs.y_dtype)


@dataclass(frozen=True)
class QuantizeAttrs:
    """[y_min, y_max] is the clamp in the output's integers: an activation, or y_dtype's range."""

    y_scale: float
    y_zero_point: int
    y_min: int
    y_max: int
    rounding: str = "single"
    y_dtype: str = "int8"
    reciprocal: bool = False

    def __post_init__(self) -> None:
        op = "quantize"
        check_scale(op, "y_scale", self.y_scale)
        check_output(op, self.rounding, self.y_dtype, self.y_zero_point, self.y_min, self.y_max)
        if not np.isfinite(self.inverse):
            raise ValueError(f"{op}: y_scale {self.y_scale} has no float32 reciprocal")

    @property
    def multiplies(self) -> bool:
        """Whether x is multiplied by the scale's reciprocal rather than divided by the scale."""
        return self.rounding == "single" or (self.rounding == "float" and self.reciprocal)

    @property
    def inverse(self) -> np.float32:
        """The scale's reciprocal, rounded to float32."""
        with np.errstate(all="ignore"):
            return np.float32(1) / np.float32(self.y_scale)

    @property
    def bounds(self) -> tuple[int, int]:
        """The clamp before the zero point is added."""
        return self.y_min - self.y_zero_point, self.y_max - self.y_zero_point
