"""A float ONNX file made plain: static shapes, and constants in place of what computes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from ..errors import ModelError, first_line

_FOLDED_AT_MOST = 1 << 16
"""Numbers in a constant that a node computes from constants (shapes, axes)."""


@dataclass(frozen=True, eq=False)
class OnnxOperator:
    """A node: its type, name for messages, inputs ("" where left out), outputs, attributes."""

    type: str
    label: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass(frozen=True, eq=False)
class OnnxGraph:
    """Operators in order, as `opset` has them; values known beforehand, and the shapes of all
    others."""

    opset: int
    operators: tuple[OnnxOperator, ...]
    constants: dict[str, NDArray[Any]]
    shapes: dict[str, tuple[int, ...]]
    input: str
    outputs: tuple[str, ...]


def read_onnx_graph(data: bytes) -> OnnxGraph:
    """The graph of a file with one input, a batch in front that becomes 1; else ModelError."""
    proto = _parsed(data)
    graph = proto.graph
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1:
        raise ModelError(f"has {len(inputs)} inputs; one works")
    dims = inputs[0].type.tensor_type.shape.dim
    if len(dims) < 2 or any(d.dim_value < 1 for d in dims[1:]):
        raise ModelError(f"input {inputs[0].name!r} needs a batch and static sizes behind it")
    dims[0].dim_value = 1
    shapes = _shapes(proto)
    operators = []
    for index, node in enumerate(graph.node):
        operator = _operator(node, index)
        if not _fold(node, operator, constants, shapes):
            operators.append(operator)
    names = tuple(value.name for value in graph.output)
    opset = next(o.version for o in proto.opset_import if o.domain in ("", "ai.onnx"))
    return OnnxGraph(opset, tuple(operators), constants, shapes, inputs[0].name, names)


def _parsed(data: bytes) -> Any:
    try:
        proto = onnx.load_model_from_string(data)
        onnx.checker.check_model(proto)
    except Exception as error:  # protobuf's and the checker's own types
        raise ModelError(f"not a valid ONNX model: {first_line(error)}") from None
    return proto


def _shapes(proto: Any) -> dict[str, tuple[int, ...]]:
    # what the file says of tensors inside may hold another batch
    del proto.graph.value_info[:]
    for value in proto.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        inferred = shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True).graph
    except Exception as error:
        raise ModelError(f"its shapes cannot be inferred: {first_line(error)}") from None
    shapes = {}
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        tensor = value.type.tensor_type
        if tensor.HasField("shape") and all(d.dim_value > 0 for d in tensor.shape.dim):
            shapes[value.name] = tuple(int(d.dim_value) for d in tensor.shape.dim)
    return shapes


def _operator(node: Any, index: int) -> OnnxOperator:
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    label = f"{node.op_type} (node {node.name or index})"
    return OnnxOperator(node.op_type, label, tuple(node.input), tuple(node.output), attributes)


def _fold(
    node: Any,
    operator: OnnxOperator,
    constants: dict[str, NDArray[Any]],
    shapes: dict[str, tuple[int, ...]],
) -> bool:
    """Whether the node's outputs are constants, which are then noted."""
    if operator.type == "Shape" and operator.inputs[0] in shapes and not operator.attributes:
        constants[operator.outputs[0]] = np.array(shapes[operator.inputs[0]], np.int64)
        return True
    given = [name for name in operator.inputs if name]
    if any(name not in constants for name in given):
        return False
    if sum(constants[name].size for name in given) > _FOLDED_AT_MOST and node.op_type != "Identity":
        return False
    results = ReferenceEvaluator(node).run(None, {name: constants[name] for name in given})
    constants.update(zip(operator.outputs, map(np.asarray, results), strict=True))
    return True
