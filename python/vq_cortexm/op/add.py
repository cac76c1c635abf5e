"""`vq.add`: elementwise sum of two quantized tensors.

`single`, `float`  y = (a * a_multiplier + b * b_multiplier + bias) >> shift, all int32, with
                   multipliers of 21 bits: XNNPACK's arithmetic, integers in spite of the name.
                   (On cores with SMLAWx: a << 8 in a halfword times a_multiplier << 8, a word, is
                   the product a * a_multiplier exactly.)
`double`           TensorFlow Lite Micro: both inputs shifted left by 20 and scaled to twice the
                   larger input scale, their sum scaled to the output.

For an input scale below 2**-10 of the output's XNNPACK has no arithmetic, LiteRT falls back to
`double`'s, and so does `float`. From 2**8 times the output's scale LiteRT's fallback wraps in 16
bits; that is not followed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .quantization import (
    check_activation,
    check_output,
    check_scale,
    check_zero_point,
    to_output,
)
from .rounding import (
    Int64Array,
    RequantizeConstants,
    check_rounding,
    fixed_point,
    requantize,
)

_MULTIPLIER_BITS = 21
# Half of 2**31 would leave the sum no room in int32.
_LARGEST_SHIFT = 30
_SMALLEST_XNNPACK_RATIO = 2.0**-10
_LEFT_SHIFT = 20


def output_shape(
    a_shape: tuple[int, ...], b_shape: tuple[int, ...], attrs: AddAttrs
) -> tuple[int, ...]:
    """The broadcast shape; ValueError where the two do not fit."""
    try:
        return np.broadcast_shapes(a_shape, b_shape)
    except ValueError:
        raise ValueError(f"add: shapes {a_shape} and {b_shape} do not broadcast") from None


def constants(attrs: AddAttrs) -> LinearAdd | RescaledAdd:
    """What a kernel needs: `LinearAdd`, or for TensorFlow Lite's own arithmetic `RescaledAdd`."""
    rounding = check_rounding(attrs.rounding)
    falls_back = rounding == "float" and min(_ratios(attrs)) < _SMALLEST_XNNPACK_RATIO
    return _rescaled_constants(attrs) if rounding == "double" or falls_back else _linear(attrs)


def reference(a: npt.NDArray[Any], b: npt.NDArray[Any], attrs: AddAttrs) -> npt.NDArray[Any]:
    """a + b, both int8 or uint8 and of shapes that broadcast, as y_dtype."""
    check_activation("add", "a", a)
    check_activation("add", "b", b)
    output_shape(a.shape, b.shape, attrs)
    known = constants(attrs)
    scaled = known.apply(a.astype(np.int64), b.astype(np.int64))
    return to_output(scaled, attrs.y_zero_point, attrs.y_min, attrs.y_max, attrs.y_dtype)


def _ratios(attrs: AddAttrs) -> tuple[float, float]:
    """The input scales over the output's, each quotient rounded to float32."""
    y_scale = np.float32(attrs.y_scale)
    return float(np.float32(attrs.a_scale) / y_scale), float(np.float32(attrs.b_scale) / y_scale)


def _linear(attrs: AddAttrs) -> LinearAdd:
    """The larger multiplier has 21 bits unless the shift is at its limit; halves go to even."""
    a_ratio, b_ratio = _ratios(attrs)
    _, exponent = math.frexp(max(a_ratio, b_ratio))
    shift = min(_MULTIPLIER_BITS - exponent, _LARGEST_SHIFT)
    if shift < 1:
        raise ValueError(
            f"add: an input scale is {max(a_ratio, b_ratio):g} times the output's; it must be less"
            " than 2**20 times"
        )
    a_multiplier = round(math.ldexp(a_ratio, shift))
    b_multiplier = round(math.ldexp(b_ratio, shift))
    bias = (1 << (shift - 1)) - a_multiplier * attrs.a_zero_point
    bias -= b_multiplier * attrs.b_zero_point
    return LinearAdd(a_multiplier, b_multiplier, bias, shift)


def _rescaled_constants(attrs: AddAttrs) -> RescaledAdd:
    a_scale, b_scale, y_scale = (
        float(np.float32(s)) for s in (attrs.a_scale, attrs.b_scale, attrs.y_scale)
    )
    common = 2.0 * max(a_scale, b_scale)
    return RescaledAdd(
        a_offset=-attrs.a_zero_point,
        b_offset=-attrs.b_zero_point,
        left_shift=_LEFT_SHIFT,
        a=fixed_point(a_scale / common, "double"),
        b=fixed_point(b_scale / common, "double"),
        y=fixed_point(common / ((1 << _LEFT_SHIFT) * y_scale), "double"),
    )


@dataclass(frozen=True)
class LinearAdd:
    """y = y_zero_point + ((a * a_multiplier + b * b_multiplier + bias) >> shift), int32.

    The bias holds the inputs' zero points and the rounding's half. Multipliers are in [0, 2**21],
    the shift in [1, 30]; no intermediate value overflows int32.
    """

    a_multiplier: int
    b_multiplier: int
    bias: int
    shift: int

    def apply(self, a: Int64Array, b: Int64Array) -> Int64Array:
        """The scaled sum, without y_zero_point."""
        total = a * self.a_multiplier + b * self.b_multiplier + self.bias
        return np.asarray(total >> self.shift, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class RescaledAdd:
    """y = y_zero_point + y(a((qa + a_offset) << left_shift) + b((qb + b_offset) << left_shift)).

    a, b and y are `double` requantizations of shape ().
    """

    a_offset: int
    b_offset: int
    left_shift: int
    a: RequantizeConstants
    b: RequantizeConstants
    y: RequantizeConstants

    def apply(self, a: Int64Array, b: Int64Array) -> Int64Array:
        """The scaled sum, without y_zero_point."""
        scaled_a = requantize((a + self.a_offset) << self.left_shift, self.a)
        scaled_b = requantize((b + self.b_offset) << self.left_shift, self.b)
        return requantize(scaled_a + scaled_b, self.y)


@dataclass(frozen=True)
class AddAttrs:
    """[y_min, y_max] is the fused activation's clamp in the output's integers."""

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
            check_scale("add", name, getattr(self, name))
        check_zero_point("add", "a_zero_point", self.a_zero_point)
        check_zero_point("add", "b_zero_point", self.b_zero_point)
        check_output("add", self.rounding, self.y_dtype, self.y_zero_point, self.y_min, self.y_max)
