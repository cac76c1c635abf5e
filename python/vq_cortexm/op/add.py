"""`vq.add`: elementwise sum, or difference, of two quantized tensors, broadcast.

`single`, `float`  y = (a * a_multiplier + b * b_multiplier + bias) >> shift, all int32, with
                   multipliers of 21 bits: XNNPACK's arithmetic, integers in spite of the name. Of
                   int16 tensors int64, with multipliers of 30 bits.
                   (On cores with SMLAWx: a << 8 in a halfword times a_multiplier << 8, a word, is
                   the product a * a_multiplier exactly.)
`double`           TensorFlow Lite Micro: both inputs shifted left by 20 (int16: 15) and scaled to
                   twice the larger input scale, their sum scaled to the output.

With `separate` each input is scaled and rounded by itself, then they are added: Relay's qnn.add.

For an input scale below 2**-10 of the output's XNNPACK has no arithmetic, LiteRT falls back to
`double`'s, and so does `float`. From 2**8 times the output's scale LiteRT's fallback wraps in 16
bits; that is not followed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .binary_attrs import BinaryAttrs, broadcast_shape
from .quantization import (
    check_activation,
    check_alike,
    to_output,
)
from .rounding import (
    Int64Array,
    RequantizeConstants,
    check_rounding,
    fixed_point,
    requantize,
)

# Half of 2**31 would leave the sum no room in int32, more than 2**60 products none in int64.
_MULTIPLIER_BITS, _LARGEST_SHIFT = 21, 30
_WIDE_MULTIPLIER_BITS, _LARGEST_WIDE_SHIFT = 30, 60
_SMALLEST_XNNPACK_RATIO = 2.0**-10
_LEFT_SHIFT, _WIDE_LEFT_SHIFT = 20, 15
_LARGEST_NARROW_SHIFT = 24


def output_shape(
    a_shape: tuple[int, ...], b_shape: tuple[int, ...], attrs: AddAttrs
) -> tuple[int, ...]:
    """The broadcast shape; ValueError where the two do not fit."""
    return broadcast_shape("add", a_shape, b_shape)


def constants(attrs: AddAttrs) -> LinearAdd | RescaledAdd | SeparateAdd:
    """What a kernel needs: `LinearAdd`, for TensorFlow Lite's own arithmetic `RescaledAdd`, or
    `SeparateAdd`."""
    rounding = check_rounding(attrs.rounding)
    if attrs.separate:
        return _separate_constants(attrs)
    falls_back = rounding == "float" and min(_ratios(attrs)) < _SMALLEST_XNNPACK_RATIO
    return _rescaled_constants(attrs) if rounding == "double" or falls_back else _linear(attrs)


def reference(a: npt.NDArray[Any], b: npt.NDArray[Any], attrs: AddAttrs) -> npt.NDArray[Any]:
    """a + b, a - b or b - a, of shapes that broadcast, as y_dtype: a and b int8 or uint8, or all
    three int16."""
    check_activation("add", "a", a)
    check_activation("add", "b", b)
    check_alike("add", a.dtype.name, b.dtype.name, attrs.y_dtype)
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
    wide = attrs.y_dtype == "int16"
    bits = _WIDE_MULTIPLIER_BITS if wide else _MULTIPLIER_BITS
    shift = min(bits - exponent, _LARGEST_WIDE_SHIFT if wide else _LARGEST_SHIFT)
    if shift < 1:
        raise ValueError(
            f"add: an input scale is {max(a_ratio, b_ratio):g} times the output's; it must be less"
            " than 2**20 times"
        )
    a_multiplier, b_multiplier = (
        sign * round(math.ldexp(ratio, shift))
        for sign, ratio in zip(attrs.signs, (a_ratio, b_ratio), strict=True)
    )
    bias = (1 << (shift - 1)) - a_multiplier * attrs.a_zero_point
    bias -= b_multiplier * attrs.b_zero_point
    return LinearAdd(a_multiplier, b_multiplier, bias, shift, wide)


def _rescaled_constants(attrs: AddAttrs) -> RescaledAdd:
    a_scale, b_scale, y_scale = (
        float(np.float32(s)) for s in (attrs.a_scale, attrs.b_scale, attrs.y_scale)
    )
    common = 2.0 * max(a_scale, b_scale)
    left_shift = _WIDE_LEFT_SHIFT if attrs.y_dtype == "int16" else _LEFT_SHIFT
    return RescaledAdd(
        a_offset=-attrs.a_zero_point,
        b_offset=-attrs.b_zero_point,
        left_shift=left_shift,
        a=_signed(fixed_point(a_scale / common, "double"), attrs.signs[0]),
        b=_signed(fixed_point(b_scale / common, "double"), attrs.signs[1]),
        y=fixed_point(common / ((1 << left_shift) * y_scale), "double"),
    )


def _signed(constants: RequantizeConstants, sign: int) -> RequantizeConstants:
    return replace(constants, multiplier=sign * constants.multiplier)


def _separate_constants(attrs: AddAttrs) -> SeparateAdd:
    a_scale, b_scale, y_scale = (
        float(np.float32(s)) for s in (attrs.a_scale, attrs.b_scale, attrs.y_scale)
    )
    return SeparateAdd(
        _narrow_scale(a_scale / y_scale, attrs.a_zero_point),
        _narrow_scale(b_scale / y_scale, attrs.b_zero_point),
        *attrs.signs,
    )


def _narrow_scale(ratio: float, zero_point: int) -> NarrowScale:
    """`single` by `ratio`, of 31 bits, in int32 alone; ValueError where no factor is exact."""
    q = np.arange(-128, 256)
    wanted = requantize(q - zero_point, fixed_point(ratio, "single"))
    for shift in range(_LARGEST_NARROW_SHIFT, 0, -1):
        multiplier = round(math.ldexp(ratio, shift))
        narrow = NarrowScale(multiplier, (1 << (shift - 1)) - zero_point * multiplier, shift)
        ends = (narrow.bias, *(n * multiplier + narrow.bias for n in (-128, 255)))
        fits = all(-(1 << 31) <= end < 1 << 31 for end in ends)
        if fits and np.array_equal(narrow.apply(q), wanted):
            return narrow
    raise ValueError(f"add: no 32-bit factor is exact where one scale is {ratio:g} times another")


@dataclass(frozen=True)
class LinearAdd:
    """y = y_zero_point + ((a * a_multiplier + b * b_multiplier + bias) >> shift), int32, or int64
    where it is `wide`.

    The bias holds the inputs' zero points and the rounding's half. Multipliers are in
    [-2**21, 2**21], the shift in [1, 30], and no intermediate value overflows int32; `wide` ones in
    [-2**30, 2**30] and [1, 60].
    """

    a_multiplier: int
    b_multiplier: int
    bias: int
    shift: int
    wide: bool = False

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
class NarrowScale:
    """(q * multiplier + bias) >> shift, int32 for every q of 8 bits; the bias holds q's zero point
    and the rounding's half."""

    multiplier: int
    bias: int
    shift: int

    def apply(self, q: Int64Array) -> Int64Array:
        """The scaled numbers."""
        return np.asarray((q * self.multiplier + self.bias) >> self.shift, dtype=np.int64)


@dataclass(frozen=True)
class SeparateAdd:
    """y = y_zero_point + a(qa) + b(qb), each with its sign."""

    a: NarrowScale
    b: NarrowScale
    a_sign: int
    b_sign: int

    def apply(self, a: Int64Array, b: Int64Array) -> Int64Array:
        """The scaled sum, without y_zero_point."""
        return self.a_sign * self.a.apply(a) + self.b_sign * self.b.apply(b)


@dataclass(frozen=True)
class AddAttrs(BinaryAttrs):
    """separate: each input is rounded by itself, as `single` does. negated: the input, "a" or "b",
    that is subtracted from the other."""

    OP: ClassVar[str] = "add"

    separate: bool = False
    negated: str = ""

    @property
    def signs(self) -> tuple[int, int]:
        """Of a and of b."""
        return -1 if self.negated == "a" else 1, -1 if self.negated == "b" else 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.negated not in ("", "a", "b"):
            raise ValueError(f'add: negated {self.negated!r} must be "a", "b" or ""')
        if self.separate and self.rounding != "single":
            raise ValueError(f"add: separate roundings are single, not {self.rounding}")
        if self.separate:
            constants(self)
