"""`vq.depthwise_conv2d`: each output channel sees one input channel."""

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
from .rounding import Int64Array, RequantizeConstants, requantize, requantize_constants
from .window import output_extent, pad_spatial, windows


def output_shape(
    x_shape: tuple[int, ...], w_shape: tuple[int, ...], attrs: DepthwiseConv2dAttrs
) -> tuple[int, int, int, int]:
    """(N, OH, OW, C * M) for x (N, H, W, C) and w (KH, KW, C * M); ValueError on a mismatch."""
    n, h, w, c = x_shape
    kh, kw, o = w_shape
    if o % c:
        raise ValueError(f"depthwise_conv2d: weights {w_shape} do not fit an input {x_shape}")
    oh, ow = output_extent(
        "depthwise_conv2d", (h, w), (kh, kw), attrs.strides, attrs.padding, attrs.dilation
    )
    return n, oh, ow, o


def macs(x_shape: tuple[int, ...], w_shape: tuple[int, ...], attrs: DepthwiseConv2dAttrs) -> int:
    """Multiplications of the layer, padding included."""
    n, oh, ow, o = output_shape(x_shape, w_shape, attrs)
    return n * oh * ow * o * w_shape[0] * w_shape[1]


def constants(w_scale: npt.NDArray[np.float32], attrs: DepthwiseConv2dAttrs) -> RequantizeConstants:
    """The requantization of each output channel, shape (C * M,)."""
    return requantize_constants(attrs.x_scale, w_scale, attrs.y_scale, attrs.rounding)


def accumulate(
    x: npt.NDArray[Any], w: npt.NDArray[np.int8], bias: Int64Array, attrs: DepthwiseConv2dAttrs
) -> Int64Array:
    """bias + sum((x - x_zero_point) * w), int64 (N, OH, OW, C * M); padding counts as zero."""
    kh, kw, o = w.shape
    shape = output_shape(x.shape, w.shape, attrs)
    centred = pad_spatial(x.astype(np.int64) - attrs.x_zero_point, attrs.padding, 0)
    # Output channel c * M + m reads input channel c.
    spread = np.repeat(centred, o // x.shape[3], axis=3)
    view = windows(spread, (kh, kw), attrs.strides, attrs.dilation)
    acc = np.broadcast_to(bias, shape).copy()
    for i in range(kh):
        for j in range(kw):
            acc += view[:, :, :, i, j] * w[i, j].astype(np.int64)
    return acc


def reference(
    x: npt.NDArray[Any],
    w: npt.NDArray[np.int8],
    b: npt.NDArray[Any] | None,
    w_scale: npt.NDArray[np.float32],
    attrs: DepthwiseConv2dAttrs,
) -> npt.NDArray[Any]:
    """The layer's output, (N, OH, OW, C * M) of y_dtype.

    x: (N, H, W, C) int8, uint8 or int16; w: (KH, KW, C * M) int8, zero point 0; b: (C * M,) int32
    (int64 beside int16) or None; w_scale: (C * M,) float32. Raises ValueError on shapes that do not
    fit and on accumulators beyond int32 (48 bits of int16 with `single`).
    """
    check_activation("depthwise_conv2d", "x", x, rank=4)
    bias, scales = channel_parameters("depthwise_conv2d", w.shape[2], b, w_scale)
    acc = accumulate(x, w, bias, attrs)
    scaled = requantize(acc, constants(scales, attrs), is_wide(x))
    return to_output(scaled, attrs.y_zero_point, attrs.y_min, attrs.y_max, attrs.y_dtype)


@dataclass(frozen=True)
class DepthwiseConv2dAttrs:
    """padding is (top, left, bottom, right), its value x_zero_point.

    The channel multiplier M follows from the shapes. [y_min, y_max] is the fused activation's
    clamp in the output's integers. Raises ValueError on values out of range.
    """

    strides: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilation: tuple[int, int]
    x_scale: float
    x_zero_point: int
    y_scale: float
    y_zero_point: int
    y_min: int
    y_max: int
    rounding: str = "single"
    y_dtype: str = "int8"

    def __post_init__(self) -> None:
        check_requantizing("depthwise_conv2d", self)
