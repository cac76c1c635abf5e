"""`vq.dense` against TensorFlow Lite Micro and LiteRT."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tflite_builder import TfliteBuilder, quantize_clamp, run_litert, run_tflm

from vq_cortexm.op.dense import DenseAttrs, macs, output_shape, reference

# rows, inputs, outputs, a scale per channel, activation
CASES = [
    (1, 64, 12, False, "NONE"),
    (3, 17, 33, False, "RELU"),
    (1, 640, 128, False, "RELU6"),
    (2, 40, 21, True, "NONE"),
    (1, 1, 1, False, "NONE"),
    (4, 9, 10, True, "RELU_N1_TO_1"),
]


def _layer(case: Any, seed: int, rounding: str) -> tuple[bytes, Any, Any]:
    rows, depth, outputs, per_channel, activation = case
    rng = np.random.default_rng(seed)
    x_scale, x_zero_point = (
        float(np.float32(np.exp(rng.uniform(-5, 0)))),
        int(rng.integers(-128, 128)),
    )
    w_scale = np.exp(rng.uniform(-9, -2, outputs if per_channel else 1)).astype(np.float32)
    spread = x_scale * float(np.exp(np.log(w_scale).mean())) * 5500 * depth**0.5
    y_scale, y_zero_point = float(np.float32(spread / 40)), int(rng.integers(-128, 128))
    y_min, y_max = quantize_clamp(activation, y_scale, y_zero_point, rounding=rounding)
    attrs = DenseAttrs(x_scale, x_zero_point, y_scale, y_zero_point, y_min, y_max, rounding)
    x = rng.integers(-128, 128, (rows, depth)).astype(np.int8)
    w = rng.integers(-127, 128, (outputs, depth)).astype(np.int8)
    b = rng.integers(-20000, 20000, outputs).astype(np.int32)
    builder = TfliteBuilder()
    tx = builder.tensor(x.shape, x_scale, x_zero_point)
    tw = builder.constant(w, w_scale)
    tb = builder.constant(b, np.float32(x_scale) * w_scale)
    ty = builder.tensor((rows, outputs), y_scale, y_zero_point)
    builder.add("FULLY_CONNECTED", [tx, tw, tb], [ty], FusedActivationFunction=activation)
    scales = np.broadcast_to(w_scale, outputs)
    return builder.build([tx], [ty]), x, reference(x, w, b, scales, attrs)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", range(10))
def test_double_equals_tflm(case: Any, seed: int) -> None:
    model, x, y = _layer(case, seed, "double")
    np.testing.assert_array_equal(y, run_tflm(model, x))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", range(10))
def test_float_equals_litert(case: Any, seed: int) -> None:
    model, x, y = _layer(case, seed, "float")
    np.testing.assert_array_equal(y, run_litert(model, x))


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(
    ("rounding", "run"), [("double", run_tflm), ("float", run_litert)], ids=["tflm", "litert"]
)
@pytest.mark.parametrize("seed", range(4))
def test_accumulators_next_to_halves(per_channel: bool, rounding: str, run: Any, seed: int) -> None:
    """Biases around (k + 1/2) / scale show the last bit of every scale and product."""
    rng = np.random.default_rng(seed)
    outputs = 20000
    x_scale, y_scale = 0.037109375 + 1e-4 * seed, 0.0471
    w_scale = np.float32(rng.uniform(1e-6, 3e-6, outputs if per_channel else 1))
    scales = np.broadcast_to(w_scale, outputs)
    halves = rng.integers(-120, 120, outputs) + 0.5
    b = np.rint(halves * y_scale / x_scale / scales + rng.integers(-6, 7, outputs)).astype(np.int32)
    w = np.zeros((outputs, 1), np.int8)
    attrs = DenseAttrs(x_scale, 0, y_scale, 0, -128, 127, rounding)
    builder = TfliteBuilder()
    tx = builder.tensor((1, 1), x_scale, 0)
    tw = builder.constant(w, w_scale)
    tb = builder.constant(b, np.float32(x_scale) * w_scale)
    ty = builder.tensor((1, outputs), y_scale, 0)
    builder.add("FULLY_CONNECTED", [tx, tw, tb], [ty], FusedActivationFunction="NONE")
    x = np.array([[5]], np.int8)
    expected = run(builder.build([tx], [ty]), x)
    np.testing.assert_array_equal(reference(x, w, b, scales, attrs), expected)


def test_shapes_and_errors() -> None:
    attrs = DenseAttrs(0.1, 0, 0.1, 0, -128, 127)
    assert output_shape((2, 3, 8), (5, 8), attrs) == (2, 3, 5)
    assert macs((2, 3, 8), (5, 8), attrs) == 2 * 3 * 5 * 8
    with pytest.raises(ValueError, match="do not fit"):
        output_shape((1, 7), (5, 8), attrs)
