"""`vq.depthwise_conv2d`: one channel at a time over a copy of its rows.

A channel's rows are copied to scratch as int16, less the zero point and with the padding written
out, so that the inner loop has neither borders nor subtractions:

    scratch row (padded input row r):   0 0 | x[r - top, 0..W) - zp | 0 0      left, W, right

With few rows the whole padded plane is copied; else a ring of as many rows as the kernel is high,
padded row r in slot r % KH. Output pixel p of channel c lies at p * C + c, as does input pixel p,
and is written after the rows that it belongs to were copied: with one output per input channel
the output may take the input's place.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..compat import Expr
from ..op import depthwise_conv2d as op
from ..op.depthwise_conv2d import DepthwiseConv2dAttrs
from .layer import Kernel, Layer
from .requantize import Requantizer, requantizer
from .tir import (
    Buffer,
    FunctionBuilder,
    Scalar,
    T,
    bind,
    choose,
    int32,
    loop,
    scratch,
    store,
    widen,
)

_PLANE_BYTES = 512
"""A channel's padded plane up to this size is copied whole; above it, row by row."""
_UNROLLED_TAPS = 16
"""Kernels up to this many taps keep their weights in named values."""


@dataclass(frozen=True)
class _Geometry:
    """Sizes of one channel's plane; `slots` rows of `row_width` elements are kept."""

    height: int
    width: int
    out_height: int
    out_width: int
    kernel: tuple[int, int]
    attrs: DepthwiseConv2dAttrs

    @property
    def span(self) -> tuple[int, int]:
        """Rows and columns that one output covers, dilation included."""
        rows, columns = (
            (k - 1) * d + 1 for k, d in zip(self.kernel, self.attrs.dilation, strict=True)
        )
        return rows, columns

    @property
    def padded_height(self) -> int:
        """Rows with the padding written out."""
        return self.height + self.attrs.padding[0] + self.attrs.padding[2]

    @property
    def row_width(self) -> int:
        """Elements of such a row."""
        return self.width + self.attrs.padding[1] + self.attrs.padding[3]

    @property
    def whole_plane(self) -> bool:
        return self.padded_height * self.row_width * 2 <= _PLANE_BYTES

    @property
    def slots(self) -> int:
        return self.padded_height if self.whole_plane else self.span[0]

    def slot(self, padded_row: Expr) -> Expr:
        """Where a padded row starts in scratch."""
        row = padded_row if self.whole_plane else T.truncmod(padded_row, self.slots)
        return row * self.row_width


def depthwise_conv2d(layer: Layer) -> Kernel:
    """Kernel of a `vq.depthwise_conv2d` layer; constants: weights, bias, requantization."""
    attrs: DepthwiseConv2dAttrs = layer.attrs
    weight, bias, w_scale = layer.constants
    batch, height, width, channels = layer.inputs[0].shape
    multiplier = weight.shape[2] // channels
    geometry = _Geometry(
        height,
        width,
        layer.output.shape[1],
        layer.output.shape[2],
        (weight.shape[0], weight.shape[1]),
        attrs,
    )
    finish = requantizer(op.constants(w_scale, attrs), attrs.y_zero_point, attrs.y_min, attrs.y_max)
    with FunctionBuilder("depthwise_conv2d") as builder:
        x = builder.parameter("x", layer.inputs[0].shape, layer.inputs[0].dtype)
        w = builder.parameter("w", weight.shape, "int8")
        b = builder.parameter("bias", bias.shape, "int32")
        constants = finish.declare(builder)
        y = builder.parameter("y", layer.output.shape, layer.output.dtype)
        rows = scratch("rows", (geometry.slots * geometry.row_width,), "int16")
        if any(attrs.padding):
            with loop("i", geometry.slots * geometry.row_width) as i:
                store(rows, [i], int32(0))
        with loop("n", batch) as n, loop("c", channels) as c:
            if geometry.whole_plane:
                with loop("r", height) as r:
                    _copy_row(x, rows, geometry, n, c, r, r + attrs.padding[0])
            with loop("m", multiplier) as m:
                _channel(x, w, b, constants, y, rows, geometry, finish, n, c, c * multiplier + m)
    inplace = (0,) if multiplier == 1 else ()
    return Kernel(builder.function, (weight, bias, *finish.constants), inplace)


