"""Rules of the QDQ fold for operators on single elements, and softmax.

An operator of quantized tensors, constants among them, is one operator on integers. What is made of
one tensor alone is a table (`qdq_tables`); products and sums with real numbers of each channel are
part of a convolution, or one (`qdq_affine`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..compat import (
    Expr,
    call_op,
    constant,
    constant_value,
    dtype_of,
    is_constant,
    op_name,
    shape_of,
)
from ..errors import ModelError
from ..op.quantization import dtype_range
from ..op.registry import OPS
from .qdq_affine import AFFINE, as_affine
from .qdq_context import (
    Folder,
    LayerContext,
    QuantParams,
    input_attrs,
    output_attrs,
)
from .qdq_products import biased
from .qdq_tables import CHAINED, as_table, emit_table, real_constant

Operand = tuple[Expr, QuantParams]
"""An integer tensor or constant, and what its integers are."""


def _elementwise(folder: Folder, call: Expr, context: LayerContext) -> Expr:
    """Any of the operators here; the first form that covers it."""
    if op_name(call) == "relax.add" and (product := biased(folder, call, context)) is not None:
        return product
    binary = _BINARY.get(op_name(call))
    if binary is None or not all(_is_quantized(folder, arg) for arg in call.args):
        for form in (as_table, as_affine):
            if (made := form(folder, call, context)) is not None:
                return made
    if binary is None:
        return _refuse(folder, call, context)
    return binary(folder, call, context)


def _refuse(folder: Folder, call: Expr, context: LayerContext) -> Expr:
    name = op_name(call).rpartition(".")[2]
    for arg in call.args:
        if real_constant(folder, arg) is None:
            _, params = folder.dequantized(arg, context)  # or what of its inputs stays float
            if params.dtype == "int16":
                raise ModelError(f"layer {context.name}: {name} of int16; of int8 it works")
    raise ModelError(
        f"layer {context.name}: {name} of several tensors is not supported; add, subtract,"
        " multiply, maximum and minimum are"
    )


def _is_quantized(folder: Folder, expr: Expr) -> bool:
    return op_name(folder.resolve(expr)) == "relax.dequantize"


def _operand(folder: Folder, expr: Expr, context: LayerContext) -> Operand:
    """A tensor, or a constant: a real one gets a scale of its own."""
    value = real_constant(folder, expr)
    if value is None:
        return folder.dequantized(expr, context)
    if _is_quantized(folder, expr):
        given = folder.dequantized(expr, context)
        if given[1].dtype in ("int8", "uint8", "int16"):
            return given
    return _quantized(value)


def _quantized(value: Any) -> Operand:
    """int8, exact where all its elements are one number."""
    low, high = min(float(value.min()), 0.0), max(float(value.max()), 0.0)
    if value.size and np.all(value == value.reshape(-1)[0]):
        scale, zero_point = max(high, -low) or 1.0, 0
    else:
        scale = (high - low) / 255
        zero_point = round(-128 - low / scale)
    params = QuantParams(float(np.float32(scale)), zero_point, "int8")
    return _at(value, params), params


def _at(value: Any, params: QuantParams) -> Expr:
    """Real numbers as integers."""
    ends = dtype_range(params.dtype)
    stored = np.clip(np.rint(value / params.scale) + params.zero_point, *ends)
    return constant(stored.astype(params.dtype))


def _pair(folder: Folder, call: Expr, context: LayerContext) -> tuple[Operand, Operand, bool]:
    """Both operands, of one rank, a constant as the second; whether they are exchanged."""
    a, b = (_operand(folder, arg, context) for arg in call.args)
    rank = max(len(shape_of(a[0])), len(shape_of(b[0])))
    a, b = ((_with_rank(folder, x, rank), params) for x, params in (a, b))
    return (b, a, True) if is_constant(a[0]) else (a, b, False)


def _with_rank(folder: Folder, x: Expr, rank: int) -> Expr:
    shape = [*[1] * (rank - len(shape_of(x))), *shape_of(x)]
    if len(shape_of(x)) == rank:
        return x
    return folder.emit(call_op("vq.reshape", [x], {"shape": shape}))


def _sum(folder: Folder, call: Expr, context: LayerContext) -> Expr:
    a, b, exchanged = _pair(folder, call, context)
    negated = ""
    if op_name(call) == "relax.subtract":
        negated = "a" if exchanged else "b"
    return _emit(folder, "vq.add", a, b, {"negated": negated}, context)


def _product(folder: Folder, call: Expr, context: LayerContext) -> Expr:
    a, b, _ = _pair(folder, call, context)
    if a[0].same_as(b[0]) and context.rounding == "float":
        # LiteRT squares by a table, which rounds halves otherwise than its products
        table = as_table(folder, call, context)
        if table is not None:
            return table
    return _emit(folder, "vq.mul", a, b, {}, context)


def _prelu(folder: Folder, call: Expr, context: LayerContext) -> Expr:
    x, slope = (_operand(folder, arg, context) for arg in call.args)
    shape = shape_of(x[0])
    if not is_constant(slope[0]) or len(shape_of(slope[0])) != 1:
        raise ModelError(f"layer {context.name}: prelu with slopes that are no constants")
    if x[1].dtype == "int16":
        raise ModelError(f"layer {context.name}: prelu of int16; of int8 it works")
    channels = [1] * len(shape)
    channels[int(call.attrs.axis) % len(shape)] = -1
    values = constant(constant_value(slope[0]).reshape(channels))
    return _emit(folder, "vq.prelu", x, (values, slope[1]), {}, context)


def _emit(
    folder: Folder,
    name: str,
    a: Operand,
    b: Operand,
    extra: dict[str, Any],
    context: LayerContext,
) -> Expr:
    """The operator; its table where it is of one tensor and at most one constant number."""
    values = {
        "a_scale": a[1].scale,
        "a_zero_point": a[1].zero_point,
        "b_scale": b[1].scale,
        "b_zero_point": b[1].zero_point,
        **output_attrs(context),
        **extra,
    }
    same = a[0].same_as(b[0])
    number = is_constant(b[0]) and constant_value(b[0]).size == 1
    if (same or number) and dtype_of(a[0]) in ("int8", "uint8"):
        every = np.arange(*_ends(dtype_of(a[0]))).astype(dtype_of(a[0]))
        other = every if same else constant_value(b[0]).reshape(-1)
        spec = OPS[name]
        return emit_table(folder, a[0], spec.reference(every, other, spec.attrs(**values)), context)
    return folder.emit(call_op(name, [a[0], b[0]], values), context.name)


def _ends(dtype: str) -> tuple[int, int]:
    lowest, highest = dtype_range(dtype)
    return lowest, highest + 1


def _extremum(folder: Folder, call: Expr, context: LayerContext) -> Expr:
    """Of two tensors or more. All are rescaled to the output first, which keeps their order."""
    lowest, highest = dtype_range(context.y.dtype)
    whole = replace(context, y_min=lowest, y_max=highest)
    values = {
        "kind": op_name(call).rpartition(".")[2],
        "y_min": context.y_min,
        "y_max": context.y_max,
        "y_dtype": context.y.dtype,
    }
    rank = len(shape_of(call))
    operands = []
    for i, expr in enumerate(_flat(folder, call)):
        value = real_constant(folder, expr)
        if value is not None:
            operands.append(_with_rank(folder, _at(value, context.y), rank))
            continue
        x, params = folder.dequantized(expr, context)
        if params != context.y:
            scales = {**input_attrs(params), **output_attrs(whole)}
            x = folder.emit(call_op("vq.requantize", [x], scales), f"{context.name}_{i}")
        operands.append(_with_rank(folder, x, rank))
    operands.sort(key=is_constant)
    found = operands[0]
    for x in operands[1:]:
        found = folder.emit(call_op("vq.extremum", [found, x], values), context.name)
    return found


def _flat(folder: Folder, call: Expr, seen: set[Expr] | None = None) -> list[Expr]:
    """The operands of an operator and of those of its kind that it is made of; each of these counts
    once, since an extremum with itself changes nothing."""
    seen = set() if seen is None else seen
    operands = []
    for arg in call.args:
        inner = folder.resolve(arg)
        if op_name(inner) != op_name(call):
            operands.append(arg)
        elif inner not in seen:
            seen.add(inner)
            operands += _flat(folder, inner, seen)
    return operands


def _softmax(folder: Folder, call: Expr, context: LayerContext) -> Expr:
    """Over another axis than the last, between two transposes."""
    source, beta = call.args[0], 1.0
    scaled = folder.resolve(source)
    if op_name(scaled) == "relax.multiply":
        factor = real_constant(folder, scaled.args[1])
        if factor is not None and factor.size == 1:
            source, beta = scaled.args[0], float(factor.reshape(()))
    x, x_params = folder.dequantized(source, context)
    rank = len(shape_of(x))
    axis = int(call.attrs.axis) % rank
    order = [*(i for i in range(rank) if i != axis), axis]
    if axis != rank - 1:
        x = folder.emit(call_op("vq.transpose", [x], {"axes": order}))
    values = {"beta": beta, **input_attrs(x_params), **output_attrs(context)}
    y = folder.emit(call_op("vq.softmax", [x], values), context.name)
    if axis == rank - 1:
        return y
    back = [int(i) for i in np.argsort(order)]
    return folder.emit(call_op("vq.transpose", [y], {"axes": back}))


def _log_softmax(_folder: Folder, _call: Expr, context: LayerContext) -> Expr:
    raise ModelError(
        f"layer {context.name}: log_softmax is not supported; softmax is, and without either the"
        " largest element stays the largest"
    )


_BINARY: dict[str, Callable[..., Expr]] = {
    "relax.add": _sum,
    "relax.maximum": _extremum,
    "relax.minimum": _extremum,
    "relax.multiply": _product,
    "relax.nn.prelu": _prelu,
    "relax.subtract": _sum,
}

ELEMENTWISE_RULES: dict[str, Callable[..., Expr]] = {
    **dict.fromkeys((*CHAINED, *AFFINE), _elementwise),
    "relax.nn.log_softmax": _log_softmax,
    "relax.nn.softmax": _softmax,
}
