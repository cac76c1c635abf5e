"""FusePad: a border of zeros becomes the padding of the layer that reads it, and costs nothing.

A convolution's own padding is real zero, the zero point; a max pooling's is not looked at, which
is the same as the lowest value of the type. Where `vq.pad` writes that value around rows and
columns, the layer pads by itself. Its windows must not lie in the border alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import tvm
from tvm import relax

from ..compat import Expr, IRModule, dtype_of, kept_attrs, main_function, op_name, shape_of
from ..op.pad import PadAttrs
from ..op.registry import attributes, make_call
from ..op.transpose import TransposeAttrs
from .rewriting import bindings_of, substitute

_AS_IT_IS = (0, 1, 2, 3)
"""The axes of no transpose."""


@tvm.transform.module_pass(opt_level=0, name="vq.FusePad")
class FusePad:
    """Pass on folded modules; never changes a value of the result."""

    def transform_module(self, module: IRModule, _context: Any) -> IRModule:
        """The module with `main` rebuilt; pads that nobody reads any more are gone."""
        function = module["main"]
        builder = relax.BlockBuilder()
        values: dict[Expr, Expr] = {}
        with main_function(builder, function.params) as finish:
            calls: dict[Expr, Expr] = {}
            for var, value in bindings_of(function):
                new = substitute(value, values)
                if op_name(new):
                    new = _fused(new, calls, builder)
                    values[var] = builder.emit(new, name_hint=var.name)
                    calls[values[var]] = new
                else:
                    values[var] = new
            finish(substitute(function.body.body, values))
        result = tvm.IRModule(dict(module.functions.items()))
        result["main"] = builder.get()["main"].with_attrs(kept_attrs(function))
        return relax.transform.DeadCodeElimination()(result)


def _fused(call: Expr, calls: dict[Expr, Expr], builder: Any) -> Expr:
    """The call on what its input pads, or the call itself."""
    name, dtype = op_name(call), dtype_of(call.args[0])
    pad, axes = _pad_behind(calls.get(call.args[0]), calls)
    if name not in _VALUES or pad is None:
        return call
    attrs, border = attributes(call), attributes(pad)
    padding = _padding(border, axes, attrs.padding)
    if padding is None or border.pad_value != _VALUES[name](attrs, dtype):
        return call
    height, width = _reach(call, attrs)
    top, left, bottom, right = padding
    if max(top, bottom) >= height or max(left, right) >= width:
        return call
    x = pad.args[0]
    if axes != _AS_IT_IS:
        x = builder.emit(make_call("vq.transpose", [x], TransposeAttrs(axes)))
    return make_call(name, [x, *call.args[1:]], replace(attrs, padding=padding))


def _pad_behind(call: Expr | None, calls: dict[Expr, Expr]) -> tuple[Expr | None, tuple[int, ...]]:
    """The `vq.pad` that a call is, or that it transposes, and the axes of the transpose."""
    axes = _AS_IT_IS
    if call is not None and op_name(call) == "vq.transpose":
        call, axes = calls.get(call.args[0]), attributes(call).axes
    return (call if op_name(call) == "vq.pad" else None), axes


def _padding(
    border: PadAttrs, axes: tuple[int, ...], own: tuple[int, ...]
) -> tuple[int, ...] | None:
    """(top, left, bottom, right) of both together; None where the border is elsewhere too,
    or is not of one value."""
    if len(border.pad_width) != 2 * len(axes) or border.mode != "constant":
        return None
    batch, rows, columns, channels = (border.pad_width[2 * i : 2 * i + 2] for i in axes)
    if any((*batch, *channels)):
        return None
    borders = (rows[0], columns[0], rows[1], columns[1])
    return tuple(a + b for a, b in zip(borders, own, strict=True))


def _reach(call: Expr, attrs: Any) -> tuple[int, int]:
    """Rows and columns that a window spans."""
    if op_name(call) == "vq.max_pool2d":
        size: tuple[int, ...] = attrs.pool_size
    else:
        weight = shape_of(call.args[1])
        size = weight[1:3] if op_name(call) == "vq.conv2d" else weight[:2]
    height, width = ((n - 1) * d + 1 for n, d in zip(size, attrs.dilation, strict=True))
    return height, width


_VALUES: dict[str, Callable[[Any, str], int]] = {
    "vq.conv2d": lambda attrs, _dtype: attrs.x_zero_point,
    "vq.depthwise_conv2d": lambda attrs, _dtype: attrs.x_zero_point,
    "vq.max_pool2d": lambda _attrs, dtype: int(np.iinfo(dtype).min),
}
"""Operator → what its own padding counts as."""
