"""`vq.slice`: the elements at regular steps along each axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


def output_shape(x_shape: tuple[int, ...], attrs: SliceAttrs) -> tuple[int, ...]:
    """attrs.size; ValueError where the slice leaves the tensor."""
    if len(x_shape) != len(attrs.size):
        raise ValueError(f"slice: sizes {attrs.size} do not fit a shape {x_shape}")
    for length, begin, stride, size in zip(
        x_shape, attrs.begin, attrs.strides, attrs.size, strict=True
    ):
        if not (0 <= begin < length and 0 <= begin + (size - 1) * stride < length):
            raise ValueError(
                f"slice: {size} elements from {begin} on with stride {stride} leave an axis of"
                f" {length}"
            )
    return attrs.size


def reference(x: npt.NDArray[Any], attrs: SliceAttrs) -> npt.NDArray[Any]:
    """The elements of x, of any dtype."""
    output_shape(x.shape, attrs)
    axes = zip(attrs.begin, attrs.strides, attrs.size, strict=True)
    return x[np.ix_(*(begin + stride * np.arange(size) for begin, stride, size in axes))]


@dataclass(frozen=True)
class SliceAttrs:
    """For each axis: the first index, the step to the next (negative: backwards, not 0) and the
    number of elements, at least 1."""

    begin: tuple[int, ...]
    strides: tuple[int, ...]
    size: tuple[int, ...]

    def __post_init__(self) -> None:
        if not len(self.begin) == len(self.strides) == len(self.size):
            raise ValueError(
                f"slice: begin {self.begin}, strides {self.strides} and size {self.size} must be of"
                " one length"
            )
        if min(self.size, default=1) < 1 or 0 in self.strides:
            raise ValueError(
                f"slice: sizes {self.size} must be at least 1, strides {self.strides} not 0"
            )
