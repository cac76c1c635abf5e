"""The three roundings against exact rational arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vq_cortexm.op.rounding import (
    RequantizeConstants,
    check_rounding,
    fixed_point,
    float32_scale,
    quantize_multiplier,
    requantize,
    requantize_constants,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
)

INT32 = st.integers(-(2**31), 2**31 - 1)
SCALE = st.floats(2.0**-32, 2.0**29, allow_subnormal=False)
FLOAT32_SCALE = st.floats(2.0**-20, 2.0**4, width=32)


def _half_up(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))


def _half_away(value: Fraction) -> int:
    return _half_up(value) if value >= 0 else -_half_up(-value)


def _scalar(acc: int, constants: RequantizeConstants) -> int:
    return int(requantize(np.array([acc], np.int64), constants)[0])


@given(SCALE)
def test_quantize_multiplier_has_31_bits(scale: float) -> None:
    multiplier, shift = quantize_multiplier(scale)
    assert 1 << 30 <= multiplier < 1 << 31
    assert 1 <= shift <= 62
    assert abs(Fraction(multiplier, 1 << shift) / Fraction(scale) - 1) <= Fraction(1, 1 << 31)


def test_quantize_multiplier_at_its_limits() -> None:
    assert quantize_multiplier(0.0) == (0, 31)
    assert quantize_multiplier(2.0**-33) == (0, 31)
    assert quantize_multiplier(2.0**-32) == (1 << 30, 62)
    assert quantize_multiplier(1.0) == (1 << 30, 30)
    # rounds up to a power of two
    assert quantize_multiplier(1 - 2.0**-40) == (1 << 30, 30)
    for scale in (-1.0, 2.0**30, math.inf, math.nan):
        with pytest.raises(ValueError, match="scale"):
            quantize_multiplier(scale)


@given(INT32, SCALE)
def test_single_rounds_half_up(acc: int, scale: float) -> None:
    constants = fixed_point([scale], "single")
    exact = acc * Fraction(int(constants.multiplier[0]), 1 << int(constants.shift[0]))
    assert _scalar(acc, constants) == _half_up(exact)


@given(INT32, INT32)
def test_high_mul_rounds_half_up_and_saturates(a: int, b: int) -> None:
    high = int(saturating_rounding_doubling_high_mul(np.int64(a), b))
    assert high == min(_half_up(Fraction(a * b, 1 << 31)), 2**31 - 1)


@given(INT32, st.integers(0, 31))
def test_divide_by_pot_rounds_half_away(value: int, exponent: int) -> None:
    y = int(rounding_divide_by_pot(np.int64(value), exponent))
    assert y == _half_away(Fraction(value, 1 << exponent))


@given(INT32, st.floats(2.0**-32, 1.0, exclude_max=True))
def test_double_is_two_roundings(acc: int, scale: float) -> None:
    constants = fixed_point([scale], "double")
    shift = int(constants.shift[0])
    assume(shift <= 0)
    high = _half_up(Fraction(acc * int(constants.multiplier[0]), 1 << 31))
    assert _scalar(acc, constants) == _half_away(Fraction(high, 1 << -shift))


@given(st.integers(-(2**23), 2**23), st.floats(2.0**-20, 2.0**4, width=32))
def test_float_rounds_the_float32_product_half_to_even(acc: int, scale: float) -> None:
    constants = requantize_constants(1.0, [scale], 1.0, "float")
    product = Fraction(float(np.float32(acc) * np.float32(scale)))
    assert _scalar(acc, constants) == round(product)


@given(INT32, FLOAT32_SCALE, FLOAT32_SCALE, FLOAT32_SCALE)
def test_roundings_differ_by_one_at_most(acc: int, x: float, w: float, y: float) -> None:
    assume(abs(acc) * x * w / y < 512)
    scaled = [
        _scalar(acc, requantize_constants(x, [w], y, r)) for r in ("single", "double", "float")
    ]
    assert max(scaled) - min(scaled) <= 1


def test_float_scale_divides_last() -> None:
    x, w, y = np.float32(0.1), np.float32(0.3), np.float32(0.7)
    assert float32_scale(0.1, [0.3], 0.7)[0] == (x * w) / y


@pytest.mark.parametrize("rounding", ["single", "double", "float"])
def test_constants_keep_the_scales_shape(rounding: str) -> None:
    constants = requantize_constants(0.1, np.full((5,), 0.2, np.float32), 0.3, rounding)
    filled = [constants.scale] if rounding == "float" else [constants.multiplier, constants.shift]
    assert [a.shape for a in filled] == [(5,)] * len(filled)
    assert [a.dtype for a in filled] == [np.float32 if rounding == "float" else np.int32] * len(
        filled
    )


def test_errors_are_one_line() -> None:
    with pytest.raises(ValueError, match="'nearest' is unknown"):
        check_rounding("nearest")
    with pytest.raises(ValueError, match="exceeds int32"):
        requantize(np.array([2**31]), fixed_point([0.5], "single"))
