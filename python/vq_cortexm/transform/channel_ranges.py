"""Which integers each channel of each tensor can hold, whatever the input: interval arithmetic.

A channel is an index of a tensor's last axis. A layer's bounds follow from its inputs' bounds by
the layer's own arithmetic at both ends: a requantization never decreases as its accumulator grows,
so it maps the ends of an accumulator's interval to the ends of the output's. Where that does not
hold (an accumulator beyond int32, a shift that wraps) a channel gets the layer's whole clamp.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..compat import Expr, constant_value, dtype_of, op_name, shape_of
from ..op import avg_pool2d, conv2d, dense, depthwise_conv2d
from ..op.quantization import dtype_range
from ..op.registry import attributes
from ..op.rounding import Int64Array
from .channel_interval import (
    STEEP,
    ChannelRanges,
    any_value,
    clamped,
    full,
    hull,
    requantized,
)
from .channel_ranges_elementwise import ELEMENTWISE_RANGES
from .channels import channel_sources, channels_of, is_padded
from .rewriting import bindings_of


def channel_ranges(function: Expr) -> dict[Expr, ChannelRanges]:
    """The ranges of every tensor of a folded function, by variable.

    An input may hold its dtype's whole range, and so may the result of an operator that has no
    rule here.
    """
    known = {parameter: any_value(parameter) for parameter in function.params}
    for var, value in bindings_of(function):
        name = op_name(value)
        if name:
            rule = _RULES.get(name, full)
            inputs = [known[arg] for arg in value.args if arg in known]
            known[var] = rule(value, attributes(value), inputs)
        elif value in known:
            known[var] = known[value]
    return known


def _conv2d(call: Expr, attrs: conv2d.Conv2dAttrs, inputs: list[ChannelRanges]) -> ChannelRanges:
    weight, bias, scales = map(constant_value, call.args[1:])
    groups = (attrs.groups, weight.shape[0] // attrs.groups)
    taps = weight.astype(np.int64).reshape(*groups, -1, weight.shape[3])
    low, high = (end.reshape(attrs.groups, 1, -1) for end in _centred(inputs[0], attrs))
    accumulators = _weighted(taps, low, high)
    return requantized(bias, accumulators, conv2d.constants(scales, attrs), attrs)


def _dense(call: Expr, attrs: dense.DenseAttrs, inputs: list[ChannelRanges]) -> ChannelRanges:
    weight, bias, scales = map(constant_value, call.args[1:])
    taps = weight.astype(np.int64)[:, None, :]
    accumulators = _weighted(taps, *_centred(inputs[0], attrs))
    return requantized(bias, accumulators, dense.constants(scales, attrs), attrs)


def _depthwise_conv2d(
    call: Expr, attrs: depthwise_conv2d.DepthwiseConv2dAttrs, inputs: list[ChannelRanges]
) -> ChannelRanges:
    weight, bias, scales = map(constant_value, call.args[1:])
    channels = weight.shape[2]
    taps = weight.astype(np.int64).reshape(-1, channels).T[:, :, None]
    spread = channels // inputs[0].low.size
    low, high = (np.repeat(end, spread)[:, None] for end in _centred(inputs[0], attrs))
    accumulators = _weighted(taps, low, high)
    return requantized(bias, accumulators, depthwise_conv2d.constants(scales, attrs), attrs)


def _centred(x: ChannelRanges, attrs: Any) -> tuple[Int64Array, Int64Array]:
    """The ends of x - x_zero_point, padding, which is zero there, included."""
    low, high = x.low - attrs.x_zero_point, x.high - attrs.x_zero_point
    if is_padded(attrs):
        return np.minimum(low, 0), np.maximum(high, 0)
    return low, high


def _weighted(taps: Int64Array, low: Int64Array, high: Int64Array) -> tuple[Int64Array, Int64Array]:
    """The ends, flattened to (O,), of sums of weights (…, taps, I) times values in [low, high].

    Every tap may see either end of its channel at once: exact without overlapping windows, a
    superset with them.
    """
    up, down = np.maximum(taps, 0).sum(axis=-2), np.minimum(taps, 0).sum(axis=-2)
    lowest = (up * low + down * high).sum(axis=-1)
    highest = (up * high + down * low).sum(axis=-1)
    return lowest.reshape(-1), highest.reshape(-1)


def _avg_pool2d(
    call: Expr, attrs: avg_pool2d.AvgPool2dAttrs, inputs: list[ChannelRanges]
) -> ChannelRanges:
    """The hull over the windows' sizes: a mean does not decrease as its window's sum grows."""
    x = call.args[0]
    counts = np.unique(avg_pool2d.window_counts(shape_of(x), attrs))
    gain = attrs.x_scale / attrs.y_scale * (counts[-1] if attrs.total else 1)
    if gain >= STEEP or counts[0] == 0:
        return full(call, attrs, inputs)
    low, high = (
        np.stack([_mean_of_equals(end.astype(dtype_of(x)), int(n), attrs) for n in counts])
        for end in (inputs[0].low, inputs[0].high)
    )
    return ChannelRanges(low.min(axis=0), high.max(axis=0))


def _mean_of_equals(
    value: npt.NDArray[Any], count: int, attrs: avg_pool2d.AvgPool2dAttrs
) -> Int64Array:
    """Per channel the pooled result, (C,), of `count` elements that all are `value`, (C,)."""
    window = np.broadcast_to(value, (1, count, 1, value.size))
    whole = replace(attrs, pool_size=(count, 1), strides=(1, 1), padding=(0, 0, 0, 0))
    return np.asarray(avg_pool2d.reference(window, whole)[0, 0, 0], dtype=np.int64)


def _max_pool2d(call: Expr, attrs: Any, inputs: list[ChannelRanges]) -> ChannelRanges:
    """A maximum is one of its elements; a window in the padding alone yields the dtype's lowest."""
    (x,) = inputs
    (top, left, bottom, right), (rows, columns) = attrs.padding, attrs.pool_size
    # a dilated window's elements may lie on both sides of the input
    straddles = is_padded(attrs) and attrs.dilation != (1, 1)
    if straddles or max(top, bottom) >= rows or max(left, right) >= columns:
        lowest, _ = dtype_range(attrs.y_dtype)
        x = ChannelRanges(np.full_like(x.low, lowest), x.high)
    return clamped(x, attrs)


