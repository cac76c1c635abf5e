"""QONNX files without what an exporter wastes.

Quantized weights are float32 there, of which a quarter or a thirty-second says it all. ONNX's own
operators on constants make the floats again, which every reader folds:

    int8 steps      Cast ─ Mul(scale) ─► Quant
    bits, 8 a byte  BitShift(0 … 7) ─ Mod 2 ─ Cast ─ Mul 2 ─ Sub 1 ─ Slice ─ Reshape ─► BipolarQuant

A batch norm is a factor and a term for each channel; its means and variances are zeros and ones,
made by ConstantOfShape. What else depends on constants alone is computed, and tensors get short
names.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from ..frontend.qonnx_graph import attributes, is_custom
from ..frontend.qonnx_values import Quantizer

_SMALLEST = 256
"""Weights from which it is worth its nodes."""


def compact_weights(proto: Any) -> None:
    """Rewrites an `onnx.ModelProto` in place: no quantized constant changes, and of a batch norm
    only what rounding its factors and terms to float32 changes."""
    _fold(proto.graph)
    _merge_batch_norms(proto.graph)
    _Compactor(proto.graph).run()
    _rename(proto.graph)


def _fold(graph: Any) -> None:
    """Operators of ONNX on constants become constants."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    kept = []
    for node in graph.node:
        names = [name for name in node.input if name]
        if is_custom(node) or not all(name in constants for name in names):
            kept.append(node)
            continue
        known = {name: constants[name] for name in names}
        (value,) = ReferenceEvaluator(node).run(None, known)
        constants[node.output[0]] = np.asarray(value)
    _replace(graph, kept, constants)


def _merge_batch_norms(graph: Any) -> None:
    """Means and variances go into factors and terms."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    made: dict[str, NDArray[Any]] = {}
    nodes = []
    for node in graph.node:
        if node.op_type == "BatchNormalization":
            factor, term, mean, variance = (
                constants[name].astype(np.float64) for name in node.input[1:]
            )
            factor = factor / np.sqrt(variance + attributes(node).get("epsilon", 1e-5))
            merged = {"factor": factor, "term": term - mean * factor}
            merged = {f"{node.output[0]}.{k}": v.astype(np.float32) for k, v in merged.items()}
            shape = f"{factor.size}.shape"
            same = {f"{factor.size}.zeros": 0.0, f"{factor.size}.ones": 1.0}
            for name, number in same.items() if shape not in made else ():
                value = numpy_helper.from_array(np.array([number], np.float32))
                nodes.append(helper.make_node("ConstantOfShape", [shape], [name], value=value))
            made |= {**merged, shape: np.array(factor.shape)}
            inputs = [node.input[0], *merged, *same]
            node = helper.make_node(node.op_type, inputs, node.output, epsilon=0.0)
        nodes.append(node)
    _replace(graph, nodes, {**constants, **made})


def _replace(graph: Any, nodes: list[Any], constants: dict[str, NDArray[Any]]) -> None:
    """The nodes, and those constants that they read."""
    read = {name for node in nodes for name in node.input}
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    used = {name: value for name, value in constants.items() if name in read}
    graph.initializer.extend(numpy_helper.from_array(v, name) for name, v in used.items())


def _rename(graph: Any) -> None:
    """Inputs and outputs keep their names; operators have none."""
    names = {value.name: value.name for value in (*graph.input, *graph.output)}

    def short(name: str) -> str:
        return names.setdefault(name, f"t{len(names)}") if name else ""

    for tensor in graph.initializer:
        tensor.name = short(tensor.name)
    for node in graph.node:
        inputs, outputs = ([short(n) for n in part] for part in (node.input, node.output))
        del node.input[:], node.output[:]
        node.input.extend(inputs)
        node.output.extend(outputs)
        node.name = ""
    del graph.value_info[:]


class _Compactor:
    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.nodes: list[Any] = []

    def run(self) -> None:
        for node in self.graph.node:
            weight = self.constants.get(node.input[0]) if node.input else None
            if weight is not None and np.prod(weight.dims) >= _SMALLEST:
                value = numpy_helper.to_array(weight)
                if node.op_type == "BipolarQuant":
                    self._replace(weight)
                    self._bits(weight.name, value)
                elif node.op_type == "Quant":
                    self._steps(weight, value, node)
            self.nodes.append(node)
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)

    def _steps(self, weight: Any, value: NDArray[Any], node: Any) -> None:
        scale, zero_point, bits = (
            np.asarray(numpy_helper.to_array(self.constants[name]), np.float32)
            for name in node.input[1:4]
        )
        given = attributes(node)
        quantizer = Quantizer(
            scale,
            zero_point,
            int(bits.reshape(())),
            bool(given.get("signed", 1)),
            bool(given.get("narrow", 1)),
            str(given.get("rounding_mode", "ROUND")).upper(),
        )
        steps = quantizer.constant(value).steps
        again = quantizer.constant(np.asarray(steps * scale, np.float32)).steps
        if np.abs(steps).max() > np.iinfo(np.int8).max or not np.array_equal(again, steps):
            return
        self._replace(weight)
        name = weight.name
        stored = self._constant(f"{name}.steps", steps.astype(np.int8))
        real = self._node("Cast", [stored], f"{name}.real", to=TensorProto.FLOAT)
        self._node("Mul", [real, node.input[1]], name)

    def _bits(self, name: str, value: NDArray[Any]) -> None:
        flat = value.reshape(-1) >= 0
        stored = self._constant(f"{name}.bits", np.packbits(flat, bitorder="little")[:, np.newaxis])
        places = self._constant(f"{name}.places", np.arange(8, dtype=np.uint8))
        two = self._constant(f"{name}.two", np.array(2, np.uint8))
        y = self._node("BitShift", [stored, places], f"{name}.shifted", direction="RIGHT")
        y = self._node("Mod", [y, two], f"{name}.bit")
        y = self._node("Cast", [y], f"{name}.zero_or_one", to=TensorProto.FLOAT)
        factor = self._constant(f"{name}.factor", np.array(2, np.float32))
        y = self._node("Mul", [y, factor], f"{name}.doubled")
        one = self._constant(f"{name}.one", np.array(1, np.float32))
        y = self._node("Sub", [y, one], f"{name}.signs")
        line = self._constant(f"{name}.line", np.array([-1], np.int64))
        y = self._node("Reshape", [y, line], f"{name}.flat")
        ends = [
            self._constant(f"{name}.{k}", np.array([v], np.int64))
            for k, v in (("first", 0), ("last", flat.size))
        ]
        y = self._node("Slice", [y, *ends], f"{name}.cut")
        shape = self._constant(f"{name}.shape", np.array(value.shape, np.int64))
        self._node("Reshape", [y, shape], name)

    def _replace(self, weight: Any) -> None:
        self.graph.initializer.remove(weight)
        # a second quantizer, of a layer that is called twice, reads the tensor that is made now
        del self.constants[weight.name]

    def _constant(self, name: str, value: NDArray[Any]) -> str:
        self.graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def _node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output
