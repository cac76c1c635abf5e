"""Float operators that make one tensor of one other, element by element: one table of 256 results.

Whatever stands between a dequantize and a quantize is folded whole, and evaluated at each of the
256 values that the input has: hard-swish as its four operators, x * sigmoid(x), a scalar's sum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

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
from ..op.lookup import BYTE_DTYPES
from ..op.tables import RealFunction, TableAttrs, gelu_tanh, table
from .qdq_context import (
    Folder,
    LayerContext,
    input_attrs,
    number,
    output_attrs,
    read_quant_params,
    read_scales,
)
from .qdq_curves import as_curve
from .qdq_moves import MOVES

_MOST_OPERATORS = 200
"""Of one function; a longer one is no activation."""

Float = NDArray[Any]


def as_table(folder: Folder, call: Expr, context: LayerContext) -> Expr | None:
    """The lookup that a float expression of one tensor is; None where it is none."""
    leaf = _only_leaf(folder, call, context)
    y = None if leaf is None else _lookup(folder, call, leaf, context)
    if y is None or shape_of(y) == shape_of(call):
        return y
    # a constant of one element gave it more axes
    shape = {"shape": list(shape_of(call))}
    return folder.emit(call_op("vq.reshape", [y], shape), f"{context.name}_reshape")


def _lookup(folder: Folder, call: Expr, leaf: Expr, context: LayerContext) -> Expr | None:
    x, params = folder.dequantized(leaf, context)
    if params.dtype == "int16":
        curve = as_curve(folder, call, leaf, (x, params), context)
        if curve is not None:
            return curve
    if dtype_of(x) not in BYTE_DTYPES:
        return None
    attrs = TableAttrs(**input_attrs(params), **output_attrs(context), x_dtype=params.dtype)
    return emit_table(folder, x, table(_function(folder, call, leaf), attrs), context)


def emit_table(folder: Folder, x: Expr, entries: NDArray[Any], context: LayerContext) -> Expr:
    """The lookup of `entries`, (256,), in the order of x's values."""
    values = {"y_dtype": context.y.dtype}
    return folder.emit(call_op("vq.lookup", [x, constant(entries)], values), context.name)


def real_constant(folder: Folder, expr: Expr) -> NDArray[np.float64] | None:
    """The value of an expression of constants alone, dequantized ones included; None of others."""
    call = folder.resolve(expr)
    if is_constant(call):
        return np.asarray(constant_value(call), np.float64)
    if op_name(call) == "relax.dequantize" and is_constant(call.args[0]):
        return _dequantized(call)
    if op_name(call) not in _RESHAPES:
        return None
    value = real_constant(folder, call.args[0])
    return None if value is None else _RESHAPES[op_name(call)](call, value)


def _dequantized(call: Expr) -> NDArray[np.float64]:
    stored = constant_value(call.args[0])
    axis = int(call.attrs.axis) % max(stored.ndim, 1)
    scale, zero_point = (
        np.asarray(one, np.float64).reshape([-1] + [1] * (stored.ndim - 1 - axis))
        if one.size > 1
        else float(one.reshape(-1)[0])
        for one in read_scales(call, "a constant")
    )
    return np.asarray((stored - zero_point) * scale, np.float64)


def _only_leaf(folder: Folder, call: Expr, context: LayerContext) -> Expr | None:
    """The tensor that all of an expression is made of; None where there are more, or none, or an
    operator is not one of single elements."""
    leaves: dict[Any, Expr] = {}
    seen: set[Expr] = set()
    waiting = [folder.resolve(call)]
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        name = op_name(node)
        if name in _FUNCTIONS:
            count = 1 if name == "relax.clip" else len(node.args)
            waiting += [folder.resolve(arg) for arg in node.args[:count]]
        elif (value := real_constant(folder, node)) is not None:
            if value.size != 1:
                return None
        elif name == "relax.dequantize":
            key = (folder.resolve(node.args[0]), read_quant_params(node, context.name))
            leaves.setdefault(key, node)
        elif name in MOVES:
            leaves.setdefault(node, node)
        else:
            return None
        if len(seen) > _MOST_OPERATORS:
            return None
    return next(iter(leaves.values())) if len(leaves) == 1 else None


