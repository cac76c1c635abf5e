"""`vq.max_pool2d`: the largest value of each window; both sides share scale and zero point."""

from __future__ import annotations

import numpy as np

from ..op.max_pool2d import MaxPool2dAttrs
from .access_order import by_rows
from .layer import Kernel, Layer
from .tir import FunctionBuilder, Scalar, T, clamp, int32, loop, store, widen
from .window import Window, window


def max_pool2d(layer: Layer) -> Kernel:
    """Kernel of a `vq.max_pool2d` layer; no constants."""
    attrs: MaxPool2dAttrs = layer.attrs
    spec = Window(attrs.pool_size, attrs.strides, attrs.padding, attrs.dilation)
    batch, height, width, channels = layer.inputs[0].shape
    lowest = int(np.iinfo(layer.inputs[0].dtype).min)
    with FunctionBuilder("max_pool2d") as builder:
        x = builder.parameter("x", layer.inputs[0].shape, layer.inputs[0].dtype)
        y = builder.parameter("y", layer.output.shape, layer.output.dtype)
        with loop("n", batch) as n, loop("oh", layer.output.shape[1]) as oh:
            rows = window(oh, 0, spec, height)
            with loop("ow", layer.output.shape[2]) as ow:
                columns = window(ow, 1, spec, width)
                with loop("c", channels) as c:
                    best = Scalar("best", int32(lowest))
                    with (
                        loop("kh", rows.first, rows.last) as kh,
                        loop("kw", columns.first, columns.last) as kw,
                    ):
                        row = rows.origin + kh * attrs.dilation[0]
                        column = columns.origin + kw * attrs.dilation[1]
                        value = widen(x[n, row, column, c])
                        best.set(T.max(best.get(), value))
                    store(y, (n, oh, ow, c), clamp(best.get(), attrs.y_min, attrs.y_max))
    width_out = layer.output.shape[2]
    order = by_rows(width * channels, width_out * channels, -attrs.padding[0], attrs.strides[0])
    in_bytes = order.of_elements(layer.inputs[0].dtype, layer.output.dtype)
    return Kernel(builder.function, (), {0: in_bytes} if batch == 1 else {})
