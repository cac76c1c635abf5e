"""`vq.add`: elementwise sum of two quantized tensors.

`single`  y = (a * a_multiplier + b * b_multiplier + bias) >> shift, all int32; the multipliers
          fit 16 bits, so two SMLABB and a shift are the whole sum.
`double`  TensorFlow Lite Micro: both inputs shifted left by 20 and scaled to twice the larger
          input scale, their sum scaled to the output.
`float`   XNNPACK: as `single`, with 21-bit multipliers (exact integers, in spite of the name).
          XNNPACK takes scale ratios in [2**-10, 2**8); beyond them LiteRT falls back to
          `double`'s arithmetic, and so does this.
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
    requantize_double,
)

_SINGLE_BITS = 15
_FLOAT_BITS = 21
# A larger shift would let the zero points' part of the bias overflow.
_LARGEST_SHIFT = 22
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
    if rounding == "single":
        return _single_constants(attrs)
    if rounding == "float" and _within_xnnpack(attrs):
        return _float_constants(attrs)
    return _double_constants(attrs)


def reference(a: npt.NDArray[Any], b: npt.NDArray[Any], attrs: AddAttrs) -> npt.NDArray[Any]:
    """a + b, both int8 or uint8 and of shapes that broadcast, as y_dtype."""
    check_activation("add", "a", a)
    check_activation("add", "b", b)
    output_shape(a.shape, b.shape, attrs)
    known = constants(attrs)
    apply = _linear if isinstance(known, LinearAdd) else _rescaled
    scaled = apply(a.astype(np.int64), b.astype(np.int64), known)  # type: ignore[arg-type]
    return to_output(scaled, attrs.y_zero_point, attrs.y_min, attrs.y_max, attrs.y_dtype)


def _linear(a: Int64Array, b: Int64Array, known: LinearAdd) -> Int64Array:
    return (a * known.a_multiplier + b * known.b_multiplier + known.bias) >> known.shift


def _rescaled(a: Int64Array, b: Int64Array, known: RescaledAdd) -> Int64Array:
    scaled_a = _rescale((a + known.a_offset) << known.left_shift, known.a)
    scaled_b = _rescale((b + known.b_offset) << known.left_shift, known.b)
    return _rescale(scaled_a + scaled_b, known.y)


def _rescale(value: Int64Array, scale: RequantizeConstants) -> Int64Array:
    return requantize_double(value, scale.multiplier, scale.shift)


def _single_constants(attrs: AddAttrs) -> LinearAdd:
    """Multipliers round to nearest; the larger one has 15 bits unless the shift is at its limit."""
    y_scale = float(np.float32(attrs.y_scale))
    ratios = [float(np.float32(s)) / y_scale for s in (attrs.a_scale, attrs.b_scale)]
    _, exponent = math.frexp(max(ratios))
    shift = min(_SINGLE_BITS - exponent, _LARGEST_SHIFT)
    if shift >= 1 and round(math.ldexp(max(ratios), shift)) >= 1 << _SINGLE_BITS:
        shift -= 1
    if shift < 1:
        raise ValueError(
            f"add: an input scale is {max(ratios):g} times the output's; below 2**14 would work"
        )
    a_multiplier, b_multiplier = (round(math.ldexp(ratio, shift)) for ratio in ratios)
    return _linear_constants(attrs, a_multiplier, b_multiplier, shift)


def _float_constants(attrs: AddAttrs) -> LinearAdd:
    """The larger multiplier has 21 bits; products of float32 numbers and powers of two, rint."""
    a_ratio, b_ratio = _float32_ratios(attrs)
    _, exponent = math.frexp(max(a_ratio, b_ratio))
    shift = _FLOAT_BITS - exponent
    a_multiplier = round(math.ldexp(a_ratio, shift))
    b_multiplier = round(math.ldexp(b_ratio, shift))
    return _linear_constants(attrs, a_multiplier, b_multiplier, shift)


def _linear_constants(
    attrs: AddAttrs, a_multiplier: int, b_multiplier: int, shift: int
) -> LinearAdd:
    bias = (1 << (shift - 1)) - a_multiplier * attrs.a_zero_point
    bias -= b_multiplier * attrs.b_zero_point
    return LinearAdd(a_multiplier, b_multiplier, bias, shift)


def _double_constants(attrs: AddAttrs) -> RescaledAdd:
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


def _float32_ratios(attrs: AddAttrs) -> tuple[float, float]:
    y_scale = np.float32(attrs.y_scale)
    return float(np.float32(attrs.a_scale) / y_scale), float(np.float32(attrs.b_scale) / y_scale)


def _within_xnnpack(attrs: AddAttrs) -> bool:
    return all(2.0**-10 <= ratio < 2.0**8 for ratio in _float32_ratios(attrs))


@dataclass(frozen=True)
class LinearAdd:
    """y = y_zero_point + ((a * a_multiplier + b * b_multiplier + bias) >> shift), int32.

    The bias holds the inputs' zero points and the rounding's half. `single`: multipliers in
    [0, 2**15), shift in [1, 22]; `float`: multipliers in [0, 2**21], shift in [13, 30]. No
    intermediate value overflows int32.
    """

    a_multiplier: int
    b_multiplier: int
    bias: int
    shift: int


@dataclass(frozen=True)
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