def _function(folder: Folder, call: Expr, leaf: Expr) -> RealFunction:
    """What an expression computes of its leaf, in the float type of its argument."""

    def at(x: Float) -> Float:
        known: dict[Expr, Float] = {}

        def value(expr: Expr) -> Float:
            node = folder.resolve(expr)
            if node not in known:
                fixed = real_constant(folder, node)
                if fixed is not None:
                    known[node] = fixed.reshape(()).astype(x.dtype)
                elif op_name(node) in _FUNCTIONS:
                    count = 1 if op_name(node) == "relax.clip" else len(node.args)
                    arguments = [value(arg) for arg in node.args[:count]]
                    known[node] = np.asarray(_FUNCTIONS[op_name(node)](node, *arguments), x.dtype)
                else:  # the leaf, under whatever name
                    known[node] = x
            return known[node]

        return value(call)

    return at


def _clip(call: Expr, x: Float) -> Float:
    low, high = (x.dtype.type(number(bound)) for bound in call.args[1:3])
    return np.asarray(np.clip(x, low, high))


def _selu(_call: Expr, x: Float) -> Float:
    scale, alpha = x.dtype.type(1.0507009873554805), x.dtype.type(1.6732632423543772)
    return np.asarray(scale * np.where(x < 0, alpha * np.expm1(x), x))


def _softplus(call: Expr, x: Float) -> Float:
    beta = x.dtype.type(call.attrs.beta)
    return np.asarray(np.logaddexp(x.dtype.type(0), beta * x) / beta)


def _of(function: Callable[..., Any]) -> Callable[..., Float]:
    """A function of the arguments alone."""
    return lambda _call, *arguments: function(*arguments)


_FUNCTIONS: dict[str, Callable[..., Float]] = {
    "relax.abs": _of(np.abs),
    "relax.add": _of(np.add),
    "relax.astype": _of(lambda x: x),
    "relax.atan": _of(np.arctan),
    "relax.ceil": _of(np.ceil),
    "relax.clip": _clip,
    "relax.cos": _of(np.cos),
    "relax.divide": _of(np.divide),
    "relax.equal": _of(np.equal),
    "relax.erf": _of(special.erf),
    "relax.exp": _of(np.exp),
    "relax.floor": _of(np.floor),
    "relax.greater": _of(np.greater),
    "relax.greater_equal": _of(np.greater_equal),
    "relax.less": _of(np.less),
    "relax.less_equal": _of(np.less_equal),
    "relax.log": _of(np.log),
    "relax.maximum": _of(np.maximum),
    "relax.minimum": _of(np.minimum),
    "relax.multiply": _of(np.multiply),
    "relax.negative": _of(np.negative),
    "relax.nn.gelu": _of(lambda x: x * special.ndtr(x)),
    "relax.nn.gelu_tanh": _of(gelu_tanh),
    "relax.nn.leakyrelu": lambda call, x: np.where(x < 0, x.dtype.type(call.attrs.alpha) * x, x),
    "relax.nn.prelu": _of(lambda x, slope: np.where(x < 0, slope * x, x)),
    "relax.nn.relu": _of(lambda x: np.maximum(x, 0)),
    "relax.nn.relu6": _of(lambda x: np.clip(x, 0, 6)),
    "relax.nn.selu": _selu,
    "relax.nn.silu": _of(lambda x: x * special.expit(x)),
    "relax.nn.softplus": _softplus,
    "relax.power": _of(np.power),
    "relax.round": _of(np.rint),
    "relax.rsqrt": _of(lambda x: 1 / np.sqrt(x)),
    "relax.sigmoid": _of(special.expit),
    "relax.sign": _of(np.sign),
    "relax.sin": _of(np.sin),
    "relax.sqrt": _of(np.sqrt),
    "relax.square": _of(np.square),
    "relax.subtract": _of(np.subtract),
    "relax.tanh": _of(np.tanh),
    "relax.where": _of(lambda condition, a, b: np.where(condition != 0, a, b)),
}
"""Operators on single elements → (call, the values of its inputs) → its values."""


def _moved(call: Expr, value: Float) -> Float:
    return value.reshape(shape_of(call))


_RESHAPES: dict[str, Callable[[Expr, Float], Float]] = {
    "relax.broadcast_to": lambda call, value: np.broadcast_to(value, shape_of(call)),
    "relax.expand_dims": _moved,
    "relax.permute_dims": lambda call, value: np.transpose(
        value, None if call.attrs.axes is None else [int(a) for a in call.attrs.axes]
    ),
    "relax.reshape": _moved,
    "relax.squeeze": _moved,
}
"""Operators that constants may stand behind."""

CHAINED = tuple(_FUNCTIONS)
"""The float operators that a table may end with."""
