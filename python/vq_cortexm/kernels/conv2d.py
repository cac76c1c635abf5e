"""`vq.conv2d`: convolution, four output channels at a time.

The inner loop is a dot product over memory that is contiguous in both the activations (NHWC) and
the weights (OHWI): a whole kernel row where the dilation allows, else one pixel. Activations are
read in one of three ways:

* `_direct`: from the input. Padding is never stored: the ranges of the kernel's rows and columns
  shrink at the border.
* `_from_rows`: from copies of the rows that the window covers (`RowRing`), padding written out.
* `_from_pixel`: a pointwise convolution, from a copy of its one pixel.

The last two let the output take the input's place; the first lets it start some rows or a pixel in
front of it. Where no border needs the input's zero point at run time, it is folded into the bias.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compat import Expr
from ..op.conv2d import Conv2dAttrs, constants
from ..op.rounding import RequantizeConstants
from .access_order import AccessOrder, by_rows
from .layer import Kernel, Layer, StoredWeights
from .requantize import Requantizer, requantizer
from .row_ring import RowRing
from .tir import Buffer, FunctionBuilder, Scalar, bind, copy, int32, loop, scratch, store, widen
from .weights import with_accumulators
from .window import Window, window

CHANNEL_TILE = 4
"""Output channels that share each activation load; more would spill registers."""


@dataclass(frozen=True)
class _Conv:
    """What the loops of one kernel share: its tensors and how it ends."""

    x: Buffer
    w: Buffer
    bias: Buffer
    constants: list[Buffer]
    y: Buffer
    attrs: Conv2dAttrs
    finish: Requantizer

    @property
    def depth(self) -> int:
        """Input channels that one output channel reads."""
        return int(self.w.shape[3])

    @property
    def channels(self) -> int:
        """Input channels."""
        return int(self.x.shape[3])


@dataclass(frozen=True)
class _View:
    """The part of the input under one output pixel: kernel rows and columns that exist, and for
    each row its elements, counted from the window's first pixel."""

    kernel_rows: tuple[Expr | int, Expr | int]
    kernel_columns: tuple[Expr | int, Expr | int]
    line: Callable[[Expr], Callable[[Expr], Expr]]


def conv2d(layer: Layer) -> Kernel:
    """Kernel of a `vq.conv2d` layer; constants: weights, bias, requantization."""
    return convolve(layer, constants(layer.constants[2], layer.attrs))


def convolve(layer: Layer, requantization: RequantizeConstants) -> Kernel:
    """The same with requantization constants that are not the operator's own."""
    attrs: Conv2dAttrs = layer.attrs
    weight, bias, _ = layer.constants
    x_shape, y_shape = layer.inputs[0].shape, layer.output.shape
    pointwise = is_pointwise(weight, attrs)
    if pointwise:
        # every pixel is alike: one row of them
        pixels = math.prod(x_shape[:3])
        x_shape, y_shape = (1, 1, pixels, x_shape[3]), (1, 1, pixels, y_shape[3])
    dtypes = layer.inputs[0].dtype, layer.output.dtype
    in_place = layer.overlap and (
        pointwise or overwrites_input(x_shape, y_shape, weight, attrs, dtypes)
    )
    reads_padding = any(attrs.padding) and not in_place
    if not reads_padding:
        bias = fold_zero_point(bias, weight, attrs.x_zero_point)
    rows = weight.reshape(len(weight), -1)
    bias, wide = with_accumulators(rows, bias, dtypes[0], requantization)
    finish = requantizer(requantization, attrs.y_zero_point, attrs.y_min, attrs.y_max, wide)
    with FunctionBuilder("conv2d") as builder:
        conv = _Conv(
            builder.parameter("x", x_shape, dtypes[0]),
            builder.parameter("w", weight.shape, "int8"),
            builder.parameter("bias", bias.shape, str(bias.dtype)),
            finish.declare(builder),
            builder.parameter("y", y_shape, dtypes[1]),
            attrs,
            finish,
        )
        if not in_place:
            _direct(conv, attrs.x_zero_point if reads_padding else 0)
            order = _pixel_order(conv) if pointwise else row_order(x_shape, y_shape, attrs)
        elif pointwise:
            order = _from_pixel(conv)
        else:
            _from_rows(conv)
            order = row_order(x_shape, y_shape, attrs, copied_rows=_span(weight, attrs))
    inplace = {0: order.of_elements(*dtypes)} if x_shape[0] == 1 else {}
    stored = StoredWeights(size_bytes=weight.nbytes)
    return Kernel(builder.function, (weight, bias, *finish.constants), inplace, weights=stored)


