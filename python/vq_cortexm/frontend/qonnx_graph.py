"""The graph that the QONNX import reads: its nodes, shapes, constants and who reads what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from ..errors import ModelError

DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")
QUANTIZERS = ("Quant", "IntQuant", "BipolarQuant", "Trunc")

OPSET = 13
"""The least version of ONNX's operators in what is written: scales per channel need it."""


def is_custom(node: Any) -> bool:
    """Whether the node is of QONNX's own operators."""
    return node.domain in DOMAINS


def is_qonnx(proto: Any) -> bool:
    """Whether a model has quantizers of QONNX."""
    return any(is_custom(node) and node.op_type in QUANTIZERS for node in proto.graph.node)


def where(node: Any) -> str:
    """How messages name a node."""
    return f"node {(node.name or node.output[0])!r} ({node.op_type})"


def attributes(node: Any) -> dict[str, Any]:
    """A node's attributes as Python values; strings decoded."""
    values = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return {k: v.decode() if isinstance(v, bytes) else v for k, v in values.items()}


class SourceGraph:
    """A QONNX model with ONNX operators of at least OPSET: its constants, shapes and consumers."""

    def __init__(self, proto: Any) -> None:
        if _opset(proto) < OPSET:
            proto = onnx.version_converter.convert_version(proto, OPSET)
        self.proto = proto
        graph = self.proto.graph
        self.constants = {t.name: np.asarray(numpy_helper.to_array(t)) for t in graph.initializer}
        self.inputs = [value for value in graph.input if value.name not in self.constants]
        self.outputs = [value.name for value in graph.output]
        self.shapes = _shapes(self.proto)
        self.uses = Counter([*self.outputs, *(name for node in graph.node for name in node.input)])
        self.readers = {name: node for node in graph.node for name in node.input}

    @property
    def opset(self) -> int:
        """The version of ONNX's operators."""
        return _opset(self.proto)

    def only_reader(self, name: str) -> Any | None:
        """The node that alone reads a tensor; None where several do, or the model's user."""
        return self.readers.get(name) if self.uses[name] == 1 else None

    def fold(self, node: Any) -> bool:
        """Makes the result of an ONNX operator on constants a constant; False for any other."""
        if node.op_type == "Shape" and 0 not in self.shapes.get(node.input[0], (0,)):
            given = attributes(node)
            part = slice(given.get("start"), given.get("end"))
            self.constants[node.output[0]] = np.array(self.shapes[node.input[0]][part], np.int64)
            return True
        if is_custom(node) or not all(name in self.constants for name in node.input if name):
            return False
        (value,) = self.evaluate(node, [self.constants[name] for name in node.input if name])
        self.constants[node.output[0]] = value
        return True

    def evaluate(self, node: Any, values: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """The results of an ONNX operator on numpy arrays, those of its inputs that are there."""
        names = [name for name in node.input if name]
        return list(ReferenceEvaluator(node).run(None, dict(zip(names, values, strict=True))))


def with_domains(proto: Any) -> Any:
    """The model with every QONNX domain of its nodes imported, as old exporters forgot to."""
    known = {entry.domain for entry in proto.opset_import}
    for domain in {node.domain for node in proto.graph.node if is_custom(node)} - known:
        proto.opset_import.append(helper.make_opsetid(domain, 1))
    return proto


def _opset(proto: Any) -> int:
    versions = [e.version for e in proto.opset_import if e.domain in ("", "ai.onnx")]
    if not versions:
        raise ModelError("no version of ONNX's operators is given")
    return int(versions[0])


def _shapes(proto: Any) -> dict[str, tuple[int, ...]]:
    """The shapes of all tensors, an open batch being 1 and any other open dimension 0."""
    plain = onnx.ModelProto()
    plain.CopyFrom(proto)
    for value in plain.graph.input:
        dims = value.type.tensor_type.shape.dim
        if len(dims) and dims[0].dim_value <= 0:
            dims[0].dim_value = 1
    del plain.graph.value_info[:]
    for value in plain.graph.output:
        value.type.tensor_type.ClearField("shape")
    for node in plain.graph.node:
        if is_custom(node):  # every quantizer keeps its input's shape
            node.op_type, node.domain = "Identity", ""
            del node.input[1:], node.attribute[:]
    inferred = onnx.shape_inference.infer_shapes(plain, data_prop=True).graph
    values = [*inferred.input, *inferred.value_info, *inferred.output]
    return {
        v.name: tuple(int(d.dim_value) for d in v.type.tensor_type.shape.dim)
        for v in values
        if v.type.tensor_type.HasField("shape")
    }
