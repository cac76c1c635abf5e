"""Which integers each channel of each tensor can hold, whatever the input: interval arithmetic.

A channel is an index of a tensor's last axis. A layer's bounds follow from its inputs' bounds by
the layer's own arithmetic at both ends: a requantization never decreases as its accumulator grows,
so it maps the ends of an accumulator's interval to the ends of the output's. Where that does not
hold (an accumulator beyond int32, a shift that wraps) a channel gets the layer's whole clamp.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..compat import Expr, constant_value, dtype_of, op_name, shape_of
from ..op import add, avg_pool2d, conv2d, dense, depthwise_conv2d, requantize
from ..op.quantization import dtype_range, to_output
from ..op.registry import attributes
from ..op.rounding import Int64Array, RequantizeConstants
from ..op.rounding import requantize as scale_accumulator
from .channels import BoolArray, bindings_of, channel_sources, channels_of, is_padded

_INT32_MIN, _INT32_MAX = dtype_range("int32")

# Input scale over output scale: below it no intermediate value of `add` or `avg_pool2d` overflows,
# in any rounding, so both never decrease as an input grows.
_STEEP = 2.0**18


@dataclass(frozen=True, eq=False)
class ChannelRanges:
    """Every element of channel c is in [low[c], high[c]], for every input; both of shape (C,)."""

    low: Int64Array
    high: Int64Array

    @property
    def constant(self) -> BoolArray:
        """Which channels hold one value, low[c], at every position and for every input."""
        return np.asarray(self.low == self.high)


def channel_ranges(function: Expr) -> dict[Expr, ChannelRanges]:
    """The ranges of every tensor of a folded function, by variable.

    An input may hold its dtype's whole range, and so may the result of an operator that has no
    rule here.
    """
    known = {parameter: _any_value(parameter) for parameter in function.params}
    for var, value in bindings_of(function):
        name = op_name(value)
        if name:
            rule = _RULES.get(name, _full)
            inputs = [known[arg] for arg in value.args if arg in known]
            known[var] = rule(value, attributes(value), inputs)
        elif value in known:
            known[var] = known[value]
    return known


def _any_value(expr: Expr) -> ChannelRanges:
    return _uniform(channels_of(expr), *dtype_range(dtype_of(expr)))


def _uniform(channels: int, low: int, high: int) -> ChannelRanges:
    return ChannelRanges(np.full(channels, low, np.int64), np.full(channels, high, np.int64))


def _full(call: Expr, attrs: Any, _inputs: list[ChannelRanges]) -> ChannelRanges:
    """The whole clamp, or the whole dtype of an operator without one."""
    low, high = dtype_range(dtype_of(call))
    return _uniform(channels_of(call), getattr(attrs, "y_min", low), getattr(attrs, "y_max", high))


def _conv2d(call: Expr, attrs: conv2d.Conv2dAttrs, inputs: list[ChannelRanges]) -> ChannelRanges:
    weight, bias, scales = map(constant_value, call.args[1:])
    groups = (attrs.groups, weight.shape[0] // attrs.groups)
    taps = weight.astype(np.int64).reshape(*groups, -1, weight.shape[3])
    low, high = (end.reshape(attrs.groups, 1, -1) for end in _centred(inputs[0], attrs))
    accumulators = _weighted(taps, low, high)
    return _requantized(bias, accumulators, conv2d.constants(scales, attrs), attrs)


def _dense(call: Expr, attrs: dense.DenseAttrs, inputs: list[ChannelRanges]) -> ChannelRanges:
    weight, bias, scales = map(constant_value, call.args[1:])
    taps = weight.astype(np.int64)[:, None, :]
    accumulators = _weighted(taps, *_centred(inputs[0], attrs))
    return _requantized(bias, accumulators, dense.constants(scales, attrs), attrs)


def _depthwise_conv2d(
    call: Expr, attrs: depthwise_conv2d.DepthwiseConv2dAttrs, inputs: list[ChannelRanges]
) -> ChannelRanges:
    weight, bias, scales = map(constant_value, call.args[1:])
    channels = weight.shape[2]
    taps = weight.astype(np.int64).reshape(-1, channels).T[:, :, None]
    spread = channels // inputs[0].low.size
    low, high = (np.repeat(end, spread)[:, None] for end in _centred(inputs[0], attrs))
    accumulators = _weighted(taps, low, high)
    return _requantized(bias, accumulators, depthwise_conv2d.constants(scales, attrs), attrs)


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


def _requantized(
    bias: npt.NDArray[Any],
    sums: tuple[Int64Array, Int64Array],
    constants: RequantizeConstants,
    attrs: Any,
) -> ChannelRanges:
    """The outputs of accumulators that are `bias` plus sums within these ends."""
    ends = [bias.astype(np.int64) + end for end in sums]
    monotone = _is_monotone(ends[0], constants) & _is_monotone(ends[1], constants)
    low, high = (
        to_output(
            scale_accumulator(np.where(monotone, end, 0), constants),
            attrs.y_zero_point,
            attrs.y_min,
            attrs.y_max,
            "int64",
        )
        for end in ends
    )
    return ChannelRanges(
        np.where(monotone, low, attrs.y_min), np.where(monotone, high, attrs.y_max)
    )


def _is_monotone(end: Int64Array, constants: RequantizeConstants) -> BoolArray:
    """Whether requantization is defined and does not decrease between 0 and `end`.

    Up to where an int32 accumulator, `double`'s left shift or `float`'s conversion to an integer
    overflows, it is a composition of functions that do not decrease.
    """
    fits = (end >= _INT32_MIN) & (end <= _INT32_MAX)
    if constants.rounding == "double":
        shifted = np.where(fits, end, 0) << np.maximum(constants.shift, 0).astype(np.int64)
        fits &= (shifted >= _INT32_MIN) & (shifted <= _INT32_MAX)
    elif constants.rounding == "float":
        fits &= np.abs(end) * constants.scale.astype(np.float64) < 2.0**62
    return np.asarray(fits)


def _add(call: Expr, attrs: add.AddAttrs, inputs: list[ChannelRanges]) -> ChannelRanges:
    """The sum at both ends: it grows with either input, as neither's factor is negative."""
    steepest = max(attrs.a_scale, attrs.b_scale) / attrs.y_scale
    if channel_sources(call) is None or steepest >= _STEEP:
        return _full(call, attrs, inputs)
    a, b = inputs
    a_dtype, b_dtype = map(dtype_of, call.args)
    low = add.reference(a.low.astype(a_dtype), b.low.astype(b_dtype), attrs)
    high = add.reference(a.high.astype(a_dtype), b.high.astype(b_dtype), attrs)
    return ChannelRanges(low.astype(np.int64), high.astype(np.int64))


