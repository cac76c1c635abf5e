"""What operators on two quantized tensors share: broadcasting, attributes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .quantization import check_output, check_scale, check_zero_point


def broadcast_shape(op: str, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """NumPy's rule; ValueError where the two do not fit."""
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        raise ValueError(f"{op}: shapes {a} and {b} do not broadcast") from None


@dataclass(frozen=True)
class BinaryAttrs:
    """[y_min, y_max] is the fused activation's clamp in the output's integers."""

    OP: ClassVar[str]

    a_scale: float
    a_zero_point: int
    b_scale: float
    b_zero_point: int
    y_scale: float
    y_zero_point: int
    y_min: int
    y_max: int
    rounding: str = "single"
    y_dtype: str = "int8"

    def __post_init__(self) -> None:
        for name in ("a_scale", "b_scale", "y_scale"):
            check_scale(self.OP, name, getattr(self, name))
        check_zero_point(self.OP, "a_zero_point", self.a_zero_point)
        check_zero_point(self.OP, "b_zero_point", self.b_zero_point)
        check_output(
            self.OP, self.rounding, self.y_dtype, self.y_zero_point, self.y_min, self.y_max
        )
