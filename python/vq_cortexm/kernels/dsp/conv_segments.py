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
from ..tir import FunctionBuilder, at, bind, call, loop
from .windows import Window, filled, row_segment, widened_rows


def window(layer: Layer, multiple: int) -> Window:
    """A segment of each kernel row."""
    weight = layer.constants[0]
    order, pixel = row_segment(weight, layer.attrs)
    return Window(weight.shape[1], filled(order, multiple), pixel)


def skeleton(
    layer: Layer, window: Window, conv_rows: MicroKernel, stream: NDArray[np.int32]
) -> Kernel:
    """Output row by output row; each goes where input rows were that have been widened."""
    attrs: Conv2dAttrs = layer.attrs
    x_shape, y_shape = layer.inputs[0].shape, layer.output.shape
    pixels = y_shape[2] + y_shape[2] % 2
    make_rows = widened_rows(layer, window.pixel, (pixels - 1) * window.pixel + 2 * window.steps)
    with FunctionBuilder("conv2d") as builder:
        x = builder.parameter("x", x_shape, layer.inputs[0].dtype)
        w = builder.parameter("w", stream.shape, "int32")
        y = builder.parameter("y", y_shape, layer.output.dtype)
        rows = make_rows()
        with loop("n", x_shape[0]) as n, loop("oh", y_shape[1]) as oh:
            first = bind("first", oh * attrs.strides[0])
            rows.refill(x, n, oh, first, attrs)
            lines = [
                at(rows.ring.rows, rows.ring.slot(first + kh * attrs.dilation[0]))
                for kh in range(window.rows)
            ]
            call(conv_rows.symbol, at(y, n, oh, 0, 0), at(w, 0), y_shape[2], *lines)
    order = row_order(x_shape, y_shape, attrs, rows.ring.span)
    inplace = {0: order} if x_shape[0] == 1 else {}
    return Kernel(builder.function, (stream,), inplace, (rows.micro, conv_rows))
