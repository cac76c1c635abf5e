"""`vq.avg_pool2d`: the sums of a window by SXTAB16, four channels a word; how they end is the
semantic kernel's."""

from __future__ import annotations

from ...op import avg_pool2d as op
from ...op.avg_pool2d import AvgPool2dAttrs
from ...op.max_pool2d import MaxPool2dAttrs
from ..access_order import ELEMENT_BY_ELEMENT, AccessOrder, by_rows
from ..avg_pool2d import emit_mean, mean_finish
from ..layer import Kernel, Layer
from ..micro_kernel import MicroKernel
from ..requantize import Requantizer
from ..tir import FunctionBuilder, at, bind, call, loop, scratch, store
from ..window import Window, window

_WORD = 4
"""Channels that are added up at a time."""
_SHORTEST_ROW, _LONGEST_ROW = 3, 256
"""Elements of a row that pay for its overhead, and whose sum fits a halfword."""


def avg_pool2d(layer: Layer) -> Kernel | None:
    """Realisation of a `vq.avg_pool2d` layer of at least four channels whose windows are not
    narrow; constants as the semantic kernel's."""
    attrs: AvgPool2dAttrs = layer.attrs
    batch, height, width, channels = layer.inputs[0].shape
    # the rows of a window over the whole input follow each other
    whole = attrs.pool_size == (height, width) and not any(attrs.padding)
    one_row = whole and height * width <= _LONGEST_ROW
    row_length = height * width if one_row else attrs.pool_size[1]
    if channels < _WORD or not _SHORTEST_ROW <= row_length <= _LONGEST_ROW:
        return None
    counts = op.window_counts(layer.inputs[0].shape, attrs)
    fewest = int(counts.min())
    finish = mean_finish(range(fewest, int(counts.max()) + 1), attrs)
    zero = attrs.x_zero_point if isinstance(finish, Requantizer) else 0
    spec = Window(attrs.pool_size, attrs.strides, attrs.padding, (1, 1))
    micro = MicroKernel("avg_pool", {"unsigned_x": layer.inputs[0].dtype == "uint8"})
    with FunctionBuilder("avg_pool2d") as builder:
        x = builder.parameter("x", layer.inputs[0].shape, layer.inputs[0].dtype)
        scales = finish.declare(builder) if finish else []
        y = builder.parameter("y", layer.output.shape, layer.output.dtype)
        sums = scratch("sums", (channels,), "int32")
        with loop("n", batch) as n, loop("oh", layer.output.shape[1]) as oh:
            rows = window(oh, 0, spec, height)
            with loop("ow", layer.output.shape[2]) as ow:
                columns = window(ow, 1, spec, width)
                extent = (columns.last - columns.first, rows.last - rows.first)
                count = bind("count", extent[0] * extent[1])
                first = at(x, n, rows.origin + rows.first, columns.origin + columns.first, 0)
                size = (count, 1) if one_row else extent
                call(micro.symbol, at(sums, 0), first, channels, *size, width * channels)
                with loop("c", channels) as c:
                    total = sums[c] - count * zero
                    value = emit_mean(finish, scales, total, count, count - fewest, attrs)
                    store(y, (n, oh, ow, c), value)
    constants = finish.constants if finish else ()
    return Kernel(builder.function, constants, window_order(layer, any(attrs.padding)), (micro,))


def window_order(layer: Layer, crossing: bool) -> dict[int, AccessOrder]:
    """How far windows have been read when a pixel is written. Without padding none starts below
    its output; if that does not hold, `crossing`, rows are at least read one after the other."""
    if not crossing:
        return {0: ELEMENT_BY_ELEMENT}
    attrs: AvgPool2dAttrs | MaxPool2dAttrs = layer.attrs
    batch, _, width, channels = layer.inputs[0].shape
    written = layer.output.shape[2] * channels
    order = by_rows(width * channels, written, -attrs.padding[0], attrs.strides[0])
    return {0: order} if batch == 1 else {}
