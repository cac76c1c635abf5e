"""`vq.binary_max_pool2d`: the largest of -1 and +1 in each window, an OR of words (see `bits`);
padding is not looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .bits import check_packed
from .window import output_extent, pad_spatial, windows


def output_shape(
    x_shape: tuple[int, ...], attrs: BinaryMaxPool2dAttrs
) -> tuple[int, int, int, int]:
    """(N, OH, OW, words) for x (N, H, W, words)."""
    n, h, w, size = x_shape
    oh, ow = output_extent(
        "binary_max_pool2d", (h, w), attrs.pool_size, attrs.strides, attrs.padding
    )
    return n, oh, ow, size


def reference(x: npt.NDArray[np.int32], attrs: BinaryMaxPool2dAttrs) -> npt.NDArray[np.int32]:
    """The maxima, packed, for x (N, H, W, words) int32."""
    check_packed("binary_max_pool2d", x, attrs.channels)
    output_shape(x.shape, attrs)
    view = windows(pad_spatial(x, attrs.padding, 0), attrs.pool_size, attrs.strides)
    return np.asarray(np.bitwise_or.reduce(view, axis=(3, 4)), np.int32)


@dataclass(frozen=True)
class BinaryMaxPool2dAttrs:
    """padding is (top, left, bottom, right); a window must not lie in it alone."""

    channels: int
    pool_size: tuple[int, int]
    strides: tuple[int, int]
    padding: tuple[int, int, int, int]
    y_dtype: str = "int32"

    def __post_init__(self) -> None:
        tall, wide = self.pool_size
        top, left, bottom, right = self.padding
        if max(top, bottom) >= tall or max(left, right) >= wide:
            raise ValueError(
                f"binary_max_pool2d: padding {self.padding} must be less than {self.pool_size}"
            )
