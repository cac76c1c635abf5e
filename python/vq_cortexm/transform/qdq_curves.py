"""Sigmoid and tanh of int16 in the QDQ fold: a curve with its own scale, rescaled to the output."""

from __future__ import annotations

from ..compat import Expr, call_op, op_name
from ..op.s_curve import Y_SCALE
from .qdq_context import Folder, LayerContext, QuantParams
from .qdq_moves import rescaled

_FUNCTIONS = {"relax.sigmoid": "sigmoid", "relax.tanh": "tanh"}


def as_curve(
    folder: Folder, call: Expr, leaf: Expr, x: tuple[Expr, QuantParams], context: LayerContext
) -> Expr | None:
    """The curve that a float call is of an int16 tensor x, whose dequantize is `leaf`; None of
    another function."""
    name = op_name(call)
    if name not in _FUNCTIONS or not folder.resolve(call.args[0]).same_as(leaf):
        return None
    tensor, params = x
    values = {"function": _FUNCTIONS[name], "x_scale": params.scale}
    curve = QuantParams(Y_SCALE, 0, "int16")
    agrees = curve == context.y and context.changes_nothing
    own = context.name if agrees else f"{context.name}_curve"
    y = folder.emit(call_op("vq.s_curve", [tensor], values), own)
    return rescaled(folder, y, curve, context)
