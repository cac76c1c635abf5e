"""`vq.avg_pool2d` against AVERAGE_POOL_2D and MEAN of TensorFlow Lite Micro and LiteRT."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tflite_builder import TfliteBuilder, quantize_clamp, run_litert, run_tflm, same_padding

from vq_cortexm.op.avg_pool2d import (
    AvgPool2dAttrs,
    constants,
    divide_half_away,
    division_constants,
    output_shape,
    reference,
    window_counts,
)

BACK_ENDS = pytest.mark.parametrize(
    ("rounding", "run"), [("double", run_tflm), ("float", run_litert)], ids=["tflm", "litert"]
)
# input, pool, strides, padding, activation
CASES = [
    ((1, 9, 7, 12), (3, 3), (1, 1), "SAME", "NONE"),
    ((2, 9, 7, 5), (3, 2), (2, 2), "VALID", "RELU"),
    ((1, 25, 5, 64), (25, 5), (1, 1), "VALID", "NONE"),
    ((1, 8, 8, 9), (2, 2), (2, 2), "SAME", "RELU6"),
    ((1, 10, 10, 3), (5, 4), (3, 2), "SAME", "RELU_N1_TO_1"),
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", range(5))
@BACK_ENDS
def test_average_pool(case: Any, seed: int, rounding: str, run: Any) -> None:
    x_shape, pool, strides, padding, activation = case
    rng = np.random.default_rng(seed)
    scale, zero_point = float(np.float32(np.exp(rng.uniform(-5, 0)))), int(rng.integers(-128, 128))
    y_min, y_max = quantize_clamp(activation, scale, zero_point, rounding=rounding)
    pads = same_padding(x_shape[1:3], pool, strides) if padding == "SAME" else (0, 0, 0, 0)
    quantization = (scale, zero_point, scale, zero_point, y_min, y_max)
    attrs = AvgPool2dAttrs(pool, strides, pads, *quantization, rounding)
    builder = TfliteBuilder()
    x = builder.tensor(x_shape, scale, zero_point)
    y = builder.tensor(output_shape(x_shape, attrs), scale, zero_point)
    builder.add(
        "AVERAGE_POOL_2D",
        [x],
        [y],
        Padding=padding,
        StrideH=strides[0],
        StrideW=strides[1],
        FilterHeight=pool[0],
        FilterWidth=pool[1],
        FusedActivationFunction=activation,
    )
    value = rng.integers(-128, 128, x_shape).astype(np.int8)
    expected = run(builder.build([x], [y]), value)
    np.testing.assert_array_equal(reference(value, attrs), expected)
    single = AvgPool2dAttrs(pool, strides, pads, *quantization, "single")
    np.testing.assert_array_equal(reference(value, single), expected)


@pytest.mark.parametrize("seed", range(40))
@BACK_ENDS
def test_mean(seed: int, rounding: str, run: Any) -> None:
    rng = np.random.default_rng(seed)
    h, w = (int(n) for n in rng.integers(1, 10, 2))
    x_scale, x_zero_point = (
        float(np.float32(np.exp(rng.uniform(-5, 0)))),
        int(rng.integers(-128, 128)),
    )
    y_scale, y_zero_point = x_scale, x_zero_point
    if seed % 2:
        y_scale = float(np.float32(x_scale * np.exp(rng.uniform(-2, 1))))
        y_zero_point = int(rng.integers(-128, 128))
    attrs = AvgPool2dAttrs(
        (h, w),
        (1, 1),
        (0, 0, 0, 0),
        x_scale,
        x_zero_point,
        y_scale,
        y_zero_point,
        -128,
        127,
        rounding,
        mean=True,
    )
    builder = TfliteBuilder()
    x = builder.tensor((8, h, w, 21), x_scale, x_zero_point)
    axes = builder.constant(np.array([1, 2], np.int32))
    y = builder.tensor((8, 1, 1, 21), y_scale, y_zero_point)
    builder.add("MEAN", [x, axes], [y], KeepDims=True)
    largest = int(rng.integers(2, 128))
    value = rng.integers(-largest, largest + 1, (8, h, w, 21)).astype(np.int8)
    np.testing.assert_array_equal(reference(value, attrs), run(builder.build([x], [y]), value))


@pytest.mark.parametrize(
    ("count", "x_scale", "y_scale", "total"),
    [
        (2961, 0.28442704677581787, 0.08726862818002701, -81310),
        (3594, 0.7692422270774841, 0.4597293734550476, -151427),
        (2155, 0.034574955701828, 0.008636807091534138, -39027),
    ],
)
def test_mean_truncates_its_folded_multiplier(
    count: int, x_scale: float, y_scale: float, total: int
) -> None:
    """Sums whose output shows the multiplier's last bit."""
    attrs = AvgPool2dAttrs(
        (1, count), (1, 1), (0, 0, 0, 0), x_scale, 0, y_scale, 0, -128, 127, "double", mean=True
    )
    builder = TfliteBuilder()
    x = builder.tensor((1, 1, count, 1), x_scale, 0)
    axes = builder.constant(np.array([1, 2], np.int32))
    y = builder.tensor((1, 1, 1, 1), y_scale, 0)
    builder.add("MEAN", [x, axes], [y], KeepDims=True)
    value = np.full(count, total // count, np.int8)
    value[: total % count] += 1
    value = value.reshape(1, 1, count, 1)
    assert value.sum(dtype=np.int64) == total
    expected = run_tflm(builder.build([x], [y]), value)
    np.testing.assert_array_equal(reference(value, attrs), expected)


@given(st.integers(1, (1 << 20) - 1), st.data())
def test_division_is_exact(count: int, data: st.DataObject) -> None:
    """Halves above all: sums next to (k + 1/2) * count, and anywhere."""
    half = count * (2 * data.draw(st.integers(-128, 254)) + 1) // 2
    total = data.draw(
        st.one_of(st.integers(half - 1, half + 1), st.integers(-128 * count, 255 * count))
    )
    total = max(-128 * count, min(total, 255 * count))
    multiplier, shift = division_constants(count)
    assert 1 << 30 <= multiplier < 1 << 31
    assert total * multiplier + (1 << (shift - 1)) < 1 << 63
    y = (total * multiplier + (1 << (shift - 1)) + (total >> 31)) >> shift
    assert y == divide_half_away(np.int64(total), np.int64(count))


@pytest.mark.parametrize("rounding", ["single", "double", "float"])
def test_rescaled_mean_is_near_the_real_one(rounding: str) -> None:
    rng = np.random.default_rng(0)
    attrs = AvgPool2dAttrs((3, 3), (2, 2), (1, 1, 1, 1), 0.1, 3, 0.07, -9, -128, 127, rounding)
    x = rng.integers(-128, 128, (2, 7, 8, 5)).astype(np.int8)
    counts = window_counts(x.shape, attrs)
    assert counts.min() == 4 and counts.max() == 9
    padded = np.pad(x.astype(float) - 3, ((0, 0), (1, 1), (1, 1), (0, 0)))
    real = np.empty(output_shape(x.shape, attrs))
    for i, j in np.ndindex(*real.shape[1:3]):
        window = padded[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].sum(axis=(1, 2))
        real[:, i, j] = window / counts[i, j] * (0.1 / 0.07) - 9
    y = reference(x, attrs)
    # The first of `double`'s roundings is of a product of 31 bits with a small sum.
    tolerance = 1.0 if rounding == "double" else 0.501
    assert np.abs(y - np.clip(real, -128, 127)).max() <= tolerance


def test_errors_are_one_line() -> None:
    attrs = AvgPool2dAttrs((2, 2), (1, 1), (2, 0, 0, 0), 0.1, 0, 0.1, 0, -128, 127)
    with pytest.raises(ValueError, match="padding alone"):
        reference(np.zeros((1, 4, 4, 1), np.int8), attrs)
    with pytest.raises(ValueError, match=r"2\*\*20"):
        division_constants(1 << 20)
    with pytest.raises(ValueError, match="y_dtype"):
        AvgPool2dAttrs((2, 2), (1, 1), (0, 0, 0, 0), 0.1, 0, 0.1, 0, -128, 127, y_dtype="int32")
    with pytest.raises(ValueError, match="of a requantization: it must be in"):
        AvgPool2dAttrs((2, 2), (1, 1), (0, 0, 0, 0), 1e20, 0, 1.0, 0, -128, 127)
    assert constants(4, attrs)


def test_truncated_mean_is_cut_towards_zero() -> None:
    x = np.arange(-30, 30).astype(np.int8).reshape(1, 4, 5, 3)
    ends = {"y_scale": 0.5, "y_zero_point": 1, "y_min": -128, "y_max": 127}
    attrs = AvgPool2dAttrs(
        (4, 5), (1, 1), (0, 0, 0, 0), x_scale=0.5, x_zero_point=1, truncate=True, **ends
    )
    wanted = np.trunc(x.astype(np.int64).sum(axis=(1, 2), keepdims=True) / 20)
    np.testing.assert_array_equal(reference(x, attrs), wanted)
    with pytest.raises(ValueError, match="truncated means keep scale and zero point"):
        replace(attrs, y_scale=0.25)