def _pad(call: Expr, attrs: Any, inputs: list[ChannelRanges]) -> ChannelRanges:
    if channel_sources(call) is None:
        inputs = [hull(inputs[0], channels_of(call))]
    if not any(attrs.pad_width):
        return inputs[0]
    return ChannelRanges(
        np.minimum(inputs[0].low, attrs.pad_value), np.maximum(inputs[0].high, attrs.pad_value)
    )


def _moved(call: Expr, _attrs: Any, inputs: list[ChannelRanges]) -> ChannelRanges:
    """A reshape, resize or transpose: each channel's own range where channels stay apart, else the
    hull."""
    sources = channel_sources(call)
    if sources is None:
        return hull(inputs[0], channels_of(call))
    return ChannelRanges(inputs[0].low[sources], inputs[0].high[sources])


def _concat(call: Expr, _attrs: Any, inputs: list[ChannelRanges]) -> ChannelRanges:
    """Along another axis the hull of the inputs' ranges, along the last one after another."""
    if len(inputs) < len(call.args):  # constants among them
        return any_value(call)
    low, high = [x.low for x in inputs], [x.high for x in inputs]
    if channel_sources(call) is None:
        return ChannelRanges(np.concatenate(low), np.concatenate(high))
    return ChannelRanges(np.min(low, axis=0), np.max(high, axis=0))


_RULES: dict[str, Callable[[Expr, Any, list[ChannelRanges]], ChannelRanges]] = {
    **ELEMENTWISE_RANGES,
    "vq.conv2d": _conv2d,
    "vq.dense": _dense,
    "vq.depthwise_conv2d": _depthwise_conv2d,
    "vq.avg_pool2d": _avg_pool2d,
    "vq.max_pool2d": _max_pool2d,
    "vq.concat": _concat,
    "vq.pad": _pad,
    "vq.reshape": _moved,
    "vq.resize2d": _moved,
    "vq.transpose": _moved,
}

__all__ = ["ChannelRanges", "channel_ranges"]
