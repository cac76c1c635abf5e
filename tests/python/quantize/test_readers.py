"""Float networks as they are read compute what ONNX Runtime and LiteRT compute."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnxruntime
import pytest
from float_nets import (
    FloatArray,
    OnnxNet,
    chain_onnx,
    residual_onnx,
    samples,
    small_tflite,
)
from tflite_builder import TfliteBuilder, run_litert

from vq_cortexm.errors import ModelError
from vq_cortexm.quantize.evaluate import evaluate
from vq_cortexm.quantize.graph import FloatGraph, Scale
from vq_cortexm.quantize.read_onnx import read_onnx
from vq_cortexm.quantize.read_tflite import read_tflite


def _run(graph: FloatGraph, x: FloatArray) -> FloatArray:
    values = {graph.input: x}
    for node in graph.nodes:
        values[node.output] = evaluate(node, [values[name] for name in node.inputs])
    return values[graph.outputs[0]]


def _relu6_pools() -> bytes:
    net = OnnxNet((4, 8, 8))
    low, high = (net.constant(np.array(b, np.float32)) for b in (0, 6))
    y = net.node("Clip", net.conv("x", 6, 4, 3, 3, auto_pad="SAME_UPPER"), low, high)
    y = net.node("AveragePool", y, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    y = net.conv(y, 4, 3, 3, 3, group=2, pads=[2, 2, 2, 2], dilations=[2, 2])
    return net.file(net.node("MaxPool", y, kernel_shape=[2, 2]))


def _normalized() -> bytes:
    """Batch normalization behind a convolution, behind a ReLU, and constants that scale."""
    net = OnnxNet((3, 5, 5))

    def norm(x: str, channels: int) -> str:
        drawn = [net.rng.uniform(0.5, 2.0, channels).astype(np.float32) for _ in range(4)]
        return net.node("BatchNormalization", x, *map(net.constant, drawn))

    y = net.node("Relu", norm(net.node("Conv", "x", net.weight(4, 3, 1, 1)), 4))
    y = norm(y, 4)
    factor = net.constant(np.array([[[2.0]], [[0.5]], [[-1.0]], [[3.0]]], np.float32))
    return net.file(net.node("Mul", net.node("Relu", y), factor))


def _exported_reshape() -> bytes:
    """A reshape whose target is computed from the batch, as PyTorch exports it."""
    net = OnnxNet((2, 4, 3))
    y = net.conv("x", 5, 2, 2, 2)
    first = net.node("Gather", net.node("Shape", y), net.constant(np.array(0)))
    axis = net.constant(np.array([0]))
    parts = [net.node("Unsqueeze", first, axis), net.constant(np.array([-1]))]
    flat = net.node("Reshape", y, net.node("Concat", *parts, axis=0))
    dense = net.node("MatMul", flat, net.weight(30, 4))
    bias = net.constant(np.arange(4, dtype=np.float32))
    return net.file(net.node("Softmax", net.node("Add", dense, bias), axis=1))


def _joined() -> bytes:
    """A border of zeros, two parts joined, channels last in between."""
    net = OnnxNet((3, 6, 6))
    widths = net.constant(np.array([0, 0, 1, 2, 0, 0, 1, 0]))
    wide = net.conv(net.node("Pad", "x", widths), 4, 3, 3, 3)
    joined = net.node("Concat", wide, net.conv("x", 2, 3, 1, 1), axis=1)
    last = net.node("Transpose", net.conv(joined, 5, 6, 1, 1), perm=[0, 2, 3, 1])
    axes = net.node("ReduceMean", net.node("Transpose", last, perm=[0, 3, 1, 2]), axes=[2, 3])
    return net.file(net.node("Squeeze", axes, net.constant(np.array([2, 3]))))


def _renamed() -> bytes:
    """A layer's result under another name, read under both."""
    net = OnnxNet((2, 5, 5))
    same = net.node("Identity", net.conv("x", 3, 2, 2, 2))
    total = net.node("Add", net.node("Relu", same), net.node("Identity", same))
    return net.file(net.node("Identity", net.node("Dropout", total)))


def _old_softmax() -> bytes:
    """Over all axes from the second on, of which the last alone is not 1."""
    net = OnnxNet((2, 4, 3))
    target = net.constant(np.array([-1, 1, 4]))
    dense = net.node("Gemm", net.node("Flatten", net.conv("x", 5, 2, 2, 2)), net.weight(30, 4))
    last = net.node("Softmax", net.node("Reshape", dense, target), axis=1)
    return net.file(last, opset=12)


ONNX = [
    (_renamed, (2, 5, 5)),
    (_old_softmax, (2, 4, 3)),
    (residual_onnx, (3, 9, 8)),
    (chain_onnx, (3, 7, 7)),
    (_relu6_pools, (4, 8, 8)),
    (_normalized, (3, 5, 5)),
    (_exported_reshape, (2, 4, 3)),
    (_joined, (3, 6, 6)),
]


@pytest.mark.parametrize(("make", "shape"), ONNX)
def test_onnx_equals_onnx_runtime(make: Callable[[], bytes], shape: tuple[int, ...]) -> None:
    data, x = make(), samples(shape, 3)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    # one by one: a constant of the file may hold the batch
    expected = np.concatenate([session.run(None, {"x": one[np.newaxis]})[0] for one in x])
    graph = read_onnx(data, "net")
    assert graph.input_shape == shape
    np.testing.assert_allclose(_run(graph, x), expected, rtol=1e-4, atol=1e-5)


