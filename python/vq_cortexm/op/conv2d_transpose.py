"""`vq.conv2d_transpose`: each input pixel adds its weighted kernel to the output, at steps of the
strides; with per-channel requantization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .quantization import (
    channel_parameters,
    check_activation,
    check_requantizing,
    to_output,
)
from .rounding import Int64Array, RequantizeConstants, requantize, requantize_constants


def output_shape(
    x_shape: tuple[int, ...], w_shape: tuple[int, ...], attrs: Conv2dTransposeAttrs
) -> tuple[int, int, int, int]:
    """(N, OH, OW, O) for x (N, H, W, groups * I) and w (O, KH, KW, I); ValueError on a mismatch."""
    n, *spatial, c = x_shape
    o, *kernel, i = w_shape
    if c != attrs.groups * i or o % attrs.groups:
        raise ValueError(
            f"conv2d_transpose: {attrs.groups} groups of weights {w_shape} do not fit an input"
            f" {x_shape}"
        )
    oh, ow = (
        (spatial[axis] - 1) * attrs.strides[axis]
        + kernel[axis]
        - attrs.padding[axis]
        - attrs.padding[axis + 2]
        + attrs.output_padding[axis]
        for axis in range(2)
    )
    if min(oh, ow) < 1:
        raise ValueError(f"conv2d_transpose: padding {attrs.padding} leaves nothing of the output")
    return n, oh, ow, o


def macs(x_shape: tuple[int, ...], w_shape: tuple[int, ...], attrs: Conv2dTransposeAttrs) -> int:
    """Multiplications of the layer, those that the padding cuts off included."""
    n, h, w, _ = x_shape
    return n * h * w * int(np.prod(w_shape))


def constants(w_scale: npt.NDArray[np.float32], attrs: Conv2dTransposeAttrs) -> RequantizeConstants:
    """The requantization of each output channel, shape (O,)."""
    return requantize_constants(attrs.x_scale, w_scale, attrs.y_scale, attrs.rounding)


def accumulate(
    x: npt.NDArray[Any], w: npt.NDArray[np.int8], bias: Int64Array, attrs: Conv2dTransposeAttrs
) -> Int64Array:
    """bias + sum((x - x_zero_point) * w), int64 (N, OH, OW, O)."""
    n, oh, ow, o = output_shape(x.shape, w.shape, attrs)
    _, kh, kw, depth = w.shape
    _, h, width, _ = x.shape
    (sh, sw), (top, left, _, _) = attrs.strides, attrs.padding
    # a float64 product of matrices is exact here: each sum is an integer below 2**53
    pixels = (x.astype(np.float64) - attrs.x_zero_point).reshape(n, h, width, attrs.groups, depth)
    by_group = w.astype(np.float64).reshape(attrs.groups, o // attrs.groups, kh, kw, depth)
    rows, columns = max((h - 1) * sh + kh, top + oh), max((width - 1) * sw + kw, left + ow)
    whole = np.zeros((n, rows, columns, o))
    for i in range(kh):
        for j in range(kw):
            products = np.einsum("nhwgd,god->nhwgo", pixels, by_group[:, :, i, j])
            rows_hit, columns_hit = slice(i, i + (h - 1) * sh + 1, sh), slice(j, None, sw)
            whole[:, rows_hit, columns_hit][:, :, :width] += products.reshape(n, h, width, o)
    cut = whole[:, top : top + oh, left : left + ow]
    return np.asarray(cut.astype(np.int64) + bias, dtype=np.int64)


def reference(
    x: npt.NDArray[Any],
    w: npt.NDArray[np.int8],
    b: npt.NDArray[np.int32] | None,
    w_scale: npt.NDArray[np.float32],
    attrs: Conv2dTransposeAttrs,
) -> npt.NDArray[Any]:
    """The layer's output, (N, OH, OW, O) of y_dtype.

    x: (N, H, W, C) int8 or uint8; w: (O, KH, KW, C / groups) int8, zero point 0; b: (O,) int32 or
    None; w_scale: (O,) float32. Raises ValueError on shapes that do not fit and on accumulators
    beyond int32.
    """
    check_activation("conv2d_transpose", "x", x, rank=4)
    bias, scales = channel_parameters("conv2d_transpose", w.shape[0], b, w_scale)
    scaled = requantize(accumulate(x, w, bias, attrs), constants(scales, attrs))
    return to_output(scaled, attrs.y_zero_point, attrs.y_min, attrs.y_max, attrs.y_dtype)


@dataclass(frozen=True)
class Conv2dTransposeAttrs:
    """padding, (top, left, bottom, right), is cut off; output_padding, (rows, columns), is added at
    the bottom and right, where no input may reach: a pixel of bias alone.

    [y_min, y_max] is the fused activation's clamp in the output's integers. Raises ValueError on
    values out of range.
    """

    strides: tuple[int, int]
    padding: tuple[int, int, int, int]
    output_padding: tuple[int, int]
    groups: int
    x_scale: float
    x_zero_point: int
    y_scale: float
    y_zero_point: int
    y_min: int
    y_max: int
    rounding: str = "single"
    y_dtype: str = "int8"

    def __post_init__(self) -> None:
        op = "conv2d_transpose"
        if min(self.groups, *self.strides) < 1 or min(*self.padding, *self.output_padding) < 0:
            raise ValueError(
                f"{op}: groups {self.groups} and strides {self.strides} must be at least 1, padding"
                f" {self.padding} and output_padding {self.output_padding} at least 0"
            )
        check_requantizing(op, self)
