"""Rule of the QDQ fold for resizing pictures."""

from __future__ import annotations

from collections.abc import Callable

from ..compat import Expr, call_op, shape_of
from ..errors import ModelError
from .qdq_context import Folder, LayerContext
from .qdq_layouts import as_picture
from .qdq_moves import rescaled

_METHODS = {"linear": "linear", "nearest_neighbor": "nearest"}


def _resize2d(folder: Folder, call: Expr, context: LayerContext) -> Expr:
    attrs = call.attrs
    x, params = folder.dequantized(call.args[0], context)
    method = _METHODS.get(str(attrs.method))
    if method is None:
        raise ModelError(
            f"layer {context.name}: resize of method {attrs.method}; nearest and linear work"
        )
    if any(float(n) for n in attrs.roi):
        raise ModelError(f"layer {context.name}: resize of a part; slice it before")
    if params.dtype == "int16" and method == "linear":
        raise ModelError(f"layer {context.name}: linear resize of int16; nearest works")
    layout = str(attrs.layout)
    x, back = as_picture(folder, x, layout, context.name)
    sizes = dict(zip(layout, shape_of(call), strict=True))
    values = {
        "size": [sizes["H"], sizes["W"]],
        "method": method,
        "coordinates": str(attrs.coordinate_transformation_mode),
        "nearest": str(attrs.rounding_method) or "round_prefer_floor",
        "rounding": context.rounding,
    }
    resized = folder.emit(call_op("vq.resize2d", [x], values), f"{context.name}_resize")
    return rescaled(folder, back(folder, resized), params, context)


RESIZE_RULES: dict[str, Callable[..., Expr]] = {"relax.image.resize2d": _resize2d}
