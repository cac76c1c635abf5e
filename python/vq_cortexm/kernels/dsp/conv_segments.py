"""A convolution from a ring of widened rows: a window is a segment of each row.

row kh    │ … │ kernel columns × channels │ …        the next pixel starts `pixel` halfwords on
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...op.conv2d import Conv2dAttrs
from ..conv2d import row_order
from ..layer import Kernel, Layer
from ..micro_kernel import MicroKernel
from ..tir import FunctionBuilder, at, bind, call, loop, scratch, store
from .window_sums import window_sums
from .windows import Window, filled, row_segment, widened_rows


def window(layer: Layer, multiple: int) -> Window:
    """A segment of each kernel row."""
    weight = layer.constants[0]
    order, pixel = row_segment(weight, layer.attrs)
    return Window(weight.shape[1], filled(order, multiple), pixel)


def has_sums(_layer: Layer) -> bool:
    """Whether the sums of windows can be had."""
    return True


def skeleton(
    layer: Layer, window: Window, conv_rows: MicroKernel, stream: NDArray[np.int32]
) -> Kernel:
    """Output row by output row; each goes where input rows were that have been widened."""
    attrs: Conv2dAttrs = layer.attrs
    x_shape, y_shape = layer.inputs[0].shape, layer.output.shape
    pixels = y_shape[2] + y_shape[2] % 2
    make_rows = widened_rows(layer, window.pixel, (pixels - 1) * window.pixel + 2 * window.steps)
    kernel_width, pitch = layer.constants[0].shape[2], window.pixel // attrs.strides[1]
    summing = window_sums(conv_rows, window.rows, x_shape[3], pitch)
    with FunctionBuilder("conv2d") as builder:
        x = builder.parameter("x", x_shape, layer.inputs[0].dtype)
        w = builder.parameter("w", stream.shape, "int32")
        y = builder.parameter("y", y_shape, layer.output.dtype)
        rows = make_rows()
        columns = rows.ring.row_width // pitch
        if summing:
            of_columns = scratch("column_sums", (columns,), "int32")
            sums = scratch("sums", (pixels,), "int32")
        with loop("n", x_shape[0]) as n, loop("oh", y_shape[1]) as oh:
            first = bind("first", oh * attrs.strides[0])
            rows.refill(x, n, oh, first, attrs)
            lines = [
                at(rows.ring.rows, rows.ring.slot(first + kh * attrs.dilation[0]))
                for kh in range(window.rows)
            ]
            windows = lines
            if summing:
                # a window's sum from those of its columns
                call(summing.symbol, at(of_columns, 0), columns, *lines)
                with loop("ow", y_shape[2]) as ow:
                    first_column = ow * attrs.strides[1]
                    total = of_columns[first_column]
                    for kw in range(1, kernel_width):
                        total = total + of_columns[first_column + kw]
                    store(sums, [ow], total)
                windows = [at(sums, 0), *lines]
            call(conv_rows.symbol, at(y, n, oh, 0, 0), at(w, 0), y_shape[2], *windows)
    order = row_order(x_shape, y_shape, attrs, rows.ring.span)
    inplace = {0: order} if x_shape[0] == 1 else {}
    micro = (rows.micro, *([summing] if summing else []), conv_rows)
    return Kernel(builder.function, (stream,), inplace, micro)
