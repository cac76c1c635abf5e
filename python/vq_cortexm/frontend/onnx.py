"""ONNX QDQ and QONNX → Relax QDQ: TVM's own importer behind our checks and rewritings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx as import_onnx

from ..c_names import c_identifier
from ..compat import IRModule, onnx_as_operators, quiet
from ..errors import ModelError, first_line
from .larq import FLOAT_REST, is_float_binary, with_bipolar_quants
from .onnx_int4 import with_int8_constants
from .qonnx import qonnx_to_qdq
from .qonnx_graph import is_qonnx, with_domains


def from_onnx(model: str | Path | bytes | Any, name: str | None = None) -> IRModule:
    """Relax module (one function, `main`) of a quantized ONNX model: QDQ, or QONNX by its nodes.

    `model` is a path, the file's bytes or an `onnx.ModelProto`. A batch dimension that the file
    leaves open becomes 1. Raises ModelError for a file that cannot be read or an operator that
    TVM's importer does not take, naming it.
    """
    if isinstance(model, (str, Path)):
        name = name or Path(model).name
        try:
            data: Any = Path(model).read_bytes()
        except OSError as error:
            raise ModelError(f"{name}: {error.strerror}") from None
        return from_onnx(data, name)
    name = name or "ONNX model"
    proto = _parse(model, name) if isinstance(model, bytes) else model
    try:
        binary = with_bipolar_quants(proto)
        if is_float_binary(proto):
            raise ModelError(FLOAT_REST)
        proto = qonnx_to_qdq(binary) if is_qonnx(binary) else with_int8_constants(binary)
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from None
    initializers = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in initializers]
    shapes = {value.name: _shape(value, name) for value in inputs}
    try:
        with quiet(), onnx_as_operators():
            module = import_onnx(proto, shape_dict=shapes)
        module = relax.transform.DeadCodeElimination()(module)
    except Exception as error:  # TVM raises many types
        reason = first_line(error)
        error.__traceback__ = None  # it holds the importer's builder, which complains when it goes
        with quiet():
            del error
        raise ModelError(f"{name}: cannot be imported: {reason}") from None
    names = [c_identifier(value.name) for value in proto.graph.output]
    module["main"] = module["main"].with_attr("vq.output_names", names)
    return module


def _parse(data: bytes, name: str) -> Any:
    try:
        proto = with_domains(onnx.load_model_from_string(data))
        onnx.checker.check_model(proto)
    except Exception as error:
        raise ModelError(f"{name}: not a valid ONNX model: {first_line(error)}") from None
    return proto


def _shape(value: Any, name: str) -> list[int]:
    shape = []
    for position, dim in enumerate(value.type.tensor_type.shape.dim):
        if dim.dim_value > 0:
            shape.append(int(dim.dim_value))
        elif position == 0:
            shape.append(1)
        else:
            raise ModelError(
                f"{name}: input {value.name!r} has an open dimension {position}; "
                "export the model with static shapes"
            )
    return shape
