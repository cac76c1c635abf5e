"""Relay's operators on integers element by element: clips, casts, sums and products of two
tensors; and concatenation, which may rescale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from tvm import relax

from ..compat import Expr, constant, constant_value, dtype_of, is_constant, shape_of
from ..errors import ModelError
from ..op.add import AddAttrs
from ..op.concat import ConcatAttrs
from ..op.lookup import LookupAttrs
from ..op.mul import MulAttrs
from ..op.quantization import dtype_range
from ..op.registry import make_call
from ..op.rounding import fixed_point, requantize
from .relay_graph import RelayCall, RelayTuple
from .relay_products import biased, scale_at
from .relay_values import (
    ACTIVATIONS,
    ROUNDING,
    Converter,
    Layer,
    Scale,
    Sums,
    Tensor,
    Value,
    Wide,
    argument,
    rescaled,
    where,
)


def _clip(converter: Converter, call: RelayCall) -> Value:
    return converter.clamped(call, call.attrs.number("a_min"), call.attrs.number("a_max"))


def _relu(converter: Converter, call: RelayCall) -> Value:
    """Numbers below 0, whatever the zero point, become 0."""
    value = converter.value(call, 0)
    return replace(value, relu=True) if isinstance(value, Sums) else converter.clamped(call, 0, 255)


def _cast(converter: Converter, call: RelayCall) -> Value:
    """To more bits and back to what it was."""
    dtype = call.attrs.text("dtype")
    value = converter.value(call, 0)
    source = value.source if isinstance(value, Wide) else value
    if isinstance(source, (Tensor, Layer)):
        given = source.attrs.y_dtype if isinstance(source, Layer) else dtype_of(source.expr)
        if given in ACTIVATIONS and dtype == given:
            return source
        if given in ACTIVATIONS and dtype in ("int32", "int64"):
            return Wide(source)
        raise ModelError(
            f"{where(call)}: from {given} to {dtype}; of int8 and uint8 those to int32, and from "
            "there back, work"
        )
    raise ModelError(f"{where(call)}: of sums to {dtype}; qnn.requantize works")


def _same(converter: Converter, call: RelayCall) -> Value:
    """An operator that marks its argument."""
    return converter.value(call, 0)


def _add(converter: Converter, call: RelayCall) -> Value:
    """The bias of a layer."""
    for position in (0, 1):
        sums, bias = converter.value(call, position), converter.known(argument(call, 1 - position))
        if isinstance(sums, Sums) and bias is not None:
            return biased(converter, call, sums, bias, sums.rank - 1)
    raise ModelError(f"{where(call)}: of integers; qnn.add works, and a bias of a layer")


def _binary(converter: Converter, call: RelayCall) -> Value:
    """`qnn.add` and `qnn.subtract` round each operand by itself, `qnn.mul` the product, by the
    float32 product of both scales."""
    a, b = converter.integers(call, 0), converter.integers(call, 1)
    dtype = dtype_of(a.expr)
    if dtype_of(b.expr) != dtype:
        raise ModelError(f"{where(call)}: of {dtype} and {dtype_of(b.expr)}; two of one type work")
    for axis in ("lhs_axis", "rhs_axis"):
        if call.attrs.integer(axis, -1) != -1:
            raise ModelError(f"{where(call)}: scales along an axis; one for a tensor works")
    a_scale, b_scale, y = (scale_at(converter, call, i, i + 1) for i in (2, 4, 6))
    converter.learn(a, a_scale)
    converter.learn(b, b_scale)
    low, high = dtype_range(dtype)
    ends: dict[str, Any] = {
        "a_scale": a_scale.scale,
        "a_zero_point": a_scale.zero_point,
        "b_scale": b_scale.scale,
        "b_zero_point": b_scale.zero_point,
        "y_scale": y.scale,
        "y_zero_point": y.zero_point,
        "y_min": low,
        "y_max": high,
        "rounding": ROUNDING,
        "y_dtype": dtype,
    }
    # transposes of the layout move over operands of one rank only
    rank = max(len(shape_of(x.expr)) for x in (a, b))
    args = [_with_rank(converter, x.expr, rank) for x in (a, b)]
    if call.op == "qnn.mul":
        # only the product of both counts
        ends["a_scale"] = float(np.float32(a_scale.scale) * np.float32(b_scale.scale))
        return Layer("vq.mul", args, MulAttrs(**{**ends, "b_scale": 1.0}), y)
    negated = "b" if call.op == "qnn.subtract" else ""
    return Layer("vq.add", args, AddAttrs(**ends, separate=True, negated=negated), y)


def _with_rank(converter: Converter, x: Expr, rank: int) -> Expr:
    """The tensor with axes of length one in front, as broadcasting adds them."""
    shape = (*[1] * (rank - len(shape_of(x))), *shape_of(x))
    if shape == shape_of(x):
        return x
    if is_constant(x):
        return constant(constant_value(x).reshape(shape))
    return converter.emit(relax.op.reshape(x, shape))


def _concatenate(converter: Converter, call: RelayCall) -> Value:
    """`qnn.concatenate` gives each tensor the output's scale first; `concatenate` takes them as
    they are."""
    parts = converter.value(call, 0)
    if not isinstance(parts, tuple):
        raise ModelError(f"{where(call)}: of one tensor; a tuple of them works")
    tensors = [converter.emitted(part, call) for part in parts]
    y = None
    if call.op == "qnn.concatenate":
        y = scale_at(converter, call, 3, 4)
        tensors = [
            _requantized(converter, call, x, given, y)
            for x, given in zip(tensors, _scales(converter, call, len(tensors)), strict=True)
        ]
    elif len({x.scale for x in tensors}) == 1:
        y = tensors[0].scale
    exprs = [x.expr for x in tensors]
    if len({dtype_of(x) for x in exprs}) != 1:
        raise ModelError(f"{where(call)}: of tensors of several types; one works")
    axis = call.attrs.integer("axis", 0) % len(shape_of(exprs[0]))
    if dtype_of(exprs[0]) not in ACTIVATIONS:
        return Tensor(converter.emit(relax.op.concat(exprs, axis)))
    if any(map(is_constant, exprs)):
        raise ModelError(f"{where(call)}: with a constant; computed tensors work")
    return Tensor(converter.emit(make_call("vq.concat", exprs, ConcatAttrs(axis)), "vq.concat"), y)


def _requantized(
    converter: Converter, call: RelayCall, x: Tensor, given: Scale, wanted: Scale
) -> Tensor:
    converter.learn(x, given)
    if given == wanted:
        return x
    return converter.emitted(rescaled(x.expr, given, wanted, dtype_of(x.expr), wanted), call)


def _scales(converter: Converter, call: RelayCall, count: int) -> list[Scale]:
    """Of the tensors of a concatenation."""
    tuples = argument(call, 1), argument(call, 2)
    fields = [expr.fields if isinstance(expr, RelayTuple) else () for expr in tuples]
    known = [[converter.known(field) for field in each] for each in fields]
    if any(len(each) != count or any(v is None or v.size != 1 for v in each) for each in known):
        raise ModelError(f"{where(call)}: its scales or zero points are not a constant for each")
    return [
        Scale(float(np.asarray(s).item()), int(np.asarray(z).item()))
        for s, z in zip(*known, strict=True)
    ]


def _leaky_relu(converter: Converter, call: RelayCall) -> Value:
    """`qnn.leaky_relu`: the input at the output's scale, below the zero point times alpha; above it
    the input as it is, whatever its scale. A table of all 256 results."""
    x = converter.integers(call, 0)
    given, y = scale_at(converter, call, 1, 2), scale_at(converter, call, 3, 4)
    converter.learn(x, given)
    dtype = dtype_of(x.expr)
    low, high = dtype_range(dtype)
    q = np.arange(low, high + 1)
    alpha = call.attrs.number("alpha")
    at_output = requantize(q - given.zero_point, fixed_point(given.scale / y.scale, ROUNDING))
    slope, rest = fixed_point(alpha, ROUNDING), fixed_point(1 - alpha, ROUNDING)
    offset = requantize(np.array([y.zero_point]), rest)
    below = requantize(at_output + y.zero_point, slope) + offset
    table = np.clip(np.where(q < given.zero_point, below, q), low, high).astype(dtype)
    found = make_call("vq.lookup", [x.expr, constant(table)], LookupAttrs(dtype))
    return Tensor(converter.emit(found, "vq.leaky_relu"), y)


ELEMENTWISE: dict[str, Callable[[Converter, RelayCall], Value]] = {
    "add": _add,
    "annotation.stop_fusion": _same,
    "cast": _cast,
    "clip": _clip,
    "concatenate": _concatenate,
    "copy": _same,
    "nn.dropout": _same,
    "nn.relu": _relu,
    "qnn.add": _binary,
    "qnn.concatenate": _concatenate,
    "qnn.leaky_relu": _leaky_relu,
    "qnn.mul": _binary,
    "qnn.subtract": _binary,
}
"""Relay operator of integers → its converter."""
