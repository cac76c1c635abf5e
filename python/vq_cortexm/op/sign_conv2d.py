"""`vq.sign_conv2d`: the signs of an 8-bit convolution, packed (see `bits`).

    sum[o] = Σ (x - x_zero_point) w        over the window; padding counts as zero
    y[o]   = +1 where sum[o] >= threshold[o], else -1

The first layer of a binary net: of what its sums are rescaled to, only the sign is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import conv2d
from .bits import pack, words
from .conv2d import Conv2dAttrs
from .quantization import check_activation


def output_shape(
    x_shape: tuple[int, ...], w_shape: tuple[int, ...], attrs: SignConv2dAttrs
) -> tuple[int, int, int, int]:
    """(N, OH, OW, words(O)) for x (N, H, W, C) and w (O, KH, KW, C); ValueError on a mismatch."""
    n, oh, ow, o = conv2d.output_shape(x_shape, w_shape, attrs.convolution)
    return n, oh, ow, words(o)


def macs(x_shape: tuple[int, ...], w_shape: tuple[int, ...], attrs: SignConv2dAttrs) -> int:
    """Multiplications of the layer, padding included."""
    return conv2d.macs(x_shape, w_shape, attrs.convolution)


def reference(
    x: npt.NDArray[Any],
    w: npt.NDArray[np.int8],
    threshold: npt.NDArray[np.int32],
    attrs: SignConv2dAttrs,
) -> npt.NDArray[np.int32]:
    """(N, OH, OW, words(O)) int32 from x (N, H, W, C) int8 or uint8, w (O, KH, KW, C) int8 and one
    threshold an output channel, (O,) int32. Raises ValueError on shapes that do not fit."""
    check_activation("sign_conv2d", "x", x, rank=4)
    if threshold.shape != (w.shape[0],):
        raise ValueError(
            f"sign_conv2d: thresholds {threshold.shape} must have shape ({w.shape[0]},)"
        )
    nothing = np.zeros(w.shape[0], np.int64)
    return pack(conv2d.accumulate(x, w, nothing, attrs.convolution) >= threshold)


@dataclass(frozen=True)
class SignConv2dAttrs:
    """padding is (top, left, bottom, right), its value x_zero_point."""

    strides: tuple[int, int]
    padding: tuple[int, int, int, int]
    x_zero_point: int
    y_dtype: str = "int32"

    @property
    def convolution(self) -> Conv2dAttrs:
        """Of the sums."""
        return Conv2dAttrs(
            self.strides, self.padding, (1, 1), 1, 1.0, self.x_zero_point, 1.0, 0, -128, 127
        )
