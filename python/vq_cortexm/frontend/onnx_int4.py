"""ONNX tensors of 4 and 2 bits (opset 21 and 25) as int8: constants keep their values, and what is
quantized to such a type is clipped to its range."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..errors import ModelError
from .qonnx_graph import attributes, where

# 2-bit types are younger than the oldest ONNX that is supported
_RANGES = {
    getattr(TensorProto, name): limits
    for name, limits in {
        "INT4": (-8, 7),
        "UINT4": (0, 15),
        "INT2": (-2, 1),
        "UINT2": (0, 3),
    }.items()
    if hasattr(TensorProto, name)
}


def with_int8_constants(proto: Any) -> Any:
    """The model with int8 in place of every int4, uint4, int2 and uint2.

    Raises ModelError for an input of the model that has such a type, and for scales of blocks.
    """
    for node in proto.graph.node:
        given = attributes(node)
        if given.get("block_size", 0):
            raise ModelError(f"{where(node)}: scales of blocks; one per tensor or channel works")
        if given.get("output_dtype", 0) in _RANGES and len(node.input) < 3:
            raise ModelError(f"{where(node)}: less than 8 bits need a zero point, which says so")
    if not any(tensor.data_type in _RANGES for tensor in _constants(proto.graph)):
        return proto
    for value in proto.graph.input:
        if value.type.tensor_type.elem_type in _RANGES:
            raise ModelError(f"input {value.name!r} has less than 8 bits; int8 and uint8 work")
    widened = onnx.ModelProto()
    widened.CopyFrom(proto)
    graph = widened.graph
    _name_constants(graph)
    ranges = {}
    for tensor in _constants(graph):
        if tensor.data_type in _RANGES:
            ranges[tensor.name] = _RANGES[tensor.data_type]
            value = np.asarray(numpy_helper.to_array(tensor)).astype(np.int8)
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    for value in graph.output:
        if value.type.tensor_type.elem_type in _RANGES:
            value.type.tensor_type.elem_type = TensorProto.INT8
    del graph.value_info[:]
    _clip_quantized(graph, ranges)
    return widened


def _name_constants(graph: Any) -> None:
    """Tensors in Constant nodes get the names by which the graph knows them."""
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.name == "value":
                attribute.t.name = node.output[0]


def _clip_quantized(graph: Any, ranges: dict[str, tuple[int, int]]) -> None:
    """Puts a Clip before each QuantizeLinear with one of these zero points."""
    known = {tensor.name: tensor for tensor in _constants(graph)}
    nodes = []
    for node in graph.node:
        if node.op_type == "QuantizeLinear" and len(node.input) > 2 and node.input[2] in ranges:
            if node.input[1] not in known or node.input[2] not in known:
                raise ModelError(f"node {node.output[0]!r}: its scale must be a constant")
            scale, zero = (numpy_helper.to_array(known[name]) for name in node.input[1:3])
            ends = [f"{node.output[0]}_{end}" for end in ("low", "high")]
            for name, limit in zip(ends, ranges[node.input[2]], strict=True):
                bound = np.asarray((limit - zero.astype(np.float32)) * scale, np.float32)
                graph.initializer.append(numpy_helper.from_array(bound.reshape(()), name))
            clipped = f"{node.output[0]}_clipped"
            nodes.append(helper.make_node("Clip", [node.input[0], *ends], [clipped]))
            node.input[0] = clipped
        nodes.append(node)
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def _constants(graph: Any) -> list[Any]:
    """Initializers, and the values of Constant nodes."""
    nodes = [node for node in graph.node if node.op_type == "Constant"]
    return [
        *graph.initializer,
        *(a.t for node in nodes for a in node.attribute if a.name == "value"),
    ]
