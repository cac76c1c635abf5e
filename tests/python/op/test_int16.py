"""What int16 activations need: wide accumulators, reduced multipliers, curves."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vq_cortexm.op.add import AddAttrs
from vq_cortexm.op.add import reference as add
from vq_cortexm.op.requantize import RequantizeAttrs
from vq_cortexm.op.rounding import (
    REDUCED,
    fixed_point,
    requantize,
    requantize_constants,
    requantize_wide,
)
from vq_cortexm.op.s_curve import Function, SCurveAttrs
from vq_cortexm.op.s_curve import reference as s_curve
from vq_cortexm.op.softmax import SoftmaxAttrs
from vq_cortexm.op.softmax import reference as softmax

INT16 = {"y_zero_point": 0, "y_min": -32768, "y_max": 32767, "y_dtype": "int16"}
ALL = np.arange(-32768, 32768).astype(np.int16)


@given(st.integers(-(2**47) + 1, 2**47 - 1), st.floats(2.0**-30, 2.0**13))
def test_wide_accumulators_round_as_exact_arithmetic_does(acc: int, scale: float) -> None:
    known = fixed_point(scale, "single")
    exact = Fraction(acc * int(known.multiplier), 1 << int(known.shift))
    wide = requantize_wide(np.array([acc]), known.multiplier, known.shift)
    assert int(wide[0]) == math.floor(exact + Fraction(1, 2))


@given(st.integers(-(2**46), 2**46), st.floats(2.0**-30, 0.9))
def test_reduced_multipliers_have_sixteen_bits(acc: int, scale: float) -> None:
    """TensorFlow Lite's formula, written down with its own shifts."""
    known = requantize_constants(1.0, np.float32(scale), 1.0, REDUCED)
    full = fixed_point(float(np.float32(scale)), "single")
    sixteen = min((int(full.multiplier) + (1 << 15)) >> 16, 0x7FFF)
    shift = int(full.shift) - 16
    expected = (acc * sixteen + (1 << (shift - 1))) >> shift
    assert int(requantize(np.array([acc]), known, wide=True)[0]) == expected


def test_accumulators_beyond_48_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="48 bits"):
        requantize(np.array([2**47]), fixed_point(0.1, "single"), wide=True)


@pytest.mark.parametrize("function", ["sigmoid", "tanh"])
@pytest.mark.parametrize("scale", [1e-5, 2.0**-12, 3.7e-4, 0.02, 2.0])
def test_curves_are_within_steps_of_the_function(function: Function, scale: float) -> None:
    real = ALL * float(np.float32(scale))
    exact = (1 + np.tanh(real / 2)) / 2 if function == "sigmoid" else np.tanh(real)
    y = s_curve(ALL, SCurveAttrs(function, scale))
    # up to three steps, and what the input's factor of 15 bits is off
    off = 3 + np.abs(real) * 2.0**-14 * 32768 * (1 if function == "tanh" else 0.25)
    assert np.all(np.abs(y - exact * 32768) <= off)
    assert np.all(np.diff(y.astype(np.int64)) >= -1)


@pytest.mark.parametrize("rounding", ["single", "double", "float"])
def test_softmax_is_within_steps_of_the_function(rounding: str) -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(-32768, 32768, (40, 9)).astype(np.int16)
    attrs = SoftmaxAttrs(1.0, 2.0**-13, 0, 2.0**-15, rounding=rounding, **INT16)
    exact = np.exp(x * 2.0**-13)
    exact /= exact.sum(axis=1, keepdims=True)
    assert np.abs(softmax(x, attrs) - 32768 * exact).max() <= 4


@pytest.mark.parametrize("rounding", ["single", "double"])
def test_sums_are_within_half_a_step(rounding: str) -> None:
    rng = np.random.default_rng(2)
    a, b = rng.integers(-32768, 32768, (2, 5000)).astype(np.int16)
    attrs = AddAttrs(3e-4, 0, 2e-5, 0, 5e-4, rounding=rounding, **INT16)
    scales = [float(np.float32(s)) for s in (3e-4, 2e-5, 5e-4)]
    exact = (a * scales[0] + b * scales[1]) / scales[2]
    assert np.abs(add(a, b, attrs) - exact).max() <= 0.501


def test_tensors_of_int16_do_not_mix_with_others() -> None:
    attrs = AddAttrs(0.1, 0, 0.1, 0, 0.1, **INT16)
    with pytest.raises(ValueError, match="do not mix"):
        add(ALL, np.zeros(ALL.shape, np.int8), attrs)


def test_int16_has_no_zero_point() -> None:
    with pytest.raises(ValueError, match="must be 0"):
        RequantizeAttrs(0.1, 0, 0.1, **{**INT16, "y_zero_point": 3})


def test_softmax_of_int16_has_one_scale() -> None:
    with pytest.raises(ValueError, match=r"2\*\*-15"):
        SoftmaxAttrs(1.0, 0.1, 0, 1 / 256, **INT16)


def test_curves_have_a_largest_scale() -> None:
    with pytest.raises(ValueError, match="at most 2"):
        SCurveAttrs("tanh", 2.5)
