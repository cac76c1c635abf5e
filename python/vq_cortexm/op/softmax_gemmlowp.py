"""The fixed-point softmax of TensorFlow Lite Micro's reference kernel, on gemmlowp's functions.

Numbers are int32 Qm.f; "Q0" below means f = 31. Every product is a saturating rounding doubling
high multiply, so Qa * Qb is Q(a+b).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .rounding import (
    Int64Array,
    quantize_multiplier,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
)

_INPUT_INTEGER_BITS = 5
_SUM_INTEGER_BITS = 12
_INPUT_FRACTION_BITS = 31 - _INPUT_INTEGER_BITS
_ONE_Q0 = (1 << 31) - 1


def gemmlowp_constants(length: int, beta: float, x_scale: float) -> GemmlowpSoftmax:
    """The input's scale to Q5, beta * x_scale * 2**26, as multiplier and left shift.

    Raises ValueError where that product is at most 1, and where `length` exponentials of up to 1
    could overflow the Q12 sum.
    """
    if length >= 1 << _SUM_INTEGER_BITS:
        raise ValueError(f"softmax: double rounding of {length} elements, must be less than 4096")
    real = beta * float(np.float32(x_scale)) * (1 << _INPUT_FRACTION_BITS)
    if real <= 1:
        raise ValueError(f"softmax: beta {beta} times x_scale {x_scale} must exceed 2**-26")
    real = min(real, float(_ONE_Q0))
    # Above quantize_multiplier's range a factor of two moves between the real and the shift.
    multiplier, shift = quantize_multiplier(real / 4)
    left_shift = 31 - shift + 2
    largest_input = (2**_INPUT_INTEGER_BITS - 1) * 2.0**_INPUT_FRACTION_BITS
    return GemmlowpSoftmax(
        multiplier, left_shift, math.floor(math.ldexp(largest_input, -left_shift))
    )


def gemmlowp_softmax(below_maximum: Int64Array, known: GemmlowpSoftmax) -> Int64Array:
    """Rows of `max - x` (int64, 0 to 255) to probabilities in 1/256, not yet clamped."""
    counted = below_maximum <= known.largest_difference
    # Differences beyond the largest one do not count; zero stands in for them.
    difference = -np.where(counted, below_maximum, 0)
    scaled = saturating_rounding_doubling_high_mul(difference << known.left_shift, known.multiplier)
    exponentials = exp_on_negative_values(scaled)
    addends = np.where(counted, rounding_divide_by_pot(exponentials, _SUM_INTEGER_BITS), 0)
    total = addends.sum(axis=1, keepdims=True)
    leading_zeros = 32 - np.vectorize(int.bit_length, otypes=[np.int64])(total)
    reciprocal = one_over_one_plus_x((total << leading_zeros) - (1 << 31))
    products = saturating_rounding_doubling_high_mul(reciprocal, exponentials)
    exponent = (_SUM_INTEGER_BITS - leading_zeros + 31 - 8).astype(np.int32)
    return np.where(counted, rounding_divide_by_pot(products, exponent), 0)


def exp_on_negative_values(a: Int64Array) -> Int64Array:
    """exp(a) in Q0 of Q5 numbers a <= 0.

    The exponent's remainder in [-1/4, 0) goes through a polynomial, each of its other bits through
    a product with a constant.
    """
    quarter = 1 << (_INPUT_FRACTION_BITS - 2)
    remainder = (a & (quarter - 1)) - quarter
    result = _exp_between_minus_quarter_and_0(remainder << _INPUT_INTEGER_BITS)
    rest = remainder - a
    for exponent in range(-2, _INPUT_INTEGER_BITS):
        # exp(-2**exponent) in Q0
        factor = round(math.exp(-(2.0**exponent)) * 2.0**31)
        product = saturating_rounding_doubling_high_mul(result, factor)
        bit = 1 << (_INPUT_FRACTION_BITS + exponent)
        result = np.where(rest & bit != 0, product, result)
    return np.where(a == 0, _ONE_Q0, result)


def one_over_one_plus_x(x: Int64Array) -> Int64Array:
    """1 / (1 + x) in Q0 of Q0 numbers x in [0, 1): three Newton steps in Q2."""
    half_denominator = (x + _ONE_Q0 + 1) >> 1
    one_q2 = 1 << 29
    estimate = round(48 / 17 * one_q2) + saturating_rounding_doubling_high_mul(
        half_denominator, round(-32 / 17 * one_q2)
    )
    for _ in range(3):
        error = one_q2 - saturating_rounding_doubling_high_mul(half_denominator, estimate)
        # Q2 * Q2 is Q4; two bits to the left make it Q2 again.
        estimate = estimate + _saturate(saturating_rounding_doubling_high_mul(estimate, error) << 2)
    # Half the Q2 estimate, in Q0.
    return _saturate(estimate << 1)


def _exp_between_minus_quarter_and_0(a: Int64Array) -> Int64Array:
    """Taylor's series to the fourth power around -1/8, Q0."""
    mul = saturating_rounding_doubling_high_mul
    x = a + (1 << 28)
    x2 = mul(x, x)
    x3 = mul(x2, x)
    x4 = mul(x2, x2)
    third = round(2.0**31 / 3)
    cubic = mul(rounding_divide_by_pot(x4, 2) + x3, third) + x2
    constant = round(math.exp(-1 / 8) * 2.0**31)
    return constant + mul(x + rounding_divide_by_pot(cubic, 1), constant)


def _saturate(value: Int64Array) -> Int64Array:
    return np.clip(value, -(1 << 31), (1 << 31) - 1)


@dataclass(frozen=True)
class GemmlowpSoftmax:
    """A difference d = x - max counts if -d <= largest_difference; scaled to Q5 it is
    the doubling high multiply of d << left_shift with multiplier.
    """

    multiplier: int
    left_shift: int
    largest_difference: int
