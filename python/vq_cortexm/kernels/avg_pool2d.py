"""`vq.avg_pool2d`: the mean of each window; what lies in the padding is not counted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..compat import Expr
from ..op import avg_pool2d as op
from ..op.avg_pool2d import AvgPool2dAttrs
from ..op.rounding import RequantizeConstants
from .layer import Kernel, Layer
from .requantize import requantizer
from .tir import Buffer, FunctionBuilder, Scalar, T, bind, clamp, int32, loop, store, widen
from .window import Span, Window, window


def avg_pool2d(layer: Layer) -> Kernel:
    """Kernel of a `vq.avg_pool2d` layer; constants: requantization by the window's element count,
    indexed by count - 1, unless the operator is a plain quotient."""
    attrs: AvgPool2dAttrs = layer.attrs
    counts = op.window_counts(layer.inputs[0].shape, attrs)
    divides = op.divides(attrs)
    finish = requantizer(_by_count(counts, attrs), attrs.y_zero_point, attrs.y_min, attrs.y_max)
    spec = Window(attrs.pool_size, attrs.strides, attrs.padding, (1, 1))
    batch, height, width, channels = layer.inputs[0].shape
    zero = 0 if divides else attrs.x_zero_point
    with FunctionBuilder("avg_pool2d") as builder:
        x = builder.parameter("x", layer.inputs[0].shape, layer.inputs[0].dtype)
        scales = [] if divides else finish.declare(builder)
        y = builder.parameter("y", layer.output.shape, layer.output.dtype)
        with loop("n", batch) as n, loop("oh", layer.output.shape[1]) as oh:
            rows = window(oh, 0, spec, height)
            with loop("ow", layer.output.shape[2]) as ow:
                columns = window(ow, 1, spec, width)
                count = bind("count", (rows.last - rows.first) * (columns.last - columns.first))
                with loop("c", channels) as c:
                    total = _sum(x, n, c, rows, columns, zero)
                    if divides:
                        mean = bind("mean", _quotient(total, count))
                        value = clamp(mean, attrs.y_min, attrs.y_max)
                    else:
                        value = finish.emit(scales, total, count - int(counts.min()))
                    store(y, (n, oh, ow, c), value)
    return Kernel(builder.function, () if divides else finish.constants)


def _by_count(counts: NDArray[np.int64], attrs: AvgPool2dAttrs) -> RequantizeConstants:
    """One entry for every count from the smallest to the largest that occurs."""
    each = [op.constants(n, attrs) for n in range(int(counts.min()), int(counts.max()) + 1)]
    return RequantizeConstants(
        each[0].rounding,
        np.array([c.multiplier for c in each], np.int32).reshape(-1),
        np.array([c.shift for c in each], np.int32).reshape(-1),
        np.array([c.scale for c in each], np.float32).reshape(-1),
    )


def _sum(x: Buffer, n: Expr, c: Expr, rows: Span, columns: Span, zero: int) -> Expr:
    total = Scalar("total", int32(0))
    with loop("kh", rows.first, rows.last) as kh, loop("kw", columns.first, columns.last) as kw:
        total.add(widen(x[n, rows.origin + kh, columns.origin + kw, c]) - zero)
    return total.get()


def _quotient(total: Expr, count: Expr | int) -> Expr:
    """total / count to nearest, halves away from zero: C's division truncates towards zero."""
    half = T.truncdiv(count, 2) if not isinstance(count, int) else count // 2
    return T.truncdiv(total + T.Select(total < 0, 0 - half, half), count)
