"""Other weights for an ONNX QDQ file: each product gets initializers of its own, behind
DequantizeLinear nodes; what nothing reads any more is dropped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from ..errors import ModelError
from .product import Product

_PRODUCTS = ("Conv", "Gemm", "MatMul")
_ACTIVATIONS = ("Relu", "Clip")
Layer = tuple[Any, Any]
"""A product's node, and the node that adds its bias."""
_LEAST_OPSET = 13
"""From it on DequantizeLinear takes one scale for each channel."""


def replace_onnx_weights(data: bytes, products: Sequence[Product | None], name: str) -> bytes:
    """The file with the constants of `products`: one for each layer, in the order of the
    QuantizeLinear nodes that end them; None for one that stays. ModelError, naming the file, for
    an opset without scales by channel or for layers that are not written as QDQ."""
    model = onnx.load_model_from_string(data)
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    if opset < _LEAST_OPSET:
        raise ModelError(
            f"{name}: opset {opset} has no scales by channel; convert it to {_LEAST_OPSET} or newer"
        )
    graph = _Graph(model.graph)
    layers = graph.layers()
    if len(layers) != len(products):
        raise ModelError(
            f"{name}: {len(layers)} of its {len(products)} layers are a Conv, Gemm or MatMul in "
            "front of a QuantizeLinear (QDQ); export-int8 needs all of them to be"
        )
    graph.replace(layers, products)
    return bytes(model.SerializeToString())


class _Graph:
    """An ONNX graph whose nodes get new inputs."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.nodes = list(graph.node)
        self.producers = {output: node for node in self.nodes for output in node.output}
        self.names = {value for node in self.nodes for value in (*node.input, *node.output)}

    def layers(self) -> list[Layer]:
        """In the order of the QuantizeLinear nodes that end them."""
        live = self._live()
        ends = [n for n in self.nodes if n.op_type == "QuantizeLinear" and id(n) in live]
        return [layer for end in ends if (layer := self._layer(end.input[0])) is not None]

    def replace(self, layers: Sequence[Layer], products: Sequence[Product | None]) -> None:
        """Gives the layers their constants."""
        for (node, bias_node), product in zip(layers, products, strict=True):
            if product is not None:
                self._replace(node, bias_node, product)
        live = self._live()
        kept = [node for node in self.nodes if id(node) in live]
        read = {value for node in kept for value in node.input}
        read |= {output.name for output in self.graph.output}
        initializers = [i for i in self.graph.initializer if i.name in read]
        _assign(self.graph.node, kept)
        _assign(self.graph.initializer, initializers)

    def _live(self) -> set[int]:
        """Identities of the nodes that some output needs."""
        live: set[int] = set()
        waiting = [output.name for output in self.graph.output]
        while waiting:
            node = self.producers.get(waiting.pop())
            if node is not None and id(node) not in live:
                live.add(id(node))
                waiting += node.input
        return live

    def _layer(self, value: str) -> Layer | None:
        """The product behind a value that is quantized, and the node that adds its bias."""
        node = self.producers.get(value)
        while node is not None and node.op_type in _ACTIVATIONS:
            node = self.producers.get(node.input[0])
        if node is None or node.op_type in _PRODUCTS:
            return None if node is None else (node, node)
        if node.op_type == "Add":
            for given in node.input:
                source = self.producers.get(given)
                if source is not None and source.op_type in _PRODUCTS:
                    return source, node
        return None

    def _replace(self, node: Any, bias_node: Any, product: Product) -> None:
        weight, axis = _stored(node, product)
        node.input[1] = self._dequantized(node, "weight", weight, product.weights.w_scale, axis)
        bias, place = product.weights.bias, 2
        if bias_node is not node:
            place = 0 if node.output[0] == bias_node.input[1] else 1
            if node.op_type == "Conv":
                bias = bias.reshape(-1, 1, 1)
        if place < len(bias_node.input):
            dequantized = self._dequantized(bias_node, "bias", bias, product.bias_scale, 0)
            bias_node.input[place] = dequantized

    def _dequantized(
        self, user: Any, what: str, value: NDArray[Any], scale: NDArray[np.float32], axis: int
    ) -> str:
        """The output of a new DequantizeLinear node before `user`."""
        stem = self._unused(f"{user.output[0]}_{what}")
        parts = {
            "quantized": value,
            "scale": scale,
            "zero_point": np.zeros(len(scale), value.dtype),
        }
        inputs = [f"{stem}_{part}" for part in parts]
        for name, content in zip(inputs, parts.values(), strict=True):
            contiguous = np.ascontiguousarray(content)
            self.graph.initializer.append(numpy_helper.from_array(contiguous, name))
        node = helper.make_node("DequantizeLinear", inputs, [stem], stem, axis=axis)
        self.nodes.insert(next(i for i, other in enumerate(self.nodes) if other is user), node)
        self.producers[stem] = node
        return stem

    def _unused(self, stem: str) -> str:
        while any(name.startswith(stem) for name in self.names):
            stem += "_"
        self.names.add(stem)
        return stem


def _stored(node: Any, product: Product) -> tuple[NDArray[np.int8], int]:
    """Weights as the node has them, and their output channel axis."""
    if node.op_type == "Conv":
        return product.ohwi.transpose(0, 3, 1, 2), 0
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    if node.op_type == "Gemm" and attributes.get("transB", 0):
        return product.weights.weight, 0
    return product.weights.weight.T, 1


def _assign(field: Any, values: list[Any]) -> None:
    """Puts messages into a repeated field; copies, because clearing it ends the old ones."""
    copies = [type(value).FromString(value.SerializeToString()) for value in values]
    del field[:]
    field.extend(copies)
