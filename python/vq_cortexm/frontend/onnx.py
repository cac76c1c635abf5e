"""ONNX (QDQ, QOperator, QONNX) → Relax QDQ: TVM's own importer behind checks and rewritings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx as import_onnx

from ..c_names import c_identifier
from ..compat import IRModule, quiet
from ..compat_importers import forget, onnx_as_operators
from ..errors import ModelError, first_line
from .larq import FLOAT_REST, is_float_binary, with_bipolar_quants
from .onnx_checks import check_graph
from .onnx_int4 import with_int8_constants
from .onnx_qoperator import with_qdq
from .qonnx import qonnx_to_qdq
from .qonnx_graph import is_qonnx, with_domains
from .qonnx_target import real_tensors


def from_onnx(model: str | Path | bytes | Any, name: str | None = None) -> IRModule:
    """Relax module (one function, `main`) of a quantized ONNX model: QDQ, QOperator or QONNX.

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
        return from_onnx(_parse(data, name, Path(model).parent), name)
    name = name or "ONNX model"
    proto = _parse(model, name) if isinstance(model, bytes) else model
    own = {tensor for node in proto.graph.node for tensor in node.output}
    try:
        check_graph(proto)
        binary = with_bipolar_quants(proto)
        if is_float_binary(proto):
            raise ModelError(FLOAT_REST)
        from_qonnx = is_qonnx(binary)
        proto = with_int8_constants(qonnx_to_qdq(binary) if from_qonnx else with_qdq(binary))
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from None
    except Exception as error:  # numpy and ONNX refuse what a damaged file asks for
        raise ModelError(f"{name}: damaged or not supported: {first_line(error)}") from error
    initializers = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in initializers]
    shapes = {value.name: _shape(value, name) for value in inputs}
    try:
        with quiet(), onnx_as_operators() as made:
            module = import_onnx(proto, shape_dict=shapes)
        module = relax.transform.DeadCodeElimination()(module)
    except Exception as error:  # TVM raises many types
        reason = first_line(error)
        forget(error)
        raise ModelError(f"{name}: cannot be imported: {reason}") from None
    names = [c_identifier(value.name) for value in proto.graph.output]
    variables = {t: var.name for t, var in made.items() if isinstance(var, relax.Var)}
    tensors = {var: t for t, var in variables.items() if t in own}
    attrs: dict[str, Any] = {"vq.output_names": names, "vq.tensors": tensors}
    if from_qonnx:
        reals = real_tensors(proto, own).items()
        attrs["vq.reals"] = {variables[t]: real for t, real in reals if t in variables}
    module["main"] = module["main"].with_attrs(attrs)
    return module


def _parse(data: bytes, name: str, folder: Path | None = None) -> Any:
    """The model in a file's bytes, with the tensors that it keeps in other files of its folder."""
    try:
        proto = with_domains(onnx.load_model_from_string(data))
        if folder is not None:
            onnx.load_external_data_for_model(proto, str(folder))
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
