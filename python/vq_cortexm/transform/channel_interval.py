"""Intervals of channels, and the steps that the rules of `channel_ranges` share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..compat import Expr, dtype_of
from ..op.quantization import dtype_range, to_output
from ..op.rounding import Int64Array, RequantizeConstants
from ..op.rounding import requantize as scale_accumulator
from .channels import BoolArray, channels_of

_INT32_MIN, _INT32_MAX = dtype_range("int32")
_REAL = 1 << 62

STEEP = 2.0**18
"""Input scale over output scale: below it no intermediate value of `add` or `avg_pool2d` overflows,
in any rounding, so both never decrease as an input grows."""


@dataclass(frozen=True, eq=False)
class ChannelRanges:
    """Every element of channel c is in [low[c], high[c]], for every input; both of shape (C,)."""

    low: Int64Array
    high: Int64Array

    @property
    def constant(self) -> BoolArray:
        """Which channels hold one value, low[c], at every position and for every input."""
        return np.asarray(self.low == self.high)


def any_value(expr: Expr) -> ChannelRanges:
    """All that a tensor's type can hold."""
    return uniform(channels_of(expr), *_limits(dtype_of(expr)))


def _limits(dtype: str) -> tuple[int, int]:
    """Of an integer type; of real numbers such that no channel seems constant."""
    return dtype_range(dtype) if np.issubdtype(dtype, np.integer) else (-_REAL, _REAL)


def uniform(channels: int, low: int, high: int) -> ChannelRanges:
    """The same of all channels."""
    return ChannelRanges(np.full(channels, low, np.int64), np.full(channels, high, np.int64))


def full(call: Expr, attrs: Any, _inputs: list[ChannelRanges]) -> ChannelRanges:
    """The whole clamp, or the whole dtype of an operator without one."""
    low, high = _limits(dtype_of(call))
    return uniform(channels_of(call), getattr(attrs, "y_min", low), getattr(attrs, "y_max", high))


def clamped(x: ChannelRanges, attrs: Any) -> ChannelRanges:
    """Behind an operator's clamp."""
    return ChannelRanges(
        np.clip(x.low, attrs.y_min, attrs.y_max), np.clip(x.high, attrs.y_min, attrs.y_max)
    )


def hull(x: ChannelRanges, channels: int) -> ChannelRanges:
    """Of all channels together, for as many."""
    return uniform(channels, int(x.low.min()), int(x.high.max()))


def requantized(
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
