"""What a QDQ graph's inputs and outputs mean: their scales and zero points, where it says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tvm import relax

from ..compat import Expr, op_name
from ..errors import ModelError
from .qdq_context import FLOAT_HINT, Folder, QuantParams, read_quant_params
from .qdq_moves import MOVES

Bindings = Sequence[tuple[Expr, Expr]]


def quantization_of(parameter: Expr, bindings: Bindings) -> tuple[QuantParams, list[Expr]]:
    """How a float input is quantized, and the variables that are its integers.

    ModelError, where anything else reads it, or where it is quantized in two ways.
    """
    users = [b for b in bindings if any(a.same_as(parameter) for a in _arguments(b[1]))]
    if not users or any(op_name(value) != "relax.quantize" for _, value in users):
        raise ModelError(f"input {parameter.name!r} is float and not quantized first; {FLOAT_HINT}")
    params = read_quant_params(users[0][1], parameter.name)
    for _, value in users:
        if read_quant_params(value, parameter.name) != params:
            raise ModelError(f"input {parameter.name!r} is quantized in two ways")
    return params, [var for var, _ in users]


def params_of_integers(folder: Folder, parameter: Expr, bindings: Bindings) -> QuantParams | None:
    """What an integer input means by the dequantize that reads it, through operators that only
    move it; None where there is none."""
    found = None
    for _, call in bindings:
        if op_name(call) == "relax.dequantize":
            source = folder.resolve(call.args[0])
            while op_name(source) in MOVES:
                source = folder.resolve(source.args[0])
            if source.same_as(parameter):
                found = read_quant_params(call, str(parameter))
    return found


def params_of_output(
    folder: Folder, var: Expr, known: Mapping[Expr, QuantParams]
) -> QuantParams | None:
    """What integers that the model returns mean, where it says so; `known` is of its inputs."""
    call = folder.resolve(var)
    if op_name(call) == "relax.quantize":
        return read_quant_params(call, "the output")
    if op_name(call) in MOVES:
        return params_of_output(folder, call.args[0], known)
    return known.get(var)


def describe(params: QuantParams | None) -> dict[str, Any]:
    """An entry of the attribute `vq.quantization`."""
    if params is None:
        return {}
    return {"scale": float(params.scale), "zero_point": params.zero_point}


def _arguments(value: Expr) -> list[Expr]:
    return list(value.args) if isinstance(value, relax.Call) else []
