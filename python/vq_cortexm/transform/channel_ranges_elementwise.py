"""The rules of `channel_ranges` for operators on single elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ..compat import Expr, constant_value, dtype_of, is_constant
from ..op import add, mul, requantize
from ..op.quantization import dtype_range
from .channel_interval import STEEP, ChannelRanges, clamped, full, requantized
from .channels import channel_sources, channels_of


def _add(call: Expr, attrs: add.AddAttrs, inputs: list[ChannelRanges]) -> ChannelRanges:
    """The sum at both ends: it grows with an input, and falls with one that is subtracted."""
    steepest = max(attrs.a_scale, attrs.b_scale) / attrs.y_scale
    if channel_sources(call) is None or steepest >= STEEP:
        return full(call, attrs, inputs)
    (a_low, a_high), (b_low, b_high) = (
        (x.low.astype(dtype_of(arg)), x.high.astype(dtype_of(arg)))[::sign]
        for x, arg, sign in zip(_operands(call, inputs), call.args, attrs.signs, strict=True)
    )
    low, high = add.reference(a_low, b_low, attrs), add.reference(a_high, b_high, attrs)
    return ChannelRanges(low.astype(np.int64), high.astype(np.int64))


def _mul(call: Expr, attrs: mul.MulAttrs, inputs: list[ChannelRanges]) -> ChannelRanges:
    """The hull over the ends of the products: their requantization never decreases."""
    if channel_sources(call) is None:
        return full(call, attrs, inputs)
    ends = [
        (x.low - zero_point, x.high - zero_point)
        for x, zero_point in zip(
            _operands(call, inputs), (attrs.a_zero_point, attrs.b_zero_point), strict=True
        )
    ]
    products = [a * b for a in ends[0] for b in ends[1]]
    none = np.zeros(channels_of(call), np.int64)
    sums = np.min(products, axis=0), np.max(products, axis=0)
    return requantized(none, sums, mul.constants(attrs), attrs)


def _extremum(call: Expr, attrs: Any, inputs: list[ChannelRanges]) -> ChannelRanges:
    if channel_sources(call) is None:
        return full(call, attrs, inputs)
    choose = np.maximum if attrs.kind == "maximum" else np.minimum
    a, b = _operands(call, inputs)
    return clamped(ChannelRanges(choose(a.low, b.low), choose(a.high, b.high)), attrs)


def _operands(call: Expr, inputs: list[ChannelRanges]) -> list[ChannelRanges]:
    """Of all arguments of an operator whose channels line up, constants among them."""
    given, channels = iter(inputs), channels_of(call)
    ranges = []
    for arg in call.args:
        if is_constant(arg):
            rows = constant_value(arg).astype(np.int64).reshape(-1, channels_of(arg))
            ends = (np.broadcast_to(end(axis=0), (channels,)) for end in (rows.min, rows.max))
            ranges.append(ChannelRanges(*ends))
        else:
            ranges.append(next(given))
    return ranges


def _requantize(
    call: Expr, attrs: requantize.RequantizeAttrs, inputs: list[ChannelRanges]
) -> ChannelRanges:
    return _from_table(call, requantize.table(dtype_of(call.args[0]), attrs), inputs)


def _lookup(call: Expr, _attrs: Any, inputs: list[ChannelRanges]) -> ChannelRanges:
    return _from_table(call, constant_value(call.args[1]), inputs)


def _from_table(
    call: Expr, entries: npt.NDArray[Any], inputs: list[ChannelRanges]
) -> ChannelRanges:
    """The hull of an operator's table over the input's range."""
    dtype = dtype_of(call.args[0])
    table = entries.astype(np.int64)
    first, _ = dtype_range(dtype)
    spans = [
        table[low - first : high - first + 1]
        for low, high in zip(inputs[0].low, inputs[0].high, strict=True)
    ]
    return ChannelRanges(
        np.array([span.min() for span in spans]), np.array([span.max() for span in spans])
    )


ELEMENTWISE_RANGES: dict[str, Callable[[Expr, Any, list[ChannelRanges]], ChannelRanges]] = {
    "vq.add": _add,
    "vq.extremum": _extremum,
    "vq.lookup": _lookup,
    "vq.mul": _mul,
    "vq.requantize": _requantize,
}