def test_normalization_and_constant_factors_join_a_convolution() -> None:
    ops = [node.op for node in read_onnx(_normalized(), "net").nodes]
    assert ops == ["conv", "conv", "conv"]


def test_float_tflite_equals_litert() -> None:
    data, x = small_tflite(), samples((8, 7, 3), 3)
    expected = np.concatenate([run_litert(data, one[np.newaxis]) for one in x])
    np.testing.assert_allclose(_run(read_tflite(data, "net"), x), expected, rtol=1e-4, atol=1e-5)


def test_pools_and_borders_of_tflite_equal_litert() -> None:
    rng = np.random.default_rng(6)
    net = TfliteBuilder()

    def tensor(*shape: int) -> int:
        return net.tensor(shape, dtype="float32")

    x, padded = tensor(1, 5, 6, 2), tensor(1, 8, 8, 2)
    widths = net.constant(np.array([[0, 0], [1, 2], [2, 0], [0, 0]], np.int32))
    net.add("PAD", [x, widths], [padded])
    first, second = tensor(1, 4, 4, 2), tensor(1, 4, 4, 2)
    window = {"FilterHeight": 3, "FilterWidth": 3, "StrideH": 2, "StrideW": 2, "Padding": "SAME"}
    net.add("AVERAGE_POOL_2D", [padded], [first], **window)
    net.add("MAX_POOL_2D", [padded], [second], **window)
    joined, clipped = tensor(1, 4, 4, 4), tensor(1, 4, 4, 4)
    net.add("CONCATENATION", [first, second], [joined], Axis=3)
    net.add("RELU6", [joined], [clipped])
    flat, y = tensor(1, 64), tensor(1, 3)
    target = net.constant(np.array([1, 64], np.int32))
    net.add("RESHAPE", [clipped, target], [flat], NewShape=[1, 64])
    net.add("FULLY_CONNECTED", [flat, net.constant(rng.random((3, 64), np.float32))], [y])
    data, inputs = net.build([x], [y]), samples((5, 6, 2), 3)
    expected = np.concatenate([run_litert(data, one[np.newaxis]) for one in inputs])
    np.testing.assert_allclose(_run(read_tflite(data, "net"), inputs), expected, rtol=1e-4)


def test_int8_tflite_is_read_with_its_scales() -> None:
    data = small_tflite(quantized=True)
    graph = read_tflite(data, "net")
    assert graph.scales[graph.input] == Scale(float(np.float32(0.03)), 0)
    integers = np.random.default_rng(1).integers(-128, 128, (5, 8, 7, 3)).astype(np.int8)
    expected = np.concatenate([run_litert(data, one[np.newaxis]) for one in integers])
    got = _run(graph, integers * np.float32(0.03)) * 256 - 128
    assert len(np.unique(expected)) > 5
    # LiteRT clips and rounds every activation, the float network none
    assert np.abs(got - expected).mean() < 6


class _Refused:
    @staticmethod
    def two_inputs() -> bytes:
        net = TfliteBuilder()
        a, b, y = (net.tensor((1, 3), dtype="float32") for _ in range(3))
        net.add("ADD", [a, b], [y])
        return net.build([a, b], [y])

    @staticmethod
    def without_weights() -> bytes:
        net = TfliteBuilder()
        x, y = (net.tensor((1, 3), dtype="float32") for _ in range(2))
        net.add("RELU", [x], [y])
        return net.build([x], [y])

    @staticmethod
    def unknown_operator() -> bytes:
        net = TfliteBuilder()
        x, y = (net.tensor((1, 3), dtype="float32") for _ in range(2))
        net.add("TANH", [x], [y])
        return net.build([x], [y])


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (_Refused.two_inputs(), "2 inputs"),
        (_Refused.without_weights(), "no convolution"),
        (_Refused.unknown_operator(), "TANH"),
        (small_tflite()[:300], "damaged"),
        (b"", "not a TFLite model"),
    ],
)
def test_tflite_that_is_not_supported_is_refused(data: bytes, names: str) -> None:
    with pytest.raises(ModelError, match=names) as caught:
        read_tflite(data, "bad.tflite")
    assert "bad.tflite" in str(caught.value)
    assert "\n" not in str(caught.value)


def _onnx_of(
    operator: str, shape: tuple[int, ...] = (3, 4, 4), opset: int = 17, **attributes: object
) -> bytes:
    net = OnnxNet(shape)
    return net.file(net.node(operator, "x", **attributes), opset=opset)


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (_onnx_of("Sigmoid"), "Sigmoid"),
        (_onnx_of("Relu"), "no convolution"),
        (_onnx_of("Softmax", axis=1), "last"),
        (_onnx_of("Softmax", opset=11), "last"),
        (_onnx_of("Softmax", (4,), opset=11, axis=0), "last"),
        (_onnx_of("AveragePool", opset=19, kernel_shape=[2, 2], dilations=[2, 1]), "dilated"),
        (_onnx_of("Transpose", perm=[1, 0, 2, 3]), "batch"),
        (_onnx_of("MaxPool", kernel_shape=[2, 2], ceil_mode=1), "ceil_mode"),
        (b"nonsense", "not a valid ONNX model"),
    ],
)
def test_onnx_that_is_not_supported_is_refused(data: bytes, names: str) -> None:
    with pytest.raises(ModelError, match=names) as caught:
        read_onnx(data, "bad.onnx")
    assert "bad.onnx" in str(caught.value)
    assert "\n" not in str(caught.value)
