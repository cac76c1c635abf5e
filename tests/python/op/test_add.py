"""`vq.add` against TensorFlow Lite Micro and LiteRT."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tflite_builder import TfliteBuilder, quantize_clamp, run_litert, run_tflm

from vq_cortexm.op.add import AddAttrs, LinearAdd, RescaledAdd, constants, output_shape, reference
from vq_cortexm.op.rounding import fixed_point, requantize

ACTIVATIONS = ["NONE", "RELU", "RELU6", "RELU_N1_TO_1"]


def _layer(seed: int, rounding: str, shape: tuple[int, ...]) -> tuple[bytes, AddAttrs, Any, Any]:
    rng = np.random.default_rng(seed)
    a_scale, b_scale = (float(np.float32(s)) for s in np.exp(rng.uniform(-5, 0, 2)))
    y_scale = float(np.float32(max(a_scale, b_scale) * np.exp(rng.uniform(-1.5, 1.5))))
    a_zero, b_zero, y_zero = (int(z) for z in rng.integers(-128, 128, 3))
    activation = ACTIVATIONS[seed % 4]
    y_min, y_max = quantize_clamp(activation, y_scale, y_zero, rounding=rounding)
    attrs = AddAttrs(a_scale, a_zero, b_scale, b_zero, y_scale, y_zero, y_min, y_max, rounding)
    a, b = (rng.integers(-128, 128, shape).astype(np.int8) for _ in range(2))
    return _model(attrs, activation, shape), attrs, a, b


def _model(attrs: AddAttrs, activation: str, shape: tuple[int, ...]) -> bytes:
    builder = TfliteBuilder()
    a = builder.tensor(shape, attrs.a_scale, attrs.a_zero_point)
    b = builder.tensor(shape, attrs.b_scale, attrs.b_zero_point)
    y = builder.tensor(shape, attrs.y_scale, attrs.y_zero_point)
    builder.add("ADD", [a, b], [y], FusedActivationFunction=activation)
    return builder.build([a, b], [y])


@pytest.mark.parametrize("seed", range(60))
def test_double_equals_tflm(seed: int) -> None:
    model, attrs, a, b = _layer(seed, "double", (1, 9, 8, 33))
    np.testing.assert_array_equal(reference(a, b, attrs), run_tflm(model, a, b))


@pytest.mark.parametrize("seed", range(60))
def test_float_and_single_equal_litert(seed: int) -> None:
    model, attrs, a, b = _layer(seed, "float", (1, 9, 8, 33))
    y = run_litert(model, a, b)
    np.testing.assert_array_equal(reference(a, b, attrs), y)
    np.testing.assert_array_equal(reference(a, b, replace(attrs, rounding="single")), y)


def test_float_falls_back_as_litert_does() -> None:
    """A scale below 2**-10 of the output's: TensorFlow Lite's own kernel, on every pair."""
    a, b = (m.astype(np.int8) for m in np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)))
    attrs = AddAttrs(1e-4, -7, 0.09, 5, 0.11, -3, -128, 127, "float")
    model = _model(attrs, "NONE", a.shape)
    assert isinstance(constants(attrs), RescaledAdd)
    np.testing.assert_array_equal(reference(a, b, attrs), run_litert(model, a, b))


@pytest.mark.parametrize(("rounding", "run"), [("double", run_tflm), ("float", run_litert)])
@pytest.mark.parametrize("seed", range(8))
def test_all_pairs(rounding: str, run: Any, seed: int) -> None:
    """All 65536 pairs show the multipliers' last bits."""
    a, b = (m.astype(np.int8) for m in np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)))
    a_scale, b_scale = (float(s) for s in np.random.default_rng(seed).uniform(0.01, 0.05, 2))
    attrs = AddAttrs(a_scale, -128, b_scale, 4, 0.0509, 7, -128, 127, rounding)
    model = _model(attrs, "NONE", a.shape)
    np.testing.assert_array_equal(reference(a, b, attrs), run(model, a, b))


SCALES = st.floats(2.0**-20, 2.0**10, width=32)
ZERO_POINTS = st.integers(-128, 127)


@given(SCALES, ZERO_POINTS, SCALES, ZERO_POINTS, SCALES, ZERO_POINTS)
def test_single_fits_int32_and_is_near_the_real_sum(
    a_scale: float, a_zero: int, b_scale: float, b_zero: int, y_scale: float, y_zero: int
) -> None:
    attrs = AddAttrs(a_scale, a_zero, b_scale, b_zero, y_scale, y_zero, -128, 127)
    if max(a_scale, b_scale) / y_scale >= 2.0**19:
        return
    known = constants(attrs)
    assert isinstance(known, LinearAdd)
    a, b = (m.ravel() for m in np.meshgrid([-128, -1, 0, 77, 127], [-128, -5, 0, 1, 127]))
    products = (a * known.a_multiplier, b * known.b_multiplier)
    for partial in (products[0] + known.bias, products[0] + products[1] + known.bias):
        assert np.abs(partial).max() < 1 << 31
    real = ((a - a_zero) * a_scale + (b - b_zero) * b_scale) / y_scale + y_zero
    y = reference(a.astype(np.int8), b.astype(np.int8), attrs)
    ulp = 255 * 2.0**-20 * max(1.0, max(a_scale, b_scale) / y_scale)
    assert np.abs(y - np.clip(real, -128, 127)).max() <= 0.5 + ulp


def test_broadcast_and_errors() -> None:
    attrs = AddAttrs(0.1, 0, 0.1, 0, 0.1, 0, -128, 127)
    assert output_shape((2, 3, 4), (4,), attrs) == (2, 3, 4)
    with pytest.raises(ValueError, match="do not broadcast"):
        output_shape((2, 3), (2, 4), attrs)
    with pytest.raises(ValueError, match=r"2\*\*20"):
        constants(replace(attrs, a_scale=1e9))
    with pytest.raises(ValueError, match="a_zero_point"):
        replace(attrs, a_zero_point=300)


@given(st.floats(2.0**-12, 8, width=32), ZERO_POINTS, st.sampled_from(["", "a", "b"]))
def test_separate_rounds_each_input_by_itself(ratio: float, zero: int, negated: str) -> None:
    """Every pair, each input by the 64-bit product of `single`."""
    attrs = AddAttrs(0.0625 * ratio, zero, 0.04, -3, 0.0625, 7, -128, 127, "single", "int8", True)
    attrs = replace(attrs, negated=negated)
    a, b = (m.astype(np.int8) for m in np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)))
    alone = [
        requantize(q.astype(np.int64) - z, fixed_point(s / 0.0625, "single"))
        for q, z, s in ((a, zero, attrs.a_scale), (b, -3, float(np.float32(0.04))))
    ]
    total = attrs.signs[0] * alone[0] + attrs.signs[1] * alone[1] + 7
    np.testing.assert_array_equal(reference(a, b, attrs), np.clip(total, -128, 127))


def test_separate_needs_an_exact_factor_and_single_rounding() -> None:
    with pytest.raises(ValueError, match="no 32-bit factor is exact"):
        AddAttrs(1e6, 0, 0.1, 0, 0.1, 0, -128, 127, separate=True)
    with pytest.raises(ValueError, match="separate roundings are single, not float"):
        AddAttrs(0.1, 0, 0.1, 0, 0.1, 0, -128, 127, "float", separate=True)
