"""Rules of the QDQ fold for operators that only move values, and rescale them where they must.

Signatures as in `qdq_rules`; the rules of `INTEGER_RULES` take no context, as their operators act
on integers directly.
"""

from __future__ import annotations

from collections.abc import Callable

from ..compat import Expr, call_op, is_constant, op_name, shape_of
from ..errors import ModelError
from ..op.quantization import quantize_bound
from .qdq_context import (
    Folder,
    LayerContext,
    QuantParams,
    input_attrs,
    output_attrs,
    read_quant_params,
)


def _requantize(folder: Folder, call: Expr, context: LayerContext) -> Expr:
    """dequantize → (activation) → quantize; nothing at all where both sides agree."""
    x, x_params = folder.integer(call.args[0]), read_quant_params(call, context.name)
    return _rescaled(folder, x, x_params, context)


def _moved(folder: Folder, call: Expr, context: LayerContext) -> Expr:
    """An operator that only moves values, between two parameter sets: move, then rescale."""
    x, x_params = folder.dequantized(call.args[0], context)
    return _rescaled(folder, folder.emit(_move(call, x), ""), x_params, context)


def _rescaled(folder: Folder, x: Expr, params: QuantParams, context: LayerContext) -> Expr:
    """`x` with the layer's own parameters and clamp; nothing at all where it has them."""
    if params == context.y and context.changes_nothing:
        return x
    values = {**input_attrs(params), **output_attrs(context)}
    return folder.emit(call_op("vq.requantize", [x], values), context.name)


def _move(call: Expr, x: Expr) -> Expr:
    if op_name(call) == "relax.permute_dims":
        rank = len(shape_of(x))
        axes = call.attrs.axes
        order = [int(a) % rank for a in axes] if axes is not None else list(range(rank))[::-1]
        return call_op("vq.transpose", [x], {"axes": order})
    return call_op("vq.reshape", [x], {"shape": list(shape_of(call))})


def _concat(folder: Folder, call: Expr, context: LayerContext) -> Expr:
    """Inputs of other parameters than the output's, or under an activation, are rescaled first."""
    fields = folder.resolve(call.args[0]).fields
    inputs = [folder.dequantized(field, context) for field in fields]
    if any(is_constant(x) for x, _ in inputs):
        raise ModelError(f"layer {context.name}: a concatenation with a constant")
    parts = []
    for i, (x, params) in enumerate(inputs):
        if params != context.y or not context.changes_nothing:
            rescale = call_op(
                "vq.requantize", [x], {**input_attrs(params), **output_attrs(context)}
            )
            x = folder.emit(rescale, f"{context.name}_{i}")
        parts.append(x)
    axis = int(call.attrs.axis) % len(shape_of(call))
    return folder.emit(call_op("vq.concat", parts, {"axis": axis}), context.name)


def _pad(folder: Folder, call: Expr, context: LayerContext) -> Expr:
    """A border of a real number, between dequantize and quantize: that number in integers."""
    _check_pad(call, f"layer {context.name}")
    x, params = folder.dequantized(call.args[0], context)
    real = float(call.attrs.pad_value)
    value = quantize_bound(real, params.scale, params.zero_point, params.dtype, context.rounding)
    values = {"pad_width": [int(n) for n in call.attrs.pad_width], "pad_value": value}
    padded = folder.emit(call_op("vq.pad", [x], values), f"{context.name}_pad")
    return _rescaled(folder, padded, params, context)


def _integer_move(folder: Folder, call: Expr) -> Expr:
    return _move(call, folder.integer(call.args[0]))


def _integer_pad(folder: Folder, call: Expr) -> Expr:
    _check_pad(call, "pad")
    value = call.attrs.pad_value
    values = {"pad_width": [int(n) for n in call.attrs.pad_width], "pad_value": int(value)}
    return call_op("vq.pad", [folder.integer(call.args[0])], values)


def _check_pad(call: Expr, where: str) -> None:
    if str(call.attrs.pad_mode) != "constant":
        raise ModelError(f"{where}: padding of mode {call.attrs.pad_mode}; constant works")


_MOVES = (
    "relax.reshape",
    "relax.flatten",
    "relax.squeeze",
    "relax.expand_dims",
    "relax.permute_dims",
)

MOVE_RULES: dict[str, Callable[..., Expr]] = {
    "relax.concat": _concat,
    "relax.dequantize": _requantize,
    "relax.nn.pad": _pad,
    **dict.fromkeys(_MOVES, _moved),
}
"""Float operators that a `quantize` may end."""

INTEGER_RULES: dict[str, Callable[..., Expr]] = {
    **dict.fromkeys(_MOVES, _integer_move),
    "relax.nn.pad": _integer_pad,
}
"""Operators that act on integers directly."""