def _avg_pool2d(
    call: Expr, attrs: avg_pool2d.AvgPool2dAttrs, inputs: list[ChannelRanges]
) -> ChannelRanges:
    """The hull over the windows' sizes: a mean does not decrease as its window's sum grows."""
    x = call.args[0]
    counts = np.unique(avg_pool2d.window_counts(shape_of(x), attrs))
    if attrs.x_scale / attrs.y_scale >= _STEEP or counts[0] == 0:
        return _full(call, attrs, inputs)
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
    if max(top, bottom) >= rows or max(left, right) >= columns:
        lowest, _ = dtype_range(attrs.y_dtype)
        x = ChannelRanges(np.full_like(x.low, lowest), x.high)
    return _clamped(x, attrs)


def _clamped(x: ChannelRanges, attrs: Any) -> ChannelRanges:
    return ChannelRanges(
        np.clip(x.low, attrs.y_min, attrs.y_max), np.clip(x.high, attrs.y_min, attrs.y_max)
    )


def _requantize(
    call: Expr, attrs: requantize.RequantizeAttrs, inputs: list[ChannelRanges]
) -> ChannelRanges:
    """The hull of the operator's table over the input's range."""
    dtype = dtype_of(call.args[0])
    table = requantize.table(dtype, attrs).astype(np.int64)
    first, _ = dtype_range(dtype)
    spans = [
        table[low - first : high - first + 1]
        for low, high in zip(inputs[0].low, inputs[0].high, strict=True)
    ]
    return ChannelRanges(
        np.array([span.min() for span in spans]), np.array([span.max() for span in spans])
    )


def _pad(call: Expr, attrs: Any, inputs: list[ChannelRanges]) -> ChannelRanges:
    if channel_sources(call) is None:
        inputs = [_hull(inputs[0], channels_of(call))]
    if not any(attrs.pad_width):
        return inputs[0]
    return ChannelRanges(
        np.minimum(inputs[0].low, attrs.pad_value), np.maximum(inputs[0].high, attrs.pad_value)
    )


def _moved(call: Expr, _attrs: Any, inputs: list[ChannelRanges]) -> ChannelRanges:
    """A reshape or transpose: each channel's own range where channels stay apart, else the hull."""
    sources = channel_sources(call)
    if sources is None:
        return _hull(inputs[0], channels_of(call))
    return ChannelRanges(inputs[0].low[sources], inputs[0].high[sources])


def _concat(call: Expr, _attrs: Any, inputs: list[ChannelRanges]) -> ChannelRanges:
    """Along another axis the hull of the inputs' ranges, along the last one after another."""
    if len(inputs) < len(call.args):  # constants among them
        return _any_value(call)
    low, high = [x.low for x in inputs], [x.high for x in inputs]
    if channel_sources(call) is None:
        return ChannelRanges(np.concatenate(low), np.concatenate(high))
    return ChannelRanges(np.min(low, axis=0), np.max(high, axis=0))


def _hull(x: ChannelRanges, channels: int) -> ChannelRanges:
    return _uniform(channels, int(x.low.min()), int(x.high.max()))


_RULES: dict[str, Callable[[Expr, Any, list[ChannelRanges]], ChannelRanges]] = {
    "vq.conv2d": _conv2d,
    "vq.dense": _dense,
    "vq.depthwise_conv2d": _depthwise_conv2d,
    "vq.add": _add,
    "vq.avg_pool2d": _avg_pool2d,
    "vq.max_pool2d": _max_pool2d,
    "vq.requantize": _requantize,
    "vq.concat": _concat,
    "vq.pad": _pad,
    "vq.reshape": _moved,
    "vq.transpose": _moved,
}

__all__ = ["ChannelRanges", "channel_ranges"]
