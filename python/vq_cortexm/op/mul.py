"""`vq.mul`: elementwise product of two quantized tensors, broadcast.

The product of both integers without their zero points is requantized by a_scale * b_scale /
y_scale: XNNPACK's arithmetic with `float`, TensorFlow Lite Micro's with `double`. Below 2**-16
XNNPACK has none, LiteRT falls back to TensorFlow Lite's, and so does `float`. From 2**8 on that
wraps in LiteRT, which is not followed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .binary_attrs import BinaryAttrs, broadcast_shape
from .quantization import check_activation, to_output
from .rounding import RequantizeConstants, requantize, requantize_constants

_SMALLEST_XNNPACK_SCALE = 2.0**-16


def output_shape(
    a_shape: tuple[int, ...], b_shape: tuple[int, ...], attrs: MulAttrs
) -> tuple[int, ...]:
    """The broadcast shape; ValueError where the two do not fit."""
    return broadcast_shape("mul", a_shape, b_shape)


def constants(attrs: MulAttrs) -> RequantizeConstants:
    """The requantization of a product, shape ()."""
    known = requantize_constants(attrs.a_scale, attrs.b_scale, attrs.y_scale, attrs.rounding)
    if known.rounding == "float" and known.scale < _SMALLEST_XNNPACK_SCALE:
        return requantize_constants(attrs.a_scale, attrs.b_scale, attrs.y_scale, "double")
    return known


def reference(a: npt.NDArray[Any], b: npt.NDArray[Any], attrs: MulAttrs) -> npt.NDArray[Any]:
    """a * b, both int8 or uint8 and of shapes that broadcast, as y_dtype."""
    check_activation("mul", "a", a)
    check_activation("mul", "b", b)
    output_shape(a.shape, b.shape, attrs)
    product = (a.astype(np.int64) - attrs.a_zero_point) * (b.astype(np.int64) - attrs.b_zero_point)
    scaled = requantize(product, constants(attrs))
    return to_output(scaled, attrs.y_zero_point, attrs.y_min, attrs.y_max, attrs.y_dtype)


@dataclass(frozen=True)
class MulAttrs(BinaryAttrs):
    """Those of both factors and the product."""

    OP: ClassVar[str] = "mul"
