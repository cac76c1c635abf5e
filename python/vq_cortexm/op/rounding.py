"""From an accumulator to an 8-bit or 16-bit output: three roundings, and the constants of each.

`single`  y = (acc * multiplier + 2**(shift - 1)) >> shift, one rounding, halves upwards.
`double`  gemmlowp's saturating rounding doubling high multiply, then its rounding right shift
          (halves away from zero): the arithmetic of TensorFlow Lite Micro's reference kernels.
`float`   rint(float32(acc) * scale), halves to even, float32 throughout: the arithmetic of XNNPACK,
          LiteRT's default back end.

Operators on int16 know a fourth, `reduced`: `single` with multipliers of 16 bits, TensorFlow Lite's
arithmetic of int64 accumulators. `transform.qdq_int16` chooses it.

Every scale is a float32 number, whatever type holds it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, cast, get_args

import numpy as np
import numpy.typing as npt

Rounding: TypeAlias = Literal["single", "double", "float"]
Int32Array: TypeAlias = npt.NDArray[np.int32]
Int64Array: TypeAlias = npt.NDArray[np.int64]
Float32Array: TypeAlias = npt.NDArray[np.float32]
Float64Array: TypeAlias = npt.NDArray[np.float64]

ROUNDINGS: tuple[str, ...] = get_args(Rounding)
REDUCED = "reduced"
_LARGEST_WIDE = 1 << 47
"""Accumulators of 64 bits stay below it, as TensorFlow Lite's do."""
_SPLIT_BITS = 16


def quantize_multiplier(scale: float) -> tuple[int, int]:
    """`(multiplier, shift)` with `scale` ~ multiplier / 2**shift, rounded to 31 bits.

    multiplier is in [2**30, 2**31), shift in [1, 62]; a scale below 2**-32 becomes (0, 31).
    The same numbers as TensorFlow Lite's QuantizeMultiplier, whose left shift is 31 - shift.
    Raises ValueError unless 0 <= scale < 2**30.
    """
    if not 0 <= scale < 2.0**30:
        raise ValueError(f"scale {scale} of a requantization: it must be in [0, 2**30)")
    fraction, exponent = math.frexp(scale)
    multiplier = math.floor(fraction * 2.0**31 + 0.5)
    if multiplier == 1 << 31:
        multiplier >>= 1
        exponent += 1
    if multiplier == 0 or exponent < -31:
        return 0, 31
    return multiplier, 31 - exponent


def round_half_up_shift(value: Int64Array, shift: Int32Array | int) -> Int64Array:
    """`(value + 2**(shift - 1)) >> shift`, int64, for shift in [1, 62]."""
    wide_shift = np.asarray(shift, dtype=np.int64)
    return np.asarray((value + (np.int64(1) << (wide_shift - 1))) >> wide_shift, dtype=np.int64)


def rounding_divide_by_pot(value: Int64Array, exponent: Int32Array | int) -> Int64Array:
    """`value / 2**exponent` rounded half away from zero (gemmlowp's RoundingDivideByPOT)."""
    wide_exponent = np.asarray(exponent, dtype=np.int64)
    mask = (np.int64(1) << wide_exponent) - 1
    threshold = (mask >> 1) + (value < 0)
    return np.asarray((value >> wide_exponent) + ((value & mask) > threshold), dtype=np.int64)


def saturating_rounding_doubling_high_mul(a: Int64Array, b: Int64Array | int) -> Int64Array:
    """The high half of `2 * a * b` for int32 values a and b, halves upwards, at most 2**31 - 1.

    gemmlowp's function of that name: its nudge by the product's sign, divided towards zero, is
    this rounding.
    """
    high = (a * np.asarray(b, dtype=np.int64) + (1 << 30)) >> 31
    return np.asarray(np.minimum(high, (1 << 31) - 1), dtype=np.int64)


def requantize_single(acc: Int64Array, multiplier: Int32Array, shift: Int32Array) -> Int64Array:
    """`single`: exact in int64, as |acc| <= 2**31 and multiplier < 2**31."""
    return round_half_up_shift(acc * multiplier.astype(np.int64), shift)


def requantize_wide(acc: Int64Array, multiplier: Int32Array, shift: Int32Array) -> Int64Array:
    """`single` for |acc| < 2**47 and shift >= 17, by two products that fit int64.

    The rounding's half is a multiple of 2**16, so the low half of acc * multiplier / 2**16 may be
    cut off before it is added: the result is that of exact arithmetic.
    """
    factor = multiplier.astype(np.int64)
    low = ((acc & ((1 << _SPLIT_BITS) - 1)) * factor) >> _SPLIT_BITS
    scaled = (acc >> _SPLIT_BITS) * factor + low
    return round_half_up_shift(scaled, shift - np.int32(_SPLIT_BITS))


def requantize_double(acc: Int64Array, multiplier: Int32Array, shift: Int32Array) -> Int64Array:
    """`double`: a left shift (shift > 0) before the product, wrapping in 32 bits, or a rounding
    right shift (shift < 0) after it."""
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    shifted = (acc << left.astype(np.int64)).astype(np.int32).astype(np.int64)
    high = saturating_rounding_doubling_high_mul(shifted, multiplier.astype(np.int64))
    return rounding_divide_by_pot(high, right)


