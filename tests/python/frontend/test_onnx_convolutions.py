"""ONNX's convolutions of all forms: transposed, of one dimension, in groups, dilated, strided; and
products of three dimensions. ONNX Runtime computes them in float, so within one step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx_layers import check_against_runtime, qdq_model

import vq_cortexm
from vq_cortexm.errors import ModelError
from vq_cortexm.frontend import from_onnx

# operator with attributes, input, weights, axis of their output channels, output
CASES = {
    "transposed": (
        "ConvTranspose <strides = [2, 2], pads = [1, 0, 1, 1], output_padding = [1, 0]>",
        ((1, 6, 5, 4), (6, 4, 3, 3), 1, (1, 4, 10, 8)),
    ),
    "transposed in groups": (
        "ConvTranspose <strides = [2, 3], group = 2, dilations = [2, 1]>",
        ((2, 6, 4, 3), (6, 2, 2, 3), 1, (2, 4, 9, 9)),
    ),
    "transposed line": (
        "ConvTranspose <strides = [2], pads = [1, 1]>",
        ((1, 4, 9), (4, 3, 4), 1, (1, 3, 18)),
    ),
    "line": (
        "Conv <strides = [2], pads = [1, 2], dilations = [2]>",
        ((1, 8, 15), (5, 8, 3), 0, (1, 5, 7)),
    ),
    "depthwise line": (
        "Conv <group = 4, pads = [1, 1]>",
        ((1, 4, 9), (8, 1, 3), 0, (1, 8, 9)),
    ),
    "dilated": (
        "Conv <dilations = [2, 3], pads = [2, 3, 2, 3]>",
        ((1, 8, 7, 9), (6, 8, 3, 3), 0, (1, 6, 7, 9)),
    ),
    "groups": (
        "Conv <group = 4, strides = [2, 1], pads = [1, 1, 0, 1]>",
        ((1, 16, 7, 6), (8, 4, 3, 3), 0, (1, 8, 3, 6)),
    ),
    "groups that are dilated": (
        "Conv <group = 2, dilations = [1, 2]>",
        ((2, 12, 5, 6), (10, 6, 2, 3), 0, (2, 10, 4, 2)),
    ),
    "depthwise of three": (
        "Conv <group = 4, pads = [1, 1, 1, 1], strides = [1, 2]>",
        ((2, 4, 6, 7), (12, 1, 3, 3), 0, (2, 12, 6, 4)),
    ),
    "dilated depthwise": (
        "Conv <group = 5, dilations = [2, 2], pads = [2, 2, 2, 2]>",
        ((1, 5, 8, 6), (5, 1, 3, 3), 0, (1, 5, 8, 6)),
    ),
}


def layer(case: Any) -> Any:
    operator, (x_shape, w_shape, axis, y_shape) = case
    rng = np.random.default_rng(0)
    channels, scales = y_shape[1], w_shape[axis]
    fan_in = np.prod(w_shape) / channels
    w_scale = (rng.uniform(0.3, 1, scales) * 0.05 / np.sqrt(fan_in) / 70 / 0.1).astype(np.float32)
    bias_scale = np.float32(0.1) * np.tile(w_scale, channels // scales)
    constants = {
        "w": rng.integers(-127, 128, w_shape).astype(np.int8),
        "sw": w_scale,
        "zw": np.zeros(scales, np.int8),
        "b": rng.integers(-900, 900, channels).astype(np.int32),
        "sb": bias_scale,
        "zb": np.zeros(channels, np.int32),
    }
    body = f"""
        rw = DequantizeLinear <axis = {axis}> (w, sw, zw)
        rb = DequantizeLinear <axis = 0> (b, sb, zb)
        ry = {operator} (rx, rw, rb)
    """
    scales_of = {"y": (0.05, 4)}
    return qdq_model(body, {"x": x_shape}, {"y": y_shape}, constants, scales_of)


@pytest.mark.parametrize("name", CASES)
def test_convolution(name: str) -> None:
    check_against_runtime(layer(CASES[name]), within=1)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("ry = ConvTranspose <output_shape = [9, 8]> (rx, plain)", "output_padding work"),
        ("ry = Resize (rx, , scales)", "sizes work"),
    ],
)
def test_forms_that_tvm_takes_as_others_are_refused(body: str, message: str) -> None:
    constants = {
        "plain": np.zeros((3, 2, 3, 3), np.float32),
        "scales": np.array([1, 1, 1.5, 1.3], np.float32),
    }
    model = qdq_model(body, {"x": (1, 3, 5, 4)}, {"y": (1, 2, 9, 8)}, constants)
    with pytest.raises(ModelError, match=message) as caught:
        from_onnx(model)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(1, 4, 1, 1), (4, 1, 1), (1,), (1, 1, 1)])
def test_constant_added_to_each_channel_is_the_bias(shape: tuple[int, ...]) -> None:
    model = check_against_runtime(_with_addend(shape), within=1)
    assert [step.op for step in model.program.steps] == ["transpose", "conv2d", "transpose"]


@pytest.mark.parametrize("shape", [(4,), (1, 1, 4, 1), (4, 4), (4, 1, 1, 1)])
def test_constant_added_along_rows_or_columns_is_no_bias(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="conv2d stays float before it"):
        vq_cortexm.build(from_onnx(_with_addend(shape)))


def _with_addend(shape: tuple[int, ...]) -> Any:
    """A convolution of as many channels as its output has rows and columns, and an addition."""
    rng = np.random.default_rng(0)
    body = """
        rw = DequantizeLinear(w, sw, zw)
        sums = Conv(rx, rw)
        ry = Add(sums, b)
    """
    constants = {
        "w": rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8),
        "sw": np.float32(0.004),
        "zw": np.int8(0),
        "b": rng.uniform(-4, 4, shape).astype(np.float32),
    }
    batch = 4 if shape == (4, 1, 1, 1) else 1
    return qdq_model(body, {"x": (1, 3, 6, 6)}, {"y": (batch, 4, 4, 4)}, constants)


def test_lines_in_a_row_keep_their_channels_last() -> None:
    """Two convolutions of one dimension with an activation between them: two transposes."""
    rng = np.random.default_rng(0)
    body = """
        rw = DequantizeLinear(w, sw, zw)
        first = Conv <pads = [1, 1]> (rx, rw)
        raised = Relu(first)
        q = QuantizeLinear(raised, sy, zy)
        rq = DequantizeLinear(q, sy, zy)
        ry = Conv <pads = [1, 1]> (rq, rw)
    """
    constants = {
        "w": rng.integers(-127, 128, (6, 6, 3)).astype(np.int8),
        "sw": np.float32(0.003),
        "zw": np.int8(0),
    }
    model = qdq_model(body, {"x": (1, 6, 8)}, {"y": (1, 6, 8)}, constants)
    compiled = check_against_runtime(model, within=1)
    steps = [step.op for step in compiled.program.steps]
    assert steps == ["transpose", "conv2d", "conv2d", "transpose"]


def test_product_of_three_dimensions_and_several_inputs() -> None:
    rng = np.random.default_rng(0)
    body = """
        rw = DequantizeLinear(w, sw, zw)
        ry = MatMul(ra, rw)
        rz = MatMul(rb, rw)
    """
    constants = {
        "w": rng.integers(-127, 128, (10, 7)).astype(np.int8),
        "sw": np.float32(0.004),
        "zw": np.int8(0),
    }
    inputs, outputs = {"a": (2, 3, 10), "b": (4, 10)}, {"y": (2, 3, 7), "z": (4, 7)}
    check_against_runtime(qdq_model(body, inputs, outputs, constants), within=1)
