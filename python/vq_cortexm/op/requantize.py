"""`vq.requantize`: each element to another scale, zero point and clamp; also a standalone clip.

`single`, `double`  x - x_zero_point requantized by x_scale / y_scale; `double` is TensorFlow Lite's
                    QUANTIZE of an 8-bit tensor.
`float`             rint(((x - x_zero_point) * x_scale) / y_scale), each step float32, halves to
                    even: ONNX Runtime's DequantizeLinear followed by QuantizeLinear.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .quantization import (
    check_activation,
    check_requantizing,
    dtype_range,
    to_output,
)
from .rounding import Int64Array, RequantizeConstants, check_rounding, fixed_point, requantize


def output_shape(x_shape: tuple[int, ...], attrs: RequantizeAttrs) -> tuple[int, ...]:
    """The input's shape."""
    return tuple(x_shape)


def constants(attrs: RequantizeAttrs) -> RequantizeConstants:
    """The scale of `single` or `double`, shape (); ValueError for `float`, which has two scales."""
    rounding = check_rounding(attrs.rounding)
    if rounding == "float":
        raise ValueError("requantize: float rounding has no single constant; use `table`")
    ratio = float(np.float32(attrs.x_scale)) / float(np.float32(attrs.y_scale))
    return fixed_point(ratio, rounding)


def table(x_dtype: str, attrs: RequantizeAttrs) -> npt.NDArray[Any]:
    """All outputs, of y_dtype, in the order of the input's values from its dtype's lowest.
    ValueError for a type of more than 16 bits."""
    if np.dtype(x_dtype).itemsize > 2:
        raise ValueError(f"requantize: its input is {x_dtype}; int8, uint8 and int16 work")
    lowest, highest = dtype_range(x_dtype)
    return reference(np.arange(lowest, highest + 1).astype(x_dtype), attrs)


def reference(x: npt.NDArray[Any], attrs: RequantizeAttrs) -> npt.NDArray[Any]:
    """x, int8 or uint8 of any shape, as y_dtype."""
    check_activation("requantize", "x", x)
    centred = x.astype(np.int64) - attrs.x_zero_point
    if attrs.rounding == "float":
        scaled = _divide_float32(centred, attrs)
    else:
        scaled = requantize(centred, constants(attrs))
    return to_output(scaled, attrs.y_zero_point, attrs.y_min, attrs.y_max, attrs.y_dtype)


def _divide_float32(centred: Int64Array, attrs: RequantizeAttrs) -> Int64Array:
    real = centred.astype(np.float32) * np.float32(attrs.x_scale)
    rounded = np.rint(real / np.float32(attrs.y_scale))
    # A quotient beyond 2**24 is clamped in any case, and might be infinite.
    return np.asarray(np.clip(rounded, -(1 << 24), 1 << 24), dtype=np.int64)


@dataclass(frozen=True)
class RequantizeAttrs:
    """[y_min, y_max] is the clamp in the output's integers: an activation, or y_dtype's range."""

    OP: ClassVar[str] = "requantize"

    x_scale: float
    x_zero_point: int
    y_scale: float
    y_zero_point: int
    y_min: int
    y_max: int
    rounding: str = "single"
    y_dtype: str = "int8"

    def __post_init__(self) -> None:
        check_requantizing(self.OP, self)
