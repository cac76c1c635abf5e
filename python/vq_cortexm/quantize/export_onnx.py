"""A quantized network → ONNX QDQ: DequantizeLinear, the float operator, QuantizeLinear.

Weights are int8 behind a DequantizeLinear with a scale for each output channel, biases int32 at
input scale x weight scale. The network takes and returns float32, and any batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper, shape_inference

from .._version import __version__
from .graph import MOVES, Node, Scale, Window
from .layer_fit import QuantizedLayer
from .quantize_graph import QuantizedGraph

_OPSET, _IR_VERSION = 17, 8
_BATCH = "N"


def to_onnx(quantized: QuantizedGraph, metadata: Mapping[str, str]) -> ModelProto:
    """The checked model; `metadata` becomes its metadata_props."""
    return _Writer(quantized).run(metadata)


class _Writer:
    """A tensor t is `t_int8` as integers and `t_real` behind its DequantizeLinear."""

    def __init__(self, quantized: QuantizedGraph) -> None:
        self.quantized = quantized
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.made: set[str] = set()

    def run(self, metadata: Mapping[str, str]) -> ModelProto:
        graph = self.quantized.graph
        self._quantize(graph.input, graph.input)
        for node in graph.nodes:
            if node.op in MOVES:
                self._move(node)
            else:
                value = self._clamp(node, _RULES[node.op](self, node))
                self._quantize(value, node.output, layer=node.name)
        for name in graph.outputs:
            self._dequantize(name, name)
        shape = [_BATCH, *graph.input_shape]
        made = helper.make_graph(
            self.nodes,
            "quantized",
            [helper.make_tensor_value_info(graph.input, TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in graph.outputs],
            self.initializers,
        )
        opset = helper.make_opsetid("", _OPSET)
        proto = helper.make_model(made, opset_imports=[opset], ir_version=_IR_VERSION)
        proto.producer_name, proto.producer_version = "vq-cortexm", __version__
        helper.set_model_props(proto, dict(metadata))
        proto = shape_inference.infer_shapes(proto, strict_mode=True)
        checker.check_model(proto)
        return proto

    def node(
        self, operator: str, inputs: Sequence[str], output: str, name: str = "", **attributes: Any
    ) -> str:
        """Appends a node; returns its output."""
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name, **attributes))
        return output

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """An initializer, written once."""
        if name not in self.made:
            self.made.add(name)
            self.initializers.append(numpy_helper.from_array(value, name))
        return name

    def real(self, name: str) -> str:
        """A tensor as float, dequantized once."""
        real = f"{name}_real"
        if real not in self.made:
            self.made.add(real)
            self._dequantize(name, real)
        return real

    def layer(self, node: Node) -> tuple[QuantizedLayer, float]:
        """A layer's integers and its input's scale."""
        return self.quantized.layers[node.name], self.quantized.scales[node.inputs[0]].scale

    def parameter(self, name: str, value: NDArray[Any], scale: NDArray[np.float32]) -> str:
        """Integers with a scale for each index of their first axis, dequantized."""
        inputs = [
            self.constant(f"{name}_integers", value),
            self.constant(f"{name}_scale", scale),
            self.constant(f"{name}_zero_point", np.zeros(scale.shape, value.dtype)),
        ]
        return self.node("DequantizeLinear", inputs, name, axis=0)

    def _ends(self, name: str) -> list[str]:
        scale: Scale = self.quantized.scales[name]
        return [
            self.constant(f"{name}_scale", np.array(scale.scale, np.float32)),
            self.constant(f"{name}_zero_point", np.array(scale.zero_point, np.int8)),
        ]

    def _quantize(self, value: str, name: str, layer: str = "") -> None:
        """Reports call a layer as the node is called that ends it."""
        self.node("QuantizeLinear", [value, *self._ends(name)], f"{name}_int8", name=layer)

    def _dequantize(self, name: str, real: str) -> None:
        self.node("DequantizeLinear", [f"{name}_int8", *self._ends(name)], real)

    def _clamp(self, node: Node, value: str) -> str:
        if not node.has_clamp:
            return value
        output = f"{node.output}_clamped"
        if (node.low, node.high) == (0.0, math.inf):
            return self.node("Relu", [value], output)
        bounds = [node.low, node.high]
        names = [
            "" if math.isinf(b) else self.constant(f"{output}_{i}", np.array(b, np.float32))
            for i, b in enumerate(bounds)
        ]
        return self.node("Clip", [value, *names] if names[1] else [value, names[0]], output)

    def _move(self, node: Node) -> None:
        source, output = f"{node.inputs[0]}_int8", f"{node.output}_int8"
        if node.op == "transpose":
            self.node("Transpose", [source], output, perm=node.numbers)
            return
        shape = np.array([-1, *node.numbers], np.int64)
        self.node("Reshape", [source, self.constant(f"{node.output}_shape", shape)], output)


def _product(writer: _Writer, node: Node) -> str:
    layer, x_scale = writer.layer(node)
    scale = (np.float32(x_scale) * layer.w_scale).astype(np.float32)
    limits = np.iinfo(np.int32)
    bias = np.clip(np.rint(layer.bias / scale.astype(np.float64)), limits.min, limits.max)
    is_conv = node.window is not None
    weight = layer.weight.transpose(0, 3, 1, 2) if is_conv else layer.weight
    inputs = [
        writer.real(node.inputs[0]),
        writer.parameter(f"{node.output}_weight", np.ascontiguousarray(weight), layer.w_scale),
        writer.parameter(f"{node.output}_bias", bias.astype(np.int32), scale),
    ]
    if node.window is None:
        return writer.node("Gemm", inputs, f"{node.output}_product", transB=1)
    fields = {**_fields(node.window), "dilations": node.window.dilation, "group": node.groups}
    return writer.node("Conv", inputs, f"{node.output}_product", **fields)


def _fields(window: Window) -> dict[str, Any]:
    return {"kernel_shape": window.size, "strides": window.strides, "pads": window.padding}


def _pool(writer: _Writer, node: Node) -> str:
    assert node.window is not None
    real, fields = writer.real(node.inputs[0]), _fields(node.window)
    if node.op == "avg_pool":  # of this opset it has no dilation, and readers take none
        return writer.node("AveragePool", [real], f"{node.output}_pooled", **fields)
    fields["dilations"] = node.window.dilation
    return writer.node("MaxPool", [real], f"{node.output}_pooled", **fields)


def _pad(writer: _Writer, node: Node) -> str:
    top, left, bottom, right = node.numbers
    widths = np.array([0, 0, top, left, 0, 0, bottom, right], np.int64)
    inputs = [writer.real(node.inputs[0]), writer.constant(f"{node.output}_widths", widths)]
    return writer.node("Pad", inputs, f"{node.output}_padded")


def _plain(operator: str, **attributes: Any) -> Callable[[_Writer, Node], str]:
    def write(writer: _Writer, node: Node) -> str:
        inputs = [writer.real(name) for name in node.inputs]
        return writer.node(operator, inputs, f"{node.output}_plain", **attributes)

    return write


_RULES: dict[str, Callable[[_Writer, Node], str]] = {
    "conv": _product,
    "dense": _product,
    "add": _plain("Add"),
    "avg_pool": _pool,
    "max_pool": _pool,
    "mean": _plain("GlobalAveragePool"),
    "softmax": _plain("Softmax", axis=-1),
    "concat": _plain("Concat", axis=1),
    "pad": _pad,
    "identity": lambda writer, node: writer.real(node.inputs[0]),
}
