"""`vq.binary_conv2d`: convolution of -1 and +1 with -1 and +1 (see `bits`), in two forms.

    sum[o] = Σ x w            over the window: K - 2 · (bits that differ) where all K lie inside
    to signs (y_dtype int32)  +1 where sum[o] >= threshold[o], else -1; packed
    to 8 bits                 as `vq.conv2d`, of sum[o] + bias[o], with x_scale 1

A batch norm and a sign behind a convolution are one threshold a channel; where the norm's factor is
negative, the weights have the other sign. A tie, sum = threshold, is +1. A dense layer is a
convolution whose window is the input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .bits import check_packed, pack, unpack, words
from .quantization import channel_parameters, check_output, check_scale, to_output
from .rounding import Int64Array, RequantizeConstants, requantize, requantize_constants
from .window import output_extent, pad_spatial, windows

PAD_VALUES = (-1, 0, 1)


def output_shape(
    x_shape: tuple[int, ...], w_shape: tuple[int, ...], attrs: BinaryConv2dAttrs
) -> tuple[int, int, int, int]:
    """(N, OH, OW, words(O) or O) for x (N, H, W, words(C)) and w (O, KH, KW, words(C))."""
    n, h, w, size = x_shape
    o, kh, kw, depth = w_shape
    if not size == depth == words(attrs.channels):
        raise ValueError(
            f"binary_conv2d: {attrs.channels} channels, weights {w_shape} and an input {x_shape} do"
            " not fit"
        )
    oh, ow = output_extent("binary_conv2d", (h, w), (kh, kw), attrs.strides, attrs.padding)
    return n, oh, ow, words(o) if attrs.to_signs else o


def macs(x_shape: tuple[int, ...], w_shape: tuple[int, ...], attrs: BinaryConv2dAttrs) -> int:
    """Multiplications of the layer, padding included."""
    n, oh, ow, _ = output_shape(x_shape, w_shape, attrs)
    return n * oh * ow * w_shape[0] * w_shape[1] * w_shape[2] * attrs.channels


def constants(w_scale: npt.NDArray[np.float32], attrs: BinaryConv2dAttrs) -> RequantizeConstants:
    """The requantization of each output channel, shape (O,)."""
    return requantize_constants(attrs.x_scale, w_scale, attrs.y_scale, attrs.rounding)


def accumulate(
    x: npt.NDArray[np.int32], w: npt.NDArray[np.int32], attrs: BinaryConv2dAttrs
) -> Int64Array:
    """The sums, int64 (N, OH, OW, O)."""
    check_packed("binary_conv2d", x, attrs.channels)
    output_shape(x.shape, w.shape, attrs)
    signs = unpack(x, attrs.channels).astype(np.float64)
    padded = pad_spatial(signs, attrs.padding, attrs.pad_value)
    view = windows(padded, (w.shape[1], w.shape[2]), attrs.strides)
    columns = view.reshape(*view.shape[:3], -1)
    weights = unpack(w, attrs.channels).reshape(w.shape[0], -1).astype(np.float64)
    return np.asarray(columns @ weights.T, np.float64).astype(np.int64)


def reference_signs(
    x: npt.NDArray[np.int32],
    w: npt.NDArray[np.int32],
    threshold: npt.NDArray[np.int32],
    attrs: BinaryConv2dAttrs,
) -> npt.NDArray[np.int32]:
    """(N, OH, OW, words(O)) int32 from x (N, H, W, words(C)), w (O, KH, KW, words(C)) and one
    threshold an output channel, (O,), all int32."""
    if threshold.shape != (w.shape[0],):
        raise ValueError(
            f"binary_conv2d: thresholds {threshold.shape} must have shape ({w.shape[0]},)"
        )
    return pack(accumulate(x, w, attrs) >= threshold)


def reference_8bit(
    x: npt.NDArray[np.int32],
    w: npt.NDArray[np.int32],
    bias: npt.NDArray[np.int32],
    w_scale: npt.NDArray[np.float32],
    attrs: BinaryConv2dAttrs,
) -> npt.NDArray[Any]:
    """(N, OH, OW, O) of y_dtype, with bias (O,) int32 and w_scale (O,) float32."""
    wide, scales = channel_parameters("binary_conv2d", w.shape[0], bias, w_scale)
    scaled = requantize(accumulate(x, w, attrs) + wide, constants(scales, attrs))
    return to_output(scaled, attrs.y_zero_point, attrs.y_min, attrs.y_max, attrs.y_dtype)


def reference(*inputs: Any) -> npt.NDArray[Any]:
    """The one that the arguments are of."""
    return reference_signs(*inputs) if inputs[-1].to_signs else reference_8bit(*inputs)


@dataclass(frozen=True)
class BinaryConv2dAttrs:
    """`channels` of the input; padding is (top, left, bottom, right), its value -1, 0 or +1.

    Scales, zero point and clamp are of 8-bit outputs. Raises ValueError on values out of range.
    """

    channels: int
    strides: tuple[int, int]
    padding: tuple[int, int, int, int]
    pad_value: int
    y_dtype: str
    x_scale: float = 1.0
    y_scale: float = 1.0
    y_zero_point: int = 0
    y_min: int = -1
    y_max: int = 1
    rounding: str = "single"

    @property
    def to_signs(self) -> bool:
        """Whether the output is packed."""
        return self.y_dtype == "int32"

    def __post_init__(self) -> None:
        op = "binary_conv2d"
        if self.pad_value not in PAD_VALUES:
            raise ValueError(f"{op}: pad_value {self.pad_value} must be one of {PAD_VALUES}")
        if not self.to_signs:
            check_scale(op, "x_scale", self.x_scale)
            check_scale(op, "y_scale", self.y_scale)
            check_output(op, self.rounding, self.y_dtype, self.y_zero_point, self.y_min, self.y_max)
