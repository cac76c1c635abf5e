"""Sliding windows over NHWC tensors, shared by convolutions and pooling."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

Scalar = TypeVar("Scalar", bound=np.generic)


def output_extent(
    op: str,
    spatial: tuple[int, int],
    kernel: tuple[int, int],
    strides: tuple[int, int],
    padding: tuple[int, int, int, int],
    dilation: tuple[int, int] = (1, 1),
) -> tuple[int, int]:
    """Rows and columns of the output; padding is (top, left, bottom, right).

    Raises ValueError where a stride, dilation or padding is out of range or no window fits.
    """
    if min(strides) < 1 or min(dilation) < 1 or min(padding) < 0 or min(kernel) < 1:
        raise ValueError(
            f"{op}: kernel {kernel}, strides {strides} and dilation {dilation} must be at least 1,"
            f" padding {padding} at least 0"
        )
    padded = (spatial[0] + padding[0] + padding[2], spatial[1] + padding[1] + padding[3])
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    if padded[0] < reach[0] or padded[1] < reach[1]:
        raise ValueError(f"{op}: a kernel of {tuple(reach)} exceeds the padded input {padded}")
    return (padded[0] - reach[0]) // strides[0] + 1, (padded[1] - reach[1]) // strides[1] + 1


def pad_spatial(
    x: npt.NDArray[Scalar], padding: tuple[int, int, int, int], fill: int
) -> npt.NDArray[Scalar]:
    """x with (top, left, bottom, right) rows and columns of `fill` around."""
    top, left, bottom, right = padding
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill)


def windows(
    padded: npt.NDArray[Scalar],
    kernel: tuple[int, int],
    strides: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> npt.NDArray[Scalar]:
    """A view of shape (N, OH, OW, KH, KW, C): what the kernel sees at each output."""
    reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
    view = sliding_window_view(padded, reach, axis=(1, 2))
    view = view[:, :: strides[0], :: strides[1], :, :: dilation[0], :: dilation[1]]
    return view.transpose(0, 1, 2, 4, 5, 3)
