"""`vq.conv2d`: 2-D convolution, optionally grouped, with per-channel requantization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .quantization import (
    channel_parameters,
    check_activation,
    check_requantizing,
    is_wide,
    to_output,
)
from .rounding import (
    Int64Array,
    RequantizeConstants,
    requantize,
    requantize_constants,
)
from .window import output_extent, pad_spatial, windows


def output_shape(
    x_shape: tuple[int, ...], w_shape: tuple[int, ...], attrs: Conv2dAttrs
) -> tuple[int, int, int, int]:
    """(N, OH, OW, O) for x (N, H, W, groups * I) and w (O, KH, KW, I); ValueError on a mismatch."""
    n, h, w, c = x_shape
    o, kh, kw, i = w_shape
    if c != attrs.groups * i or o % attrs.groups:
        raise ValueError(
            f"conv2d: {attrs.groups} groups of weights {w_shape} do not fit an input {x_shape}"
        )
    oh, ow = output_extent("conv2d", (h, w), (kh, kw), attrs.strides, attrs.padding, attrs.dilation)
    return n, oh, ow, o


def macs(x_shape: tuple[int, ...], w_shape: tuple[int, ...], attrs: Conv2dAttrs) -> int:
    """Multiplications of the layer, padding included."""
    n, oh, ow, o = output_shape(x_shape, w_shape, attrs)
    return n * oh * ow * o * w_shape[1] * w_shape[2] * w_shape[3]


def constants(w_scale: npt.NDArray[np.float32], attrs: Conv2dAttrs) -> RequantizeConstants:
    """The requantization of each output channel, shape (O,)."""
    return requantize_constants(attrs.x_scale, w_scale, attrs.y_scale, attrs.rounding)


def accumulate(
    x: npt.NDArray[Any], w: npt.NDArray[np.int8], bias: Int64Array, attrs: Conv2dAttrs
) -> Int64Array:
    """bias + sum((x - x_zero_point) * w), int64 (N, OH, OW, O); padding counts as zero."""
    n, oh, ow, o = output_shape(x.shape, w.shape, attrs)
    # A float64 product of matrices is exact here: each sum is an integer below 2**53.
    centred = pad_spatial(x.astype(np.float64) - attrs.x_zero_point, attrs.padding, 0)
    view = windows(centred, (w.shape[1], w.shape[2]), attrs.strides, attrs.dilation)
    parts = []
    for x_group, w_group in zip(
        np.split(view, attrs.groups, axis=-1), np.split(w, attrs.groups, axis=0), strict=True
    ):
        columns = x_group.reshape(n * oh * ow, -1)
        parts.append(columns @ w_group.reshape(o // attrs.groups, -1).T.astype(np.float64))
    sums = np.concatenate(parts, axis=1).astype(np.int64).reshape(n, oh, ow, o)
    return np.asarray(sums + bias, dtype=np.int64)


def reference(
    x: npt.NDArray[Any],
    w: npt.NDArray[np.int8],
    b: npt.NDArray[Any] | None,
    w_scale: npt.NDArray[np.float32],
    attrs: Conv2dAttrs,
) -> npt.NDArray[Any]:
    """The layer's output, (N, OH, OW, O) of y_dtype.

    x: (N, H, W, C) int8, uint8 or int16; w: (O, KH, KW, C / groups) int8, zero point 0; b: (O,)
    int32 (int64 beside int16) or None; w_scale: (O,) float32. Raises ValueError on shapes that do
    not fit and on accumulators beyond int32 (48 bits of int16 with `single`).
    """
    check_activation("conv2d", "x", x, rank=4)
    bias, scales = channel_parameters("conv2d", w.shape[0], b, w_scale)
    acc = accumulate(x, w, bias, attrs)
    scaled = requantize(acc, constants(scales, attrs), is_wide(x))
    return to_output(scaled, attrs.y_zero_point, attrs.y_min, attrs.y_max, attrs.y_dtype)


@dataclass(frozen=True)
class Conv2dAttrs:
    """padding is (top, left, bottom, right), its value x_zero_point.

    [y_min, y_max] is the fused activation's clamp in the output's integers, at most y_dtype's
    range. Raises ValueError on values out of range.
    """

    strides: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilation: tuple[int, int]
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
        if self.groups < 1:
            raise ValueError(f"conv2d: groups {self.groups} must be at least 1")
        check_requantizing("conv2d", self)
