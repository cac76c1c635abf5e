"""How channels, the indices of a tensor's last axis, pass through the `vq.*` operators."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..compat import Expr, is_constant, op_name, shape_of
from ..op.registry import attributes
from ..op.rounding import Int64Array

BoolArray: TypeAlias = npt.NDArray[np.bool_]

ELEMENTWISE = {"vq.add", "vq.extremum", "vq.mul", "vq.prelu"}
"""Operators whose arguments broadcast, constants among them."""

_CHANNELWISE = {
    "vq.avg_pool2d",
    "vq.concat",
    "vq.max_pool2d",
    "vq.pad",
    "vq.requantize",
    "vq.resize2d",
}


def channels_of(expr: Expr) -> int:
    """The length of the last axis; 1 of a scalar."""
    shape = shape_of(expr)
    return shape[-1] if shape else 1


def channel_sources(call: Expr) -> Int64Array | None:
    """sources[j]: the one channel of each input that output channel j is computed from.

    None for an operator that mixes channels or whose inputs' channels do not line up.
    """
    name, channels = op_name(call), channels_of(call)
    if name == "vq.lookup":
        return np.arange(channels)
    if name in ELEMENTWISE:
        of_all = all(
            channels_of(x) == channels or (is_constant(x) and channels_of(x) == 1)
            for x in call.args
        )
        return np.arange(channels) if of_all else None
    if name in _CHANNELWISE:
        aligned = all(not is_constant(x) and channels_of(x) == channels for x in call.args)
        return np.arange(channels) if aligned else None
    if name == "vq.depthwise_conv2d":
        return np.arange(channels) // (channels // channels_of(call.args[0]))
    if name == "vq.reshape" and channels % channels_of(call.args[0]) == 0:
        # Element e, counted in row-major order, is of channel e % C on either side.
        return np.arange(channels) % channels_of(call.args[0])
    return None


def is_mixing(call: Expr) -> bool:
    """Whether a layer sums all its input channels: a dense layer or an ungrouped convolution."""
    return op_name(call) == "vq.dense" or (
        op_name(call) == "vq.conv2d" and attributes(call).groups == 1
    )


def is_padded(attrs: Any) -> bool:
    """Whether some window of a layer may reach into its padding."""
    return any(getattr(attrs, "padding", ()))


__all__ = [
    "BoolArray",
    "channel_sources",
    "channels_of",
    "is_mixing",
    "is_padded",
]
