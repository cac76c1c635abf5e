"""What of an ONNX file no rewriting and no importer takes, found before they try."""

from __future__ import annotations

from typing import Any

from onnx import TensorProto

from ..errors import ModelError
from .qonnx_graph import where

_REFUSED = {
    **dict.fromkeys(("If", "Loop", "Scan"), "is control flow; one straight graph works"),
    **dict.fromkeys(
        ("GRU", "LSTM", "RNN"), "is recurrent; convolutions and fully connected layers work"
    ),
}
_INPUT_TYPES = {
    getattr(TensorProto, name)
    for name in ("FLOAT", "INT4", "UINT4", "INT8", "UINT8", "INT16", "UINT16", "INT32")
    if hasattr(TensorProto, name)
}


def check_graph(proto: Any) -> None:
    """Raises ModelError, naming the node or tensor, for control flow, recurrent layers, sparse
    tensors and inputs that hold no numbers of a layer's kind."""
    graph = proto.graph
    for node in graph.node:
        if node.op_type in _REFUSED:
            raise ModelError(f"{where(node)} {_REFUSED[node.op_type]}")
    for tensor in graph.sparse_initializer:
        raise ModelError(f"tensor {tensor.values.name!r} is stored sparse; dense weights work")
    known = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        kind = value.type.tensor_type.elem_type
        if value.name not in known and kind not in _INPUT_TYPES:
            name = TensorProto.DataType.Name(kind).lower()
            raise ModelError(
                f"input {value.name!r} is of type {name}; float, int8, uint8 and int16 work"
            )