def overwrites_input(
    x_shape: tuple[int, ...],
    y_shape: tuple[int, ...],
    weight: NDArray[np.int8],
    attrs: Conv2dAttrs,
    dtypes: tuple[str, str],
) -> bool:
    """Whether a kernel that copies the rows under its window may have its output at the input's
    first byte; `dtypes`: of input and output."""
    order = row_order(x_shape, y_shape, attrs, copied_rows=_span(weight, attrs))
    x_bytes, y_bytes = (
        math.prod(shape) * np.dtype(dtype).itemsize
        for shape, dtype in zip((x_shape, y_shape), dtypes, strict=True)
    )
    return x_shape[0] == 1 and order.of_elements(*dtypes).allows(x_bytes, y_bytes, 0)


def row_order(
    x_shape: tuple[int, ...],
    y_shape: tuple[int, ...],
    attrs: Conv2dAttrs,
    copied_rows: int = 0,
    band: int = 1,
) -> AccessOrder:
    """The access order, of elements, of a kernel (batch 1) that goes from output row to output row,
    or from `band` of them to the next. Each row's window starts at input row oh * stride - top; its
    `copied_rows` first rows are copied before the output row is written, and not read again."""
    input_row, output_row = (math.prod(shape[2:]) for shape in (x_shape, y_shape))
    stride = attrs.strides[0]
    first_read = (band - 1) * stride + copied_rows - attrs.padding[0]
    return by_rows(input_row, band * output_row, first_read, band * stride)


def _span(weight: NDArray[np.int8], attrs: Conv2dAttrs) -> int:
    """Input rows under a window."""
    return int(weight.shape[1] - 1) * attrs.dilation[0] + 1


def _pixel_order(conv: _Conv) -> AccessOrder:
    """Of `_direct` for a pointwise convolution: an output pixel is written while its input pixel
    is read."""
    return AccessOrder(conv.channels, int(conv.y.shape[3]), lead_bytes=-conv.channels)


def is_pointwise(weight: NDArray[np.int8], attrs: Conv2dAttrs) -> bool:
    """Whether each output pixel reads exactly the input pixel at its place."""
    one = weight.shape[1] == weight.shape[2] == 1
    return one and attrs.strides == (1, 1) and not any(attrs.padding)


def fold_zero_point(bias: NDArray[Any], weight: NDArray[np.int8], zero_point: int) -> NDArray[Any]:
    """bias - zero_point * sum(w), per output channel (the weights' first axis), modulo 2^32 for
    int32; a zero point of 0 changes nothing."""
    sums = weight.reshape(weight.shape[0], -1).astype(np.int64).sum(axis=1)
    folded = bias.astype(np.int64) - zero_point * sums
    return np.asarray(folded, bias.dtype)


def channel_tiles(channels: int, tile: int = CHANNEL_TILE) -> list[tuple[int, int, int]]:
    """(first channel, number of tiles, channels per tile) covering all channels."""
    full = channels // tile
    tiles = [(0, full, tile)] if full else []
    if channels % tile:
        tiles.append((full * tile, 1, channels % tile))
    return tiles


def _direct(conv: _Conv, zero: int) -> None:
    """Loops that read the input itself; `zero` is subtracted from each activation."""
    x, attrs = conv.x, conv.attrs
    batch, height, width, _ = (int(n) for n in x.shape)
    size = (int(conv.w.shape[1]), int(conv.w.shape[2]))
    spec = Window(size, attrs.strides, attrs.padding, attrs.dilation)
    with loop("n", batch) as n, loop("oh", int(conv.y.shape[1])) as oh:
        rows = window(oh, 0, spec, height)
        with loop("ow", int(conv.y.shape[2])) as ow:
            columns = window(ow, 1, spec, width)

            def line(kh: Expr) -> Callable[[Expr], Expr]:
                row = bind("row", rows.origin + kh * attrs.dilation[0])
                return lambda i: widen(x[n, row, columns.origin, i]) - zero

            view = _View((rows.first, rows.last), (columns.first, columns.last), line)
            _all_channels(conv, view, n, oh, ow)


