"""`vq.avg_pool2d`: the mean over windows; padding is not counted.

`single`  sum(x - x_zero_point) requantized by x_scale / (y_scale * count): a depthwise
          convolution whose scale holds 1 / count.
`double`  sum(x) / count, halves away from zero, where both sides have the same scale and zero
          point (TensorFlow Lite's definition, which its two back ends share); elsewhere as
          `single` with the rounding of `double`.
`float`   the same as `double` where both sides agree; elsewhere as `single` with the rounding of
          `float`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .quantization import (
    check_activation,
    check_output,
    check_scale,
    check_zero_point,
    to_output,
)
from .rounding import (
    Int64Array,
    RequantizeConstants,
    check_rounding,
    fixed_point,
    requantize,
)
from .window import output_extent, pad_spatial, windows


def output_shape(x_shape: tuple[int, ...], attrs: AvgPool2dAttrs) -> tuple[int, int, int, int]:
    """(N, OH, OW, C) for x (N, H, W, C)."""
    n, h, w, c = x_shape
    oh, ow = output_extent("avg_pool2d", (h, w), attrs.pool_size, attrs.strides, attrs.padding)
    return n, oh, ow, c


def divides(attrs: AvgPool2dAttrs) -> bool:
    """Whether y is the plain quotient sum(x) / count, halves away from zero; else `constants`."""
    same = np.float32(attrs.x_scale) == np.float32(attrs.y_scale)
    return attrs.rounding != "single" and same and attrs.x_zero_point == attrs.y_zero_point


def constants(count: int, attrs: AvgPool2dAttrs) -> RequantizeConstants:
    """The requantization, of shape (), of sum(x - x_zero_point) over `count` elements."""
    rounding = check_rounding(attrs.rounding)
    x_scale, y_scale = np.float32(attrs.x_scale), np.float32(attrs.y_scale)
    if rounding == "float":
        scale = np.asarray(x_scale / (y_scale * np.float32(count)), dtype=np.float32)
        none = np.empty(0, np.int32)
        return RequantizeConstants(rounding, none, none, scale)
    return fixed_point(float(x_scale) / (float(y_scale) * count), rounding)


def window_counts(x_shape: tuple[int, ...], attrs: AvgPool2dAttrs) -> Int64Array:
    """How many elements of the input each window holds, (OH, OW)."""
    output_shape(x_shape, attrs)
    inside = pad_spatial(np.ones((1, x_shape[1], x_shape[2], 1), np.int64), attrs.padding, 0)
    counts = windows(inside, attrs.pool_size, attrs.strides).sum(axis=(3, 4))[0, :, :, 0]
    return np.asarray(counts, dtype=np.int64)


def reference(x: npt.NDArray[Any], attrs: AvgPool2dAttrs) -> npt.NDArray[Any]:
    """The means, (N, OH, OW, C) of y_dtype, for x (N, H, W, C) int8 or uint8."""
    check_activation("avg_pool2d", "x", x, rank=4)
    counts = window_counts(x.shape, attrs)
    if counts.min() == 0:
        raise ValueError("avg_pool2d: a window lies in the padding alone; pad less than the pool")
    zero_point = 0 if divides(attrs) else attrs.x_zero_point
    centred = pad_spatial(x.astype(np.int64) - zero_point, attrs.padding, 0)
    sums = windows(centred, attrs.pool_size, attrs.strides).sum(axis=(3, 4))
    if divides(attrs):
        rounded = divide_half_away(sums, counts[:, :, None])
        return to_output(rounded, 0, attrs.y_min, attrs.y_max, attrs.y_dtype)
    scaled = np.empty_like(sums)
    for count in np.unique(counts):
        scaled[:, counts == count] = requantize(
            sums[:, counts == count], constants(int(count), attrs)
        )
    return to_output(scaled, attrs.y_zero_point, attrs.y_min, attrs.y_max, attrs.y_dtype)


def divide_half_away(dividend: Int64Array, divisor: Int64Array) -> Int64Array:
    """The quotient rounded to nearest, halves away from zero; divisor > 0."""
    magnitude = (np.abs(dividend) + divisor // 2) // divisor
    return np.where(dividend < 0, -magnitude, magnitude)


@dataclass(frozen=True)
class AvgPool2dAttrs:
    """padding is (top, left, bottom, right); [y_min, y_max] clamps the output's integers."""

    pool_size: tuple[int, int]
    strides: tuple[int, int]
    padding: tuple[int, int, int, int]
    x_scale: float
    x_zero_point: int
    y_scale: float
    y_zero_point: int
    y_min: int
    y_max: int
    rounding: str = "single"
    y_dtype: str = "int8"

    def __post_init__(self) -> None:
        op = "avg_pool2d"
        check_scale(op, "x_scale", self.x_scale)
        check_scale(op, "y_scale", self.y_scale)
        check_zero_point(op, "x_zero_point", self.x_zero_point)
        check_output(op, self.rounding, self.y_dtype, self.y_zero_point, self.y_min, self.y_max)
