"""Small float networks as ONNX and TFLite files, drawn from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from tflite_builder import TfliteBuilder

FloatArray = npt.NDArray[np.float32]


def samples(shape: Sequence[int], count: int = 40, seed: int = 5) -> FloatArray:
    """Inputs (count, *shape)."""
    return np.random.default_rng(seed).standard_normal((count, *shape), np.float32)


def write_data(path: Path, x: npt.NDArray[Any], **others: npt.NDArray[Any]) -> Path:
    """D.npz."""
    np.savez(path, x=x, **others)
    return path


class OnnxNet:
    """A float ONNX graph with one input `x`, an open batch in front of `shape`."""

    def __init__(self, shape: Sequence[int], seed: int = 1) -> None:
        self.rng = np.random.default_rng(seed)
        self.shape = list(shape)
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def constant(self, value: npt.NDArray[Any]) -> str:
        """An initializer."""
        name = f"constant_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(value, name))
        return name

    def weight(self, *shape: int) -> str:
        """Drawn weights; outputs have about the inputs' size."""
        deviation = np.prod(shape[1:]) ** -0.5
        return self.constant((self.rng.standard_normal(shape) * deviation).astype(np.float32))

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node; returns its output."""
        output = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def conv(self, x: str, *shape: int, **attributes: Any) -> str:
        """A convolution with drawn weights (O, I, KH, KW) and bias."""
        bias = self.constant(self.rng.standard_normal(shape[0]).astype(np.float32))
        return self.node("Conv", x, self.weight(*shape), bias, **attributes)

    def file(self, *outputs: str, opset: int = 17) -> bytes:
        """The model's bytes."""
        ends = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *self.shape])]
        results = [helper.make_tensor_value_info(y, TensorProto.FLOAT, None) for y in outputs]
        graph = helper.make_graph(self.nodes, "net", ends, results, self.initializers)
        ids = [helper.make_opsetid("", opset)]
        proto = helper.make_model(graph, opset_imports=ids, ir_version=8)
        proto = onnx.shape_inference.infer_shapes(proto)
        onnx.checker.check_model(proto)
        return bytes(proto.SerializeToString())


def residual_onnx() -> bytes:
    """Convolutions of all kinds, a sum, pools and a dense layer; input (3, 9, 8), output (5,)."""
    net = OnnxNet((3, 9, 8))
    stem = net.node("Relu", net.conv("x", 8, 3, 3, 3, pads=[1, 1, 1, 1]))
    deep = net.node("Relu", net.conv(stem, 8, 1, 3, 3, group=8, pads=[1, 1, 1, 1]))
    total = net.node("Relu", net.node("Add", stem, net.conv(deep, 8, 8, 1, 1)))
    pooled = net.node("MaxPool", total, kernel_shape=[2, 2], strides=[2, 2])
    mean = net.node("Flatten", net.node("GlobalAveragePool", pooled))
    return net.file(net.node("Gemm", mean, net.weight(5, 8), transB=1))


def chain_onnx() -> bytes:
    """Layers that ONNX Runtime computes on integers; input (3, 7, 7), output (6,)."""
    net = OnnxNet((3, 7, 7), seed=2)
    stem = net.node("Relu", net.conv("x", 8, 3, 3, 3, strides=[2, 2], pads=[1, 1, 1, 1]))
    deep = net.node("Relu", net.conv(stem, 8, 1, 3, 3, group=8, pads=[1, 1, 1, 1]))
    flat = net.node("Flatten", net.conv(deep, 4, 8, 1, 1))
    return net.file(net.node("Gemm", flat, net.weight(6, 64), transB=1))


def small_tflite(quantized: bool = False) -> bytes:
    """Convolution, depthwise, sum, mean, dense and softmax; input (8, 7, 3), output (4,).

    float32, or int8 with drawn weights and scales.
    """
    rng = np.random.default_rng(3)
    net = TfliteBuilder()

    def activation(shape: Sequence[int], scale: float, zero_point: int = -128) -> int:
        if quantized:
            return net.tensor(shape, scale, zero_point)
        return net.tensor(shape, dtype="float32")

    def parameters(shape: Sequence[int], axis: int, x_scale: float) -> list[int]:
        outputs = shape[axis]
        real = rng.standard_normal(shape) * (outputs / np.prod(shape)) ** 0.5
        bias = rng.standard_normal(outputs) * 0.5
        if not quantized:
            return [net.constant(value.astype(np.float32)) for value in (real, bias)]
        integers = np.clip(np.rint(real / 0.02), -127, 127).astype(np.int8)
        scaled = np.rint(bias / (x_scale * 0.02)).astype(np.int32)
        return [
            net.constant(integers, [0.02] * outputs, axis),
            net.constant(scaled, [x_scale * 0.02] * outputs),
        ]

    same = {"Padding": "SAME", "StrideH": 1, "StrideW": 1}
    x, stem = activation((1, 8, 7, 3), 0.03, 0), activation((1, 4, 4, 8), 0.02)
    down = {"Padding": "SAME", "StrideH": 2, "StrideW": 2, "FusedActivationFunction": "RELU"}
    net.add("CONV_2D", [x, *parameters((8, 3, 3, 3), 0, 0.03)], [stem], **down)
    deep = activation((1, 4, 4, 8), 0.03, 5)
    weights = parameters((1, 3, 3, 8), 3, 0.02)
    net.add("DEPTHWISE_CONV_2D", [stem, *weights], [deep], DepthMultiplier=1, **same)
    total = activation((1, 4, 4, 8), 0.03)
    net.add("ADD", [stem, deep], [total], FusedActivationFunction="RELU")
    pooled, logits = activation((1, 8), 0.02), activation((1, 4), 0.03, 3)
    net.add("MEAN", [total, net.constant(np.array([1, 2], np.int32))], [pooled])
    net.add("FULLY_CONNECTED", [pooled, *parameters((4, 8), 0, 0.02)], [logits])
    result = activation((1, 4), 1 / 256)
    net.add("SOFTMAX", [logits], [result], Beta=1.0)
    return net.build([x], [result])