def _from_rows(conv: _Conv) -> None:
    """Loops that read copies of the rows under the window."""
    x, attrs, channels = conv.x, conv.attrs, conv.channels
    _, height, width, _ = (int(n) for n in x.shape)
    kernel_height, kernel_width = int(conv.w.shape[1]), int(conv.w.shape[2])
    top, left, bottom, right = attrs.padding
    span = (kernel_height - 1) * attrs.dilation[0] + 1
    sizes = (left * channels, width * channels, right * channels)
    rows = scratch("rows", (span * sum(sizes),), str(x.dtype))
    ring = RowRing(rows, span, height, top, bottom, *sizes, span, attrs.x_zero_point)

    def copy_row(r: Expr, start: Expr) -> None:
        copy(rows, [start], x, (0, r, 0, 0), width * channels)

    ring.clear()
    with loop("oh", int(conv.y.shape[1])) as oh:
        first = bind("first", oh * attrs.strides[0])
        ring.refill(oh, first, attrs.strides[0], copy_row)
        with loop("ow", int(conv.y.shape[2])) as ow:
            column = bind("column", ow * (attrs.strides[1] * channels))

            def line(kh: Expr) -> Callable[[Expr], Expr]:
                start = bind("line", ring.slot(first + kh * attrs.dilation[0]) + column)
                return lambda i: widen(rows[start + i])

            view = _View((0, kernel_height), (0, kernel_width), line)
            _all_channels(conv, view, int32(0), oh, ow)


def _from_pixel(conv: _Conv) -> AccessOrder:
    """Loops that read a copy of each pixel. With more outputs than inputs a pixel the last pixel
    comes first, so that no output lies over an input that is still to be read."""
    pixels = int(conv.x.shape[2])
    pixel = scratch("pixel", (conv.channels,), str(conv.x.dtype))
    backwards = int(conv.y.shape[3]) > conv.channels
    with loop("p", pixels) as p:
        ow = bind("ow", pixels - 1 - p) if backwards else p
        copy(pixel, [0], conv.x, (0, 0, ow, 0), conv.channels)
        view = _View((0, 1), (0, 1), lambda _: lambda i: widen(pixel[i]))
        _all_channels(conv, view, int32(0), int32(0), ow)
    return AccessOrder(conv.channels, int(conv.y.shape[3]), backward=backwards)


def _all_channels(conv: _Conv, view: _View, n: Expr, oh: Expr, ow: Expr) -> None:
    """All output channels of one pixel."""
    per_group = int(conv.w.shape[0]) // conv.attrs.groups
    with loop("g", conv.attrs.groups) as group:
        for start, count, size in channel_tiles(per_group):
            with loop("tile", count) as tile:
                channel = bind("oc", group * per_group + start + tile * size)
                dtype = str(conv.bias.dtype)
                sums = [Scalar(f"acc{c}", conv.bias[channel + c], dtype) for c in range(size)]
                _accumulate(conv, view, group * conv.depth, channel, sums)
                for c, acc in enumerate(sums):
                    value = conv.finish.emit(conv.constants, acc.get(), channel + c)
                    store(conv.y, (n, oh, ow, channel + c), value)


def _accumulate(
    conv: _Conv, view: _View, first_input: Expr, channel: Expr, sums: list[Scalar]
) -> None:
    """Adds all products of the window to the sums of neighbouring output channels."""
    with loop("kh", *view.kernel_rows) as kh:
        element = view.line(kh)
        if conv.attrs.dilation[1] == 1 and conv.attrs.groups == 1:
            # element i of the row of kernel pixels: pixel i / depth, channel i % depth
            first, last = view.kernel_columns
            with loop("i", first * conv.depth, last * conv.depth) as i:
                value = bind("v", element(i))
                for c, acc in enumerate(sums):
                    acc.add_product(value, conv.w[channel + c, kh, 0, i])
            return
        with loop("kw", *view.kernel_columns) as kw:
            start = bind("start", kw * (conv.attrs.dilation[1] * conv.channels) + first_input)
            with loop("ic", conv.depth) as ic:
                value = bind("v", element(start + ic))
                for c, acc in enumerate(sums):
                    acc.add_product(value, conv.w[channel + c, kh, kw, ic])
