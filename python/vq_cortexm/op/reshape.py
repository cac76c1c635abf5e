"""`vq.reshape`: the same values in another shape."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt


def output_shape(x_shape: tuple[int, ...], attrs: ReshapeAttrs) -> tuple[int, ...]:
    """attrs.shape, its -1 resolved; ValueError where the number of elements differs."""
    size = math.prod(x_shape)
    known = math.prod(n for n in attrs.shape if n != -1)
    shape = tuple(size // known if n == -1 and known else n for n in attrs.shape)
    if math.prod(shape) != size:
        raise ValueError(f"reshape: {x_shape} has {size} elements, {attrs.shape} does not fit them")
    return shape


def reference(x: npt.NDArray[Any], attrs: ReshapeAttrs) -> npt.NDArray[Any]:
    """x, of any dtype, in the new shape (row-major)."""
    return x.reshape(output_shape(x.shape, attrs))


@dataclass(frozen=True)
class ReshapeAttrs:
    """shape holds sizes of at least 1, and at most one -1 that follows from the others."""

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.shape.count(-1) > 1 or any(n < 1 and n != -1 for n in self.shape):
            raise ValueError(
                f"reshape: sizes of {self.shape} must be at least 1, at most one of them -1"
            )
