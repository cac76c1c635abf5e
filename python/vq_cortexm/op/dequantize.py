"""`vq.dequantize`: integers to float32, x_scale * (x - x_zero_point), which rounds once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .quantization import check_activation, check_scale, check_zero_point


def output_shape(x_shape: tuple[int, ...], attrs: DequantizeAttrs) -> tuple[int, ...]:
    """The input's shape."""
    return tuple(x_shape)


def reference(x: npt.NDArray[Any], attrs: DequantizeAttrs) -> npt.NDArray[Any]:
    """x, integers of any shape, as float32."""
    check_activation("dequantize", "x", x)
    centred = (x.astype(np.int32) - attrs.x_zero_point).astype(np.float32)
    return np.asarray(centred * np.float32(attrs.x_scale), np.float32)


@dataclass(frozen=True)
class DequantizeAttrs:
    """The scale and zero point of the input; the output's type is always float32."""

    x_scale: float
    x_zero_point: int
    y_dtype: str = "float32"

    def __post_init__(self) -> None:
        check_scale("dequantize", "x_scale", self.x_scale)
        check_zero_point("dequantize", "x_zero_point", self.x_zero_point)
        if self.y_dtype != "float32":
            raise ValueError(f"dequantize: y_dtype {self.y_dtype!r} must be float32")
