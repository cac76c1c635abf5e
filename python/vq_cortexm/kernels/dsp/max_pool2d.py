"""`vq.max_pool2d` by comparing bytes, four channels a word."""

from __future__ import annotations

from ...op.max_pool2d import MaxPool2dAttrs
from ..layer import Kernel, Layer
from ..line import saturation
from ..micro_kernel import MicroKernel
from ..tir import FunctionBuilder, at, call, loop
from .avg_pool2d import window_order

_WORD = 4
"""Channels that are compared at a time."""
_LARGEST_OFFSET = 4095
"""Bytes that an address of a load reaches from its base."""
_LARGEST_STEP = 65535
"""Bytes that one instruction moves an address by."""


def max_pool2d(layer: Layer) -> Kernel | None:
    """Realisation of a `vq.max_pool2d` layer of at least four channels without padding or dilation;
    no constants."""
    attrs: MaxPool2dAttrs = layer.attrs
    batch, _, width, channels = layer.inputs[0].shape
    rows, columns = attrs.pool_size
    pitch, step = width * channels, attrs.strides[1] * channels
    reachable = (columns - 1) * channels <= _LARGEST_OFFSET and max(pitch, step) <= _LARGEST_STEP
    plain = not any(attrs.padding) and attrs.dilation == (1, 1)
    if not plain or channels < _WORD or not reachable:
        return None
    clamp = saturation(attrs.y_dtype, attrs.y_min, attrs.y_max)
    micro = MicroKernel(
        "max_pool",
        {
            "rows": rows,
            "columns": columns,
            "channels": channels,
            "pitch": pitch,
            "step": step,
            "unsigned_x": clamp["unsigned_y"],
            "low": clamp["low"],
            "high": clamp["high"],
        },
    )
    with FunctionBuilder("max_pool2d") as builder:
        x = builder.parameter("x", layer.inputs[0].shape, layer.inputs[0].dtype)
        y = builder.parameter("y", layer.output.shape, layer.output.dtype)
        with loop("n", batch) as n, loop("oh", layer.output.shape[1]) as oh:
            first = at(x, n, oh * attrs.strides[0], 0, 0)
            call(micro.symbol, at(y, n, oh, 0, 0), first, layer.output.shape[2])
    # channels of a group that overlaps another are read again after they were written
    order = window_order(layer, crossing=channels % _WORD != 0)
    return Kernel(builder.function, (), order, (micro,))
