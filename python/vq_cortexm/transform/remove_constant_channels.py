"""RemoveConstantChannels: channels that are the same for every input are computed at compile time.

Zero weights, or a bias that an activation always clamps, make channels that no input changes.
Interval arithmetic finds them (`channel_ranges`); the bias of the layers that read them takes
their contribution; and whatever feeds only what is gone, goes too (`live_channels`).

Exact, by induction over the bindings: a channel that stays has its old value. Its accumulator loses
only terms that are zero, or constant and then part of its new bias; its requantization depends on
its own scale alone; and channels of other operators read only their own sources, which stay too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tvm
from tvm import relax

from ..compat import (
    Expr,
    IRModule,
    constant,
    constant_value,
    is_constant,
    kept_attrs,
    main_function,
    op_name,
    shape_of,
)
from ..op.registry import attributes, count_macs, make_call
from ..op.reshape import ReshapeAttrs
from .channel_ranges import ChannelRanges, channel_ranges
from .channels import ELEMENTWISE, BoolArray, channels_of, is_mixing
from .live_channels import live_channels, mixing_layer
from .rewriting import bindings_of, substitute


@tvm.transform.module_pass(opt_level=0, name="vq.RemoveConstantChannels")
class RemoveConstantChannels:
    """Pass on folded modules; never changes a value of the result, nor its inputs' shapes.

    Attribute `vq.removed` of `main` says what is gone:
    {"layers": {name: {"removed": 5, "channels": 8}}, "macs_before": 100, "macs_after": 40},
    with those layers alone that lost channels (a reshape is none).
    """

    def transform_module(self, module: IRModule, _context: Any) -> IRModule:
        """The module with `main` rebuilt, its layers' names kept."""
        result = tvm.IRModule(dict(module.functions.items()))
        result["main"] = _rebuild(module["main"])
        return result


def _rebuild(function: Expr) -> Expr:
    ranges = channel_ranges(function)
    live = live_channels(function, ranges)
    values: dict[Expr, Expr] = {parameter: parameter for parameter in function.params}
    builder = relax.BlockBuilder()
    with main_function(builder, function.params) as finish:
        for var, value in bindings_of(function):
            if op_name(value):
                call = _shrink(var, value, values, live, ranges)
                values[var] = builder.emit(call, name_hint=var.name)
            else:
                values[var] = substitute(value, values)
        finish(substitute(function.body.body, values))
    rebuilt = builder.get()["main"]
    removed = _report(function, rebuilt, live)
    return rebuilt.with_attrs({**kept_attrs(function), "vq.removed": removed})


def _shrink(
    var: Expr,
    call: Expr,
    values: dict[Expr, Expr],
    live: dict[Expr, BoolArray],
    ranges: dict[Expr, ChannelRanges],
) -> Expr:
    """The call on its inputs' live channels, for its own live channels."""
    name, attrs = op_name(call), attributes(call)
    args = [values.get(arg, arg) for arg in call.args]
    kept = live[var]
    if is_mixing(call):
        x = call.args[0]
        args[1:] = _shrink_mixing(call, kept, live[x], ranges[x])
    elif name == "vq.depthwise_conv2d":
        args[1:] = [constant(constant_value(arg)[..., kept]) for arg in call.args[1:]]
    elif name in ELEMENTWISE:
        args = [
            constant(constant_value(arg)[..., kept])
            if is_constant(arg) and channels_of(arg) > 1
            else arg
            for arg in args
        ]
    elif name == "vq.reshape":
        attrs = ReshapeAttrs((*shape_of(call)[:-1], int(kept.sum())))
    return make_call(name, args, attrs)


def _shrink_mixing(
    call: Expr, kept: BoolArray, kept_inputs: BoolArray, x: ChannelRanges
) -> list[Expr]:
    """Weights, bias and scales of the live outputs; the bias takes what the lost inputs gave.

    A lost input that is not foldable has no weight on a live output, so it contributes nothing.
    """
    weight, bias, scales = (constant_value(arg)[kept] for arg in call.args[1:])
    lost = mixing_layer(call, x).contribution[kept][:, ~kept_inputs].sum(axis=1)
    folded = (bias.astype(np.int64) + lost).astype(bias.dtype)
    return [constant(weight[..., kept_inputs]), constant(folded), constant(scales)]


def _report(before: Expr, after: Expr, live: dict[Expr, BoolArray]) -> dict[str, Any]:
    layers = {
        str(var.name): {"removed": int((~live[var]).sum()), "channels": int(live[var].size)}
        for var, value in bindings_of(before)
        if op_name(value) not in ("", "vq.reshape") and not live[var].all()
    }
    return {"layers": layers, "macs_before": _macs(before), "macs_after": _macs(after)}


def _macs(function: Expr) -> int:
    return sum(count_macs(value) for _, value in bindings_of(function) if op_name(value))


__all__ = ["RemoveConstantChannels"]
