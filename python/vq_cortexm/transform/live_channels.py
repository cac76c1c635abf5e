"""Which channels of each tensor a folded function needs, given those that are constant.

Backward liveness, as for variables, but per channel: all channels of the function's inputs and
outputs are live; a convolution or dense layer needs an input channel only where a live output has
a weight other than zero on it and its contribution is not a constant that the bias can hold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tvm import relax

from ..compat import Expr, constant_value, is_constant, op_name
from ..op.registry import attributes
from ..op.rounding import Int64Array
from .channel_ranges import ChannelRanges
from .channels import BoolArray, channel_sources, channels_of, is_mixing, is_padded
from .rewriting import bindings_of

_INT32_MAX = np.iinfo(np.int32).max


def live_channels(function: Expr, ranges: dict[Expr, ChannelRanges]) -> dict[Expr, BoolArray]:
    """Per variable a mask of shape (C,) of the channels that must stay; at least one is set.

    The masks are the least solution of the operators' rules, found by growing them until nothing
    changes. Operators that keep channels apart have the same mask before and after, so a channel
    of a residual sum goes only where both summands and all their users can do without it.
    """
    bindings = bindings_of(function)
    live: dict[Expr, BoolArray] = {
        parameter: np.ones(channels_of(parameter), np.bool_) for parameter in function.params
    }
    for var, value in bindings:
        if op_name(value):
            live[var] = np.zeros(channels_of(var), np.bool_)
        elif value in live:
            live[var] = live[value]
        else:
            _set_all(value, live)
    _set_all(function.body.body, live)
    calls = [(var, value) for var, value in reversed(bindings) if op_name(value)]
    while _grow(calls, live, ranges) or _keep_one_channel(calls, live):
        pass
    return live


@dataclass(frozen=True, eq=False)
class MixingLayer:
    """What liveness and removal look at in a mixing layer with O outputs and I inputs.

    uses[o, i]: some weight of o on i is not zero; contribution[o, i]: what channel i adds to
    accumulator o, if i is constant; foldable[i]: i is constant, and the bias may take its
    contribution.
    """

    uses: BoolArray
    contribution: Int64Array
    foldable: BoolArray


def mixing_layer(call: Expr, x: ChannelRanges) -> MixingLayer:
    """The facts of one layer.

    At a padded border a window misses some taps, so there the contribution of a channel is one
    number only where it is zero: where the channel's value is the zero point. The same is asked
    where the bias, with any of the contributions added, might leave int32.
    """
    attrs = attributes(call)
    weight, bias = (constant_value(arg).astype(np.int64) for arg in call.args[1:3])
    taps = weight.reshape(weight.shape[0], -1, weight.shape[-1])
    centred = np.where(x.constant, x.low - attrs.x_zero_point, 0)
    contribution = taps.sum(axis=1) * centred
    fits = bool(np.all(np.abs(bias) + np.abs(contribution).sum(axis=1) <= _INT32_MAX))
    foldable = x.constant & ((centred == 0) | (fits and not is_padded(attrs)))
    return MixingLayer((taps != 0).any(axis=1), contribution, foldable)


def _set_all(expr: Expr, live: dict[Expr, BoolArray]) -> None:
    fields = expr.fields if isinstance(expr, relax.Tuple) else [expr]
    for field in fields:
        if field in live:
            live[field][:] = True


def _grow(
    calls: list[tuple[Expr, Expr]],
    live: dict[Expr, BoolArray],
    ranges: dict[Expr, ChannelRanges],
) -> bool:
    """One backward walk; whether a mask grew."""
    before = _count(live)
    for var, call in calls:
        inputs = [arg for arg in call.args if not is_constant(arg)]
        sources = channel_sources(call)
        if is_mixing(call):
            layer = mixing_layer(call, ranges[inputs[0]])
            live[inputs[0]] |= layer.uses[live[var]].any(axis=0) & ~layer.foldable
        elif sources is not None:
            for arg in inputs:
                np.logical_or.at(live[arg], sources, live[var])
            for arg in inputs:
                live[var] |= live[arg][sources]
        else:
            for arg in (var, *inputs):
                live[arg][:] = True
    return _count(live) > before


def _keep_one_channel(calls: list[tuple[Expr, Expr]], live: dict[Expr, BoolArray]) -> bool:
    """Sets the first channel of every tensor that would lose all; whether a mask grew."""
    empty = [var for var, _ in calls if not live[var].any()]
    for var in empty:
        live[var][0] = True
    return bool(empty)


def _count(live: dict[Expr, BoolArray]) -> int:
    return sum(int(mask.sum()) for mask in live.values())


__all__ = ["MixingLayer", "live_channels", "mixing_layer"]
