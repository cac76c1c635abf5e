"""`vq.max_pool2d`: the largest element of each window; padding is not looked at.

Input and output share scale and zero point, so every rounding is the same.
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
    dtype_range,
    to_output,
)
from .window import output_extent, pad_spatial, windows


def output_shape(x_shape: tuple[int, ...], attrs: MaxPool2dAttrs) -> tuple[int, int, int, int]:
    """(N, OH, OW, C) for x (N, H, W, C)."""
    n, h, w, c = x_shape
    oh, ow = output_extent(
        "max_pool2d", (h, w), attrs.pool_size, attrs.strides, attrs.padding, attrs.dilation
    )
    return n, oh, ow, c


def reference(x: npt.NDArray[Any], attrs: MaxPool2dAttrs) -> npt.NDArray[Any]:
    """The maxima, (N, OH, OW, C) of y_dtype, for x (N, H, W, C) of the same dtype."""
    check_activation("max_pool2d", "x", x, rank=4)
    if x.dtype.name != attrs.y_dtype:
        raise ValueError(f"max_pool2d: x is {x.dtype.name}, y {attrs.y_dtype}; requantize first")
    output_shape(x.shape, attrs)
    lowest, _ = dtype_range(attrs.y_dtype)
    padded = pad_spatial(x, attrs.padding, lowest)
    view = windows(padded, attrs.pool_size, attrs.strides, attrs.dilation)
    best = view.max(axis=(3, 4)).astype(np.int64)
    return to_output(best, 0, attrs.y_min, attrs.y_max, attrs.y_dtype)


@dataclass(frozen=True)
class MaxPool2dAttrs:
    """padding is (top, left, bottom, right); [y_min, y_max] clamps the output's integers.

    Raises ValueError where input and output differ in scale or zero point.
    """

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
    dilation: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        op = "max_pool2d"
        check_scale(op, "x_scale", self.x_scale)
        check_output(op, self.rounding, self.y_dtype, self.y_zero_point, self.y_min, self.y_max)
        if (self.x_scale, self.x_zero_point) != (self.y_scale, self.y_zero_point):
            raise ValueError(
                f"max_pool2d: input scale {self.x_scale}, zero point {self.x_zero_point} differ"
                f" from the output's {self.y_scale}, {self.y_zero_point}; requantize after it"
            )
