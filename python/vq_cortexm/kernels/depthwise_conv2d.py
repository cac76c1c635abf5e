"""`vq.depthwise_conv2d`: one channel at a time over a copy of its rows.

A channel's rows are copied to scratch as int16, less the zero point and with the padding written
out, so that the inner loop has neither borders nor subtractions:

    scratch row (padded input row r):   0 0 | x[r - top, 0..W) - zp | 0 0      left, W, right

A small padded plane is copied whole, as is one that the kernel sees at once; else a ring of as many
rows as the kernel is high, padded row r in slot r % KH. Output pixel p of channel c lies at
p * C + c, as does input pixel p: with one output per input channel the output may take the input's
place, or lie some pixels in front of it, where it never runs ahead of the rows that were copied.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..compat import Expr
from ..op import depthwise_conv2d as op
from ..op.depthwise_conv2d import DepthwiseConv2dAttrs
from .access_order import by_rows
from .layer import Kernel, Layer, StoredWeights
from .requantize import Requantizer, requantizer
from .row_ring import RowRing
from .tir import Buffer, FunctionBuilder, Scalar, bind, loop, scratch, store, widen
from .weights import with_accumulators

_PLANE_BYTES = 512
"""A channel's padded plane up to this size is copied whole."""
_UNROLLED_TAPS = 16
"""Kernels up to this many taps keep their weights in named values."""


@dataclass(frozen=True)
class _Depthwise:
    """What the loops of one kernel share: its tensors, its rows and how it ends."""

    x: Buffer
    w: Buffer
    bias: Buffer
    constants: list[Buffer]
    y: Buffer
    ring: RowRing
    attrs: DepthwiseConv2dAttrs
    finish: Requantizer

    @property
    def kernel(self) -> tuple[int, int]:
        """Rows and columns of the weights."""
        return int(self.w.shape[0]), int(self.w.shape[1])

    @property
    def whole_plane(self) -> bool:
        """Whether all rows of a channel are kept at once."""
        return self.ring.slots == self.ring.padded_height


def depthwise_conv2d(layer: Layer) -> Kernel:
    """Kernel of a `vq.depthwise_conv2d` layer; constants: weights, bias, requantization."""
    attrs: DepthwiseConv2dAttrs = layer.attrs
    weight, bias, w_scale = layer.constants
    batch, height, width, channels = layer.inputs[0].shape
    multiplier = weight.shape[2] // channels
    dtypes = layer.inputs[0].dtype, layer.output.dtype
    requantization = op.constants(w_scale, attrs)
    taps = weight.reshape(-1, weight.shape[2]).T
    bias, wide = with_accumulators(taps, bias, dtypes[0], requantization)
    finish = requantizer(requantization, attrs.y_zero_point, attrs.y_min, attrs.y_max, wide)
    top, left, bottom, right = attrs.padding
    padded_height, row_width = height + top + bottom, left + width + right
    span = (weight.shape[0] - 1) * attrs.dilation[0] + 1
    slots = padded_height if padded_height * row_width * 2 <= _PLANE_BYTES else span
    with FunctionBuilder("depthwise_conv2d") as builder:
        x = builder.parameter("x", layer.inputs[0].shape, dtypes[0])
        w = builder.parameter("w", weight.shape, "int8")
        b = builder.parameter("bias", bias.shape, str(bias.dtype))
        constants = finish.declare(builder)
        y = builder.parameter("y", layer.output.shape, dtypes[1])
        rows = scratch("rows", (slots * row_width,), "int16")
        ring = RowRing(rows, slots, height, top, bottom, left, width, right, span, fill=0)
        depthwise = _Depthwise(x, w, b, constants, y, ring, attrs, finish)
        ring.clear()
        with loop("n", batch) as n, loop("c", channels) as c:
            if depthwise.whole_plane:
                with loop("r", height) as r:
                    start = bind("slot", ring.slot(r + top) + left)
                    _copy_row(depthwise, n, c, r, start)
            with loop("m", multiplier) as m:
                _channel(depthwise, n, c, c * multiplier + m)
    # channel by channel: a plane's rows are copied, all or under the window, before it is written
    copied = height if depthwise.whole_plane else span - top
    order = by_rows(width, layer.output.shape[2], copied, attrs.strides[0], pitch_bytes=channels)
    alike = np.dtype(dtypes[0]).itemsize == np.dtype(dtypes[1]).itemsize
    can_overlap = batch == 1 and multiplier == 1 and alike
    inplace = {0: order.of_elements(*dtypes)} if can_overlap else {}
    stored = StoredWeights(size_bytes=weight.nbytes)
    return Kernel(builder.function, (weight, bias, *finish.constants), inplace, weights=stored)


def _copy_row(depthwise: _Depthwise, n: Expr, c: Expr, r: Expr, start: Expr) -> None:
    """Input row r of channel c, centred, to scratch from `start` on."""
    with loop("iw", depthwise.ring.width) as iw:
        centred = widen(depthwise.x[n, r, iw, c]) - depthwise.attrs.x_zero_point
        store(depthwise.ring.rows, [start + iw], centred)


def _channel(depthwise: _Depthwise, n: Expr, c: Expr, channel: Expr) -> None:
    """All outputs of one output channel."""
    ring, attrs = depthwise.ring, depthwise.attrs
    taps = _named_taps(depthwise, channel)
    start = bind("start", depthwise.bias[channel])
    with loop("oh", int(depthwise.y.shape[1])) as oh:
        first = bind("first", oh * attrs.strides[0])
        if not depthwise.whole_plane:
            ring.refill(
                oh, first, attrs.strides[0], lambda r, at: _copy_row(depthwise, n, c, r, at)
            )
        lines = [
            bind(f"line{kh}", ring.slot(first + kh * attrs.dilation[0]))
            for kh in range(depthwise.kernel[0] if taps else 0)
        ]
        with loop("ow", int(depthwise.y.shape[2])) as ow:
            acc = Scalar("acc", start, str(depthwise.bias.dtype))
            if taps:
                _unrolled(depthwise, lines, taps, ow, acc)
            else:
                _looped(depthwise, first, ow, channel, acc)
            value = depthwise.finish.emit(depthwise.constants, acc.get(), channel)
            store(depthwise.y, (n, oh, ow, channel), value)


def _named_taps(depthwise: _Depthwise, channel: Expr) -> list[list[Expr]]:
    """The channel's weights as named values, or nothing if they are too many."""
    height, width = depthwise.kernel
    if height * width > _UNROLLED_TAPS:
        return []
    return [
        [bind(f"w{kh}{kw}", widen(depthwise.w[kh, kw, channel])) for kw in range(width)]
        for kh in range(height)
    ]


def _unrolled(
    depthwise: _Depthwise, lines: list[Expr], taps: list[list[Expr]], ow: Expr, acc: Scalar
) -> None:
    column = ow * depthwise.attrs.strides[1]
    for line, weights in zip(lines, taps, strict=True):
        for kw, weight in enumerate(weights):
            index = line + column + kw * depthwise.attrs.dilation[1]
            acc.add_product(widen(depthwise.ring.rows[index]), weight)


def _looped(depthwise: _Depthwise, first: Expr, ow: Expr, channel: Expr, acc: Scalar) -> None:
    attrs, ring = depthwise.attrs, depthwise.ring
    height, width = depthwise.kernel
    with loop("kh", height) as kh:
        line = bind("line", ring.slot(first + kh * attrs.dilation[0]))
        with loop("kw", width) as kw:
            column = ow * attrs.strides[1] + kw * attrs.dilation[1]
            acc.add_product(widen(ring.rows[line + column]), depthwise.w[kh, kw, channel])
