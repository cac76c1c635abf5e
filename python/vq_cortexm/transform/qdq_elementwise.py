"""Rules of the QDQ fold for operators on single elements, and softmax."""

from __future__ import annotations

from collections.abc import Callable

from ..compat import (
    Expr,
    call_op,
    constant_value,
    is_constant,
    op_name,
    shape_of,
)
from ..errors import ModelError
from .qdq_context import (
    Folder,
    LayerContext,
    input_attrs,
    output_attrs,
)
from .qdq_products import biased


def _add(folder: Folder, call: Expr, context: LayerContext) -> Expr:
    """A bias after a convolution or product, else an elementwise sum of two tensors."""
    if (product := biased(folder, call, context)) is not None:
        return product
    a, a_params = folder.dequantized(call.args[0], context)
    b, b_params = folder.dequantized(call.args[1], context)
    if is_constant(a) or is_constant(b) or shape_of(a) != shape_of(b):
        raise ModelError(f"layer {context.name}: an add of a constant or with broadcasting")
    values = {
        "a_scale": a_params.scale,
        "a_zero_point": a_params.zero_point,
        "b_scale": b_params.scale,
        "b_zero_point": b_params.zero_point,
        **output_attrs(context),
    }
    return folder.emit(call_op("vq.add", [a, b], values), context.name)


def _softmax(folder: Folder, call: Expr, context: LayerContext) -> Expr:
    source, beta = call.args[0], 1.0
    scaled = folder.resolve(source)
    if op_name(scaled) == "relax.multiply" and is_constant(folder.resolve(scaled.args[1])):
        source, beta = scaled.args[0], float(constant_value(folder.resolve(scaled.args[1])))
    x, x_params = folder.dequantized(source, context)
    rank = len(shape_of(x))
    if int(call.attrs.axis) % rank != rank - 1:
        raise ModelError(f"layer {context.name}: softmax over an axis that is not the last")
    values = {"beta": beta, **input_attrs(x_params), **output_attrs(context)}
    return folder.emit(call_op("vq.softmax", [x], values), context.name)


ELEMENTWISE_RULES: dict[str, Callable[..., Expr]] = {
    "relax.add": _add,
    "relax.nn.softmax": _softmax,
}
