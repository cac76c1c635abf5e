"""Binary nets as float ONNX, in the forms in which converters write Larq's, drawn from a seed.

The numbers of first layers and batch norms are multiples of powers of two, so that float32 computes
every sum before a sign exactly, and many of them are 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

NHWC, NCHW = [0, 2, 3, 1], [0, 3, 1, 2]
STEP = 1 / 64
"""Of the inputs, which are whole numbers of int8 times it."""


class LarqNet:
    """A float ONNX graph with one input `x`, an open batch in front of `shape`."""

    def __init__(self, shape: Sequence[int], seed: int = 1) -> None:
        self.rng = np.random.default_rng(seed)
        self.shape = list(shape)
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"constant_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        output = f"{operator.lower()}_{len(self.nodes)}"
        name = f"n_{output}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name, **attributes))
        return output

    def last(self, x: str) -> str:
        """Channels last, as Keras has them."""
        return self.node("Transpose", x, perm=NHWC)

    def first(self, x: str) -> str:
        """Channels first."""
        return self.node("Transpose", x, perm=NCHW)

    def sign(self, x: str) -> str:
        """Larq's ste_sign."""
        return self.node("Sign", self.node("Add", self.node("Sign", x), self.constant(0.1)))

    def at_least(self, x: str, scale: float = 1.0) -> str:
        """Another exporter's sign."""
        condition = self.node("GreaterOrEqual", x, self.constant(0))
        return self.node("Where", condition, self.constant(scale), self.constant(-scale))

    def below(self, x: str) -> str:
        """The same, the other way round."""
        condition = self.node("Less", x, self.constant(0))
        return self.node("Where", condition, self.constant(-1), self.constant(1))

    def float_weight(self, *shape: int) -> str:
        """Steps of 1/64, 127 in each output channel."""
        value = self.rng.integers(-126, 127, shape)
        value.reshape(shape[0], -1)[:, 0] = 127
        return self.constant(value * STEP)

    def signs(self, *shape: int, scales: bool = False) -> str:
        """-1 and +1, or a scale of either sign for each output channel."""
        along = (shape[0], *[1] * (len(shape) - 1))
        scale = 2.0 ** self.rng.integers(-3, 1, along) if scales else 1.0
        return self.constant(self.rng.choice([-1, 1], shape) * scale)

    def batch_norm(self, x: str, channels: int, step: float = 1.0, least: float = -1.0) -> str:
        """Factors from `least` up, and means that are numbers of steps."""
        gamma = self.rng.choice(np.array([-1, -0.5, 0.5, 1, 2]), channels)
        mean = self.rng.integers(-3, 4, channels) * 2 * step
        numbers = [np.maximum(gamma, least), np.zeros(channels), mean, np.full(channels, 4)]
        parameters = map(self.constant, numbers)
        return self.node("BatchNormalization", x, *parameters, epsilon=0.0)

    def model(self, *outputs: str) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *self.shape])],
            [helper.make_tensor_value_info(y, TensorProto.FLOAT, None) for y in outputs],
            self.initializers,
        )
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        proto = onnx.shape_inference.infer_shapes(proto)
        onnx.checker.check_model(proto)
        return proto


C = 32


def binary_net(*, logits: bool = True) -> onnx.ModelProto:
    """Larq's BinaryNet: channels last, zeros around maps, a pool before its batch norm, whose
    factors may be negative, and a flattening before a sign. (10, 10, 3) to 5 classes, or to all
    signs."""
    net = LarqNet((10, 10, 3))
    y = net.node("Conv", net.first("x"), net.float_weight(C, 3, 3, 3))
    a = net.sign(net.last(net.batch_norm(y, C, STEP**2)))
    y = net.node("Conv", net.first(a), net.signs(C, C, 3, 3), pads=[1, 1, 1, 1])
    y = net.node("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])
    y = net.last(net.batch_norm(y, C))
    flat = net.node("Reshape", y, net.constant([-1, 16 * C], np.int64))
    b = net.sign(flat)
    y = net.node("MatMul", b, net.node("Transpose", net.signs(64, 16 * C), perm=[1, 0]))
    y = net.node(
        "Add", net.node("Mul", y, net.constant(np.full(64, 0.5))), net.constant(-2 * np.ones(64))
    )
    c = net.sign(y)
    if not logits:
        return net.model(a, b, c)
    y = net.node("MatMul", c, net.node("Transpose", net.float_weight(5, 64), perm=[1, 0]))
    y = net.node("Add", y, net.constant(net.rng.normal(0, 1, 5)))
    return net.model(net.node("Softmax", y))


def residual_net() -> onnx.ModelProto:
    """As QuickNet: ones around maps, activations before batch norms, sums. (8, 8, 3) to 5."""
    net = LarqNet((8, 8, 3), 2)
    y = net.node("Conv", net.first("x"), net.float_weight(C, 3, 3, 3), pads=[1, 1, 1, 1])
    y = net.last(net.batch_norm(net.node("Relu", y), C, 1 / 8))
    for _ in range(2):
        widths = net.constant([0, 1, 1, 0] * 2, np.int64)
        z = net.node("Pad", net.sign(y), widths, net.constant(1))
        z = net.node("Relu", net.node("Conv", net.first(z), net.signs(C, C, 3, 3)))
        y = net.node("Add", y, net.last(net.batch_norm(z, C, 4.0)))
    y = net.node("ReduceMean", net.node("Relu", y), axes=[1, 2], keepdims=0)
    y = net.node("MatMul", y, net.node("Transpose", net.float_weight(5, C), perm=[1, 0]))
    return net.model(net.node("Add", y, net.constant(net.rng.normal(0, 1, 5))))


def other_exporter(*, logits: bool = True) -> onnx.ModelProto:
    """Channels first, comparisons as signs, a scale for each channel, biases. (3, 9, 9) to 4."""
    net = LarqNet((3, 9, 9), 3)
    bias = net.constant(net.rng.integers(-9, 9, C) / 64)
    a = net.at_least(net.node("Conv", "x", net.float_weight(C, 3, 3, 3), bias), 0.5)
    y = net.node("MaxPool", a, kernel_shape=[2, 2], strides=[1, 1])
    bias = net.constant(net.rng.integers(-9, 9, C))
    b = net.below(net.node("Conv", y, net.signs(C, C, 3, 3, scales=True), bias, strides=[2, 2]))
    if not logits:
        return net.model(a, b)
    y = net.node("Flatten", net.node("Conv", b, net.signs(C, C, 2, 2, scales=True)))
    return net.model(net.node("Gemm", y, net.float_weight(4, C), transB=1))


def integers(proto: onnx.ModelProto, count: int = 12, seed: int = 7) -> npt.NDArray[np.int8]:
    """int8 inputs, zeros first; times STEP they are what the net takes."""
    shape = [d.dim_value for d in proto.graph.input[0].type.tensor_type.shape.dim][1:]
    x = np.random.default_rng(seed).integers(-128, 128, (count, *shape)).astype(np.int8)
    x[0] = 0
    return x
