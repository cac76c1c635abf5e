"""`vq.transpose`: the same values with their axes in another order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt


def output_shape(x_shape: tuple[int, ...], attrs: TransposeAttrs) -> tuple[int, ...]:
    """Output axis i is input axis axes[i]; ValueError where the ranks differ."""
    if len(x_shape) != len(attrs.axes):
        raise ValueError(f"transpose: axes {attrs.axes} do not fit a shape {x_shape}")
    return tuple(x_shape[axis] for axis in attrs.axes)


def reference(x: npt.NDArray[Any], attrs: TransposeAttrs) -> npt.NDArray[Any]:
    """x, of any dtype, transposed."""
    output_shape(x.shape, attrs)
    return x.transpose(attrs.axes)


@dataclass(frozen=True)
class TransposeAttrs:
    """axes is a permutation of 0 to rank - 1."""

    axes: tuple[int, ...]

    def __post_init__(self) -> None:
        if sorted(self.axes) != list(range(len(self.axes))):
            raise ValueError(f"transpose: axes {self.axes} must hold each axis once")
