"""`vq.extremum`: the larger or smaller of two tensors of one scale and zero point, broadcast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .binary_attrs import broadcast_shape
from .quantization import check_activation, check_output

KINDS = ("maximum", "minimum")


def output_shape(
    a_shape: tuple[int, ...], b_shape: tuple[int, ...], attrs: ExtremumAttrs
) -> tuple[int, ...]:
    """The broadcast shape; ValueError where the two do not fit."""
    return broadcast_shape(attrs.kind, a_shape, b_shape)


def reference(a: npt.NDArray[Any], b: npt.NDArray[Any], attrs: ExtremumAttrs) -> npt.NDArray[Any]:
    """max(a, b) or min(a, b), both of y_dtype, clamped."""
    for name, value in (("a", a), ("b", b)):
        check_activation(attrs.kind, name, value)
        if value.dtype.name != attrs.y_dtype:
            raise ValueError(f"{attrs.kind}: {name} is {value.dtype.name}, must be {attrs.y_dtype}")
    output_shape(a.shape, b.shape, attrs)
    chosen = np.maximum(a, b) if attrs.kind == "maximum" else np.minimum(a, b)
    return np.asarray(np.clip(chosen, attrs.y_min, attrs.y_max), dtype=attrs.y_dtype)


@dataclass(frozen=True)
class ExtremumAttrs:
    """kind is "maximum" or "minimum"; [y_min, y_max] the clamp of the result."""

    kind: str
    y_min: int
    y_max: int
    y_dtype: str = "int8"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"extremum: kind {self.kind!r} must be one of {', '.join(KINDS)}")
        check_output(self.kind, "single", self.y_dtype, 0, self.y_min, self.y_max)
