"""`vq.softmax` against TensorFlow Lite Micro, LiteRT and the real function."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tflite_builder import TfliteBuilder, run_litert, run_tflm

from vq_cortexm.op.softmax import SoftmaxAttrs, TableSoftmax, constants, output_shape, reference

ATTRS = SoftmaxAttrs(1.0, 0.17, 24, 1 / 256, -128, -128, 127)


def _inputs(seed: int) -> tuple[SoftmaxAttrs, np.ndarray]:
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 20)), int(rng.integers(1, [3, 12, 40, 300][seed % 4] + 1)))
    attrs = replace(
        ATTRS,
        x_scale=float(np.float32(np.exp(rng.uniform(-6, 1)))),
        x_zero_point=int(rng.integers(-128, 128)),
        beta=float(np.float32([1.0, 1.0, 0.5, 2.3][seed // 4 % 4])),
    )
    middle, spread = rng.integers(-100, 100), rng.uniform(1, 80)
    x = np.clip(rng.normal(middle, spread, shape), -128, 127).astype(np.int8)
    if seed % 5 == 0:
        x = rng.integers(-128, 128, shape).astype(np.int8)
    return attrs, x


def _model(attrs: SoftmaxAttrs, shape: tuple[int, ...]) -> bytes:
    builder = TfliteBuilder()
    x = builder.tensor(shape, attrs.x_scale, attrs.x_zero_point)
    y = builder.tensor(shape, attrs.y_scale, attrs.y_zero_point)
    builder.add("SOFTMAX", [x], [y], Beta=attrs.beta)
    return builder.build([x], [y])


@pytest.mark.parametrize("seed", range(80))
def test_double_equals_tflm(seed: int) -> None:
    attrs, x = _inputs(seed)
    y = run_tflm(_model(attrs, x.shape), x)
    np.testing.assert_array_equal(reference(x, replace(attrs, rounding="double")), y)


@pytest.mark.parametrize("seed", range(80))
def test_float_equals_litert(seed: int) -> None:
    attrs, x = _inputs(seed)
    y = run_litert(_model(attrs, x.shape), x)
    np.testing.assert_array_equal(reference(x, replace(attrs, rounding="float")), y)


def test_float_adds_in_the_rows_order() -> None:
    """Enough long rows to show the last bit of a float32 sum."""
    attrs = replace(ATTRS, x_scale=float(np.float32(0.03)), rounding="float")
    x = np.random.default_rng(0).integers(-128, 128, (8000, 100)).astype(np.int8)
    x[:, :4] += 100
    np.testing.assert_array_equal(reference(x, attrs), run_litert(_model(attrs, x.shape), x))


def test_halves_round_up() -> None:
    x = np.zeros((1, 512), np.int8)
    y = run_litert(_model(ATTRS, x.shape), x)
    assert y[0, 0] == -127
    np.testing.assert_array_equal(reference(x, replace(ATTRS, rounding="float")), y)
    np.testing.assert_array_equal(reference(x, ATTRS), y)


def test_double_at_the_largest_sum_of_tflm() -> None:
    """TensorFlow Lite Micro aborts where the exponentials' sum reaches 512; then all are zero."""
    x = np.zeros((1, 511), np.int8)
    attrs = replace(ATTRS, rounding="double")
    np.testing.assert_array_equal(reference(x, attrs), run_tflm(_model(attrs, x.shape), x))
    assert reference(np.zeros((1, 512), np.int8), attrs).max() == -128


@pytest.mark.parametrize("scale", [1e-7, 3.0, 40.0])
def test_extreme_scales(scale: float) -> None:
    attrs = replace(ATTRS, x_scale=float(np.float32(scale)))
    x = np.random.default_rng(0).integers(-128, 128, (4, 10)).astype(np.int8)
    model = _model(attrs, x.shape)
    np.testing.assert_array_equal(
        reference(x, replace(attrs, rounding="float")), run_litert(model, x)
    )
    np.testing.assert_array_equal(
        reference(x, replace(attrs, rounding="double")), run_tflm(model, x)
    )


@pytest.mark.parametrize("seed", range(80))
@pytest.mark.parametrize(("y_scale", "y_zero_point"), [(1 / 256, -128), (0.0041, -120)])
def test_single_is_the_rounded_real_value(seed: int, y_scale: float, y_zero_point: int) -> None:
    attrs, x = _inputs(seed)
    attrs = replace(attrs, y_scale=float(np.float32(y_scale)), y_zero_point=y_zero_point)
    e = np.exp((x - x.max(axis=1, keepdims=True).astype(float)) * attrs.x_scale * attrs.beta)
    real = np.minimum(e / e.sum(axis=1, keepdims=True) / attrs.y_scale + y_zero_point, 127)
    assert np.abs(reference(x, attrs) - real).max() <= 0.51


@pytest.mark.parametrize("length", [1, 2, 10, 1000, 65536])
def test_single_fits_32_bits(length: int) -> None:
    known = constants(length, ATTRS)
    assert isinstance(known, TableSoftmax)
    assert known.table.dtype == np.uint32
    largest = int(known.table.max())
    assert largest * length < 1 << 31
    denominator = (largest * length * known.total_multiplier) >> 32
    assert (largest * known.total_multiplier) >> 32 >= 32
    assert largest + (denominator >> 1) < 1 << 32


def test_unsigned_input_and_higher_rank() -> None:
    x = np.random.default_rng(1).integers(-128, 128, (2, 3, 7)).astype(np.int8)
    unsigned = (x.astype(int) + 128).astype(np.uint8)
    np.testing.assert_array_equal(reference(x, ATTRS), reference(unsigned, ATTRS))
    assert output_shape((2, 3, 7), ATTRS) == (2, 3, 7)


def test_errors_are_one_line() -> None:
    with pytest.raises(ValueError, match="not the last"):
        output_shape((2, 3, 4), replace(ATTRS, axis=1))
    with pytest.raises(ValueError, match="no double rounding"):
        replace(ATTRS, rounding="double", y_scale=0.01)
    with pytest.raises(ValueError, match="y_scale"):
        replace(ATTRS, y_scale=1.5)
    with pytest.raises(ValueError, match="axis of 0"):
        constants(0, ATTRS)
    with pytest.raises(ValueError, match="4096"):
        constants(4096, replace(ATTRS, rounding="double"))
    with pytest.raises(ValueError, match="exceed"):
        reference(np.zeros((1, 2), np.int8), replace(ATTRS, x_scale=1e-9, rounding="double"))