def requantize_float(acc: Int64Array, scale: Float32Array) -> Int64Array:
    """`float`: int32 to float32 (half to even), one float32 product, rint (half to even)."""
    product = acc.astype(np.int32).astype(np.float32) * scale
    return np.asarray(np.rint(product), dtype=np.int64)


def float32_scale(x_scale: float, w_scale: npt.ArrayLike, y_scale: float) -> Float32Array:
    """`(x_scale * w_scale) / y_scale`, each step rounded to float32, in this order (XNNPACK's)."""
    product = np.float32(x_scale) * np.asarray(w_scale, dtype=np.float32)
    return np.asarray(product / np.float32(y_scale), dtype=np.float32)


def float64_scale(x_scale: float, w_scale: npt.ArrayLike, y_scale: float) -> Float64Array:
    """`x_scale * w_scale / y_scale` of float32 numbers, in float64."""
    product = np.float64(np.float32(x_scale)) * np.asarray(w_scale, dtype=np.float32)
    return np.asarray(product / np.float64(np.float32(y_scale)), dtype=np.float64)


def fixed_point(scale: npt.ArrayLike, rounding: Rounding) -> RequantizeConstants:
    """The constants of `single` or `double` for float64 scales of any shape."""
    scales = np.asarray(scale, dtype=np.float64)
    pairs = np.array([quantize_multiplier(float(s)) for s in scales.ravel()], dtype=np.int32)
    multiplier, shift = pairs.reshape(-1, 2).T.reshape(2, *scales.shape)
    if rounding == "double":
        shift = np.int32(31) - shift
    return RequantizeConstants(rounding, multiplier, shift, np.empty(0, np.float32))


def requantize_constants(
    x_scale: float, w_scale: npt.ArrayLike, y_scale: float, rounding: str
) -> RequantizeConstants:
    """The constants that scale an accumulator of `x_scale * w_scale` to `y_scale`.

    w_scale is float32 of any shape, (O,) for one scale a channel; the constants have its shape.
    Raises ValueError for an unknown rounding or a ratio that no constants express.
    """
    if rounding == REDUCED:
        return _reduced(fixed_point(float64_scale(x_scale, w_scale, y_scale), "single"))
    known = check_rounding(rounding)
    if known == "float":
        scale = float32_scale(x_scale, w_scale, y_scale)
        none = np.empty(0, np.int32)
        return RequantizeConstants(known, none, none, scale)
    return fixed_point(float64_scale(x_scale, w_scale, y_scale), known)


def _reduced(constants: RequantizeConstants) -> RequantizeConstants:
    """Multipliers rounded to 16 bits, at most 0x7FFF of them (MultiplyByQuantizedMultiplier of
    int64); the low 16 bits are zero, so the shifts stay."""
    high = np.minimum((constants.multiplier.astype(np.int64) + (1 << 15)) >> 16, 0x7FFF)
    return replace(constants, multiplier=(high << 16).astype(np.int32))


def requantize(acc: Int64Array, constants: RequantizeConstants, wide: bool = False) -> Int64Array:
    """Scales accumulators; the last axis is the constants' channel axis.

    acc is int64 but in int32's range, else ValueError: a kernel has 32 bits. With `wide` and
    `single` it has up to 48, if every shift is at least 17. The result has neither zero point nor
    clamp.
    """
    if wide and constants.rounding == "single" and wide_shifts(constants):
        if acc.size and max(-int(acc.min()), int(acc.max())) >= _LARGEST_WIDE:
            raise ValueError("an accumulator exceeds 48 bits; fewer inputs would fit")
        return requantize_wide(acc, constants.multiplier, constants.shift)
    if acc.size and (acc.min() < -(1 << 31) or acc.max() >= 1 << 31):
        raise ValueError("an accumulator exceeds int32; fewer inputs or smaller biases would fit")
    if constants.rounding == "float":
        return requantize_float(acc, constants.scale)
    if constants.rounding == "single":
        return requantize_single(acc, constants.multiplier, constants.shift)
    return requantize_double(acc, constants.multiplier, constants.shift)


def wide_shifts(constants: RequantizeConstants) -> bool:
    """Whether all shifts are large enough for `requantize_wide`: scales below 2**14."""
    return bool(np.all(constants.shift > _SPLIT_BITS))


def check_rounding(rounding: str) -> Rounding:
    """The rounding itself; ValueError if it is none of the three."""
    if rounding not in ROUNDINGS:
        raise ValueError(f"rounding {rounding!r} is unknown: it is one of {', '.join(ROUNDINGS)}")
    return cast(Rounding, rounding)


@dataclass(frozen=True, eq=False)
class RequantizeConstants:
    """What scales an accumulator, per channel; the arrays have the scale's shape, or are empty.

    `single`: multiplier int32, 0 or in [2**30, 2**31); shift int32 in [1, 62], the right shift of
    the 64-bit product. `double`: the same multiplier; shift in [-31, 30], a left shift before the
    product where positive, a right shift after it where negative. `float`: scale float32.
    """

    rounding: Rounding
    multiplier: Int32Array
    shift: Int32Array
    scale: Float32Array