def _copy_row(
    x: Buffer, rows: Buffer, geometry: _Geometry, n: Expr, c: Expr, r: Expr, padded: Expr
) -> None:
    """Input row r of channel c into the slot of its padded row."""
    start = bind("slot", geometry.slot(padded) + geometry.attrs.padding[1])
    with loop("iw", geometry.width) as iw:
        store(rows, [start + iw], widen(x[n, r, iw, c]) - geometry.attrs.x_zero_point)


def _channel(
    x: Buffer,
    w: Buffer,
    b: Buffer,
    constants: list[Buffer],
    y: Buffer,
    rows: Buffer,
    geometry: _Geometry,
    finish: Requantizer,
    n: Expr,
    c: Expr,
    channel: Expr,
) -> None:
    """All outputs of one output channel."""
    taps = _named_taps(w, geometry, channel)
    stride = geometry.attrs.strides
    start = bind("start", b[channel])
    with loop("oh", geometry.out_height) as oh:
        first = bind("first", oh * stride[0])
        if not geometry.whole_plane:
            _refill_ring(x, rows, geometry, n, c, oh, first)
        lines = [
            bind(f"line{kh}", geometry.slot(first + kh * geometry.attrs.dilation[0]))
            for kh in range(geometry.kernel[0] if taps else 0)
        ]
        with loop("ow", geometry.out_width) as ow:
            acc = Scalar("acc", start)
            if taps:
                _unrolled(rows, lines, taps, geometry, ow, acc)
            else:
                _looped(rows, w, geometry, first, ow, channel, acc)
            store(y, (n, oh, ow, channel), finish.emit(constants, acc.get(), channel))


def _refill_ring(
    x: Buffer, rows: Buffer, geometry: _Geometry, n: Expr, c: Expr, oh: Expr, first: Expr
) -> None:
    """Copies the padded rows [first, first + span) that the row before did not need."""
    span, top = geometry.span[0], geometry.attrs.padding[0]
    fresh = max(0, span - geometry.attrs.strides[0])
    begin = bind("begin", T.Select(oh == 0, first, first + fresh))
    with loop("p", begin, first + span) as padded:
        r = bind("r", padded - top)
        if geometry.padded_height == geometry.height:
            _copy_row(x, rows, geometry, n, c, r, padded)
            return
        with choose(T.And(r >= 0, r < geometry.height)) as (inside, outside):
            with inside:
                _copy_row(x, rows, geometry, n, c, r, padded)
            with outside:
                slot = bind("slot", geometry.slot(padded))
                with loop("i", geometry.row_width) as i:
                    store(rows, [slot + i], int32(0))


def _named_taps(w: Buffer, geometry: _Geometry, channel: Expr) -> list[list[Expr]]:
    """The channel's weights as named values, or nothing if they are too many."""
    height, width = geometry.kernel
    if height * width > _UNROLLED_TAPS:
        return []
    return [
        [bind(f"w{kh}{kw}", widen(w[kh, kw, channel])) for kw in range(width)]
        for kh in range(height)
    ]


def _unrolled(
    rows: Buffer,
    lines: list[Expr],
    taps: list[list[Expr]],
    geometry: _Geometry,
    ow: Expr,
    acc: Scalar,
) -> None:
    column = ow * geometry.attrs.strides[1]
    for line, weights in zip(lines, taps, strict=True):
        for kw, weight in enumerate(weights):
            index = line + column + kw * geometry.attrs.dilation[1]
            acc.add(widen(rows[index]) * weight)


def _looped(
    rows: Buffer,
    w: Buffer,
    geometry: _Geometry,
    first: Expr,
    ow: Expr,
    channel: Expr,
    acc: Scalar,
) -> None:
    height, width = geometry.kernel
    with loop("kh", height) as kh:
        line = bind("line", geometry.slot(first + kh * geometry.attrs.dilation[0]))
        with loop("kw", width) as kw:
            column = ow * geometry.attrs.strides[1] + kw * geometry.attrs.dilation[1]
            acc.add(widen(rows[line + column]) * widen(w[kh, kw, channel]))
