"""`vq.avg_pool2d`: the mean of each window; what lies in the padding is not counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..compat import Expr
from ..op import avg_pool2d as op
from ..op.avg_pool2d import AvgPool2dAttrs
from ..op.rounding import RequantizeConstants
from .access_order import by_rows
from .layer import Kernel, Layer
from .requantize import Requantizer, requantizer
from .tir import (
    Buffer,
    FunctionBuilder,
    Scalar,
    T,
    bind,
    clamp,
    int32,
    loop,
    round_f32,
    store,
    widen,
)
from .window import Span, Window, window


def avg_pool2d(layer: Layer) -> Kernel:
    """Kernel of a `vq.avg_pool2d` layer; constants: what rescales a sum, one entry for each
    number of elements that a window may hold, unless the operator is a plain quotient."""
    attrs: AvgPool2dAttrs = layer.attrs
    counts = op.window_counts(layer.inputs[0].shape, attrs)
    fewest = int(counts.min())
    finish = mean_finish(range(fewest, int(counts.max()) + 1), attrs)
    spec = Window(attrs.pool_size, attrs.strides, attrs.padding, (1, 1))
    batch, height, width, channels = layer.inputs[0].shape
    zero = attrs.x_zero_point if isinstance(finish, Requantizer) else 0
    with FunctionBuilder("avg_pool2d") as builder:
        x = builder.parameter("x", layer.inputs[0].shape, layer.inputs[0].dtype)
        scales = finish.declare(builder) if finish else []
        y = builder.parameter("y", layer.output.shape, layer.output.dtype)
        with loop("n", batch) as n, loop("oh", layer.output.shape[1]) as oh:
            rows = window(oh, 0, spec, height)
            with loop("ow", layer.output.shape[2]) as ow:
                columns = window(ow, 1, spec, width)
                count = bind("count", (rows.last - rows.first) * (columns.last - columns.first))
                with loop("c", channels) as c:
                    total = _sum(x, n, c, rows, columns, zero)
                    value = emit_mean(finish, scales, total, count, count - fewest, attrs)
                    store(y, (n, oh, ow, c), value)
    width_out = layer.output.shape[2]
    order = by_rows(width * channels, width_out * channels, -attrs.padding[0], attrs.strides[0])
    in_bytes = order.of_elements(layer.inputs[0].dtype, layer.output.dtype)
    inplace = {0: in_bytes} if batch == 1 else {}
    return Kernel(builder.function, finish.constants if finish else (), inplace)


@dataclass(frozen=True)
class FloatMean:
    """round(float32(sum) * scale + offset), as XNNPACK's mean; constants by element count."""

    constants: tuple[NDArray[np.float32], NDArray[np.float32]]
    y_min: int
    y_max: int

    def declare(self, builder: FunctionBuilder) -> list[Buffer]:
        """The constants' parameters."""
        names = zip(("scale", "offset"), self.constants, strict=True)
        return [builder.parameter(name, value.shape, "float32") for name, value in names]

    def emit(self, buffers: list[Buffer], total: Expr, index: Expr | int) -> Expr:
        """The output value, clamped, as an int32 expression."""
        scale, offset = (buffer[index] for buffer in buffers)
        mean = widen(total, "float32") * scale + offset
        return round_f32(clamp(mean, self.y_min, self.y_max, "float32"))


def mean_finish(counts: range, attrs: AvgPool2dAttrs) -> Requantizer | FloatMean | None:
    """How sums of `counts` elements end; None: as a quotient."""
    if op.divides(attrs):
        return None
    each = [op.constants(count, attrs) for count in counts]
    means = [c for c in each if isinstance(c, op.FloatMean)]
    if means:
        scales = np.array([c.scale for c in means], np.float32)
        offsets = np.array([c.offset for c in means], np.float32)
        return FloatMean((scales, offsets), attrs.y_min, attrs.y_max)
    fixed = [c for c in each if isinstance(c, RequantizeConstants)]
    by_count = RequantizeConstants(
        fixed[0].rounding,
        np.array([c.multiplier for c in fixed], np.int32),
        np.array([c.shift for c in fixed], np.int32),
        np.empty(0, np.float32),
    )
    return requantizer(by_count, attrs.y_zero_point, attrs.y_min, attrs.y_max)


def emit_mean(
    finish: Requantizer | FloatMean | None,
    scales: list[Buffer],
    total: Expr,
    count: Expr | int,
    index: Expr | int,
    attrs: AvgPool2dAttrs,
) -> Expr:
    """The output of a sum of `count` elements, clamped; `index` is their place in `scales`."""
    if finish:
        return finish.emit(scales, total, index)
    divide = T.truncdiv if attrs.truncate else _quotient
    mean = bind("mean", divide(total, count))
    return clamp(mean, attrs.y_min, attrs.y_max)


def _sum(x: Buffer, n: Expr, c: Expr, rows: Span, columns: Span, zero: int) -> Expr:
    total = Scalar("total", int32(0))
    with loop("kh", rows.first, rows.last) as kh, loop("kw", columns.first, columns.last) as kw:
        total.add(widen(x[n, rows.origin + kh, columns.origin + kw, c]) - zero)
    return total.get()


def _quotient(total: Expr, count: Expr | int) -> Expr:
    """total / count to nearest, halves away from zero: C's division truncates towards zero."""
    half = T.truncdiv(count, 2) if not isinstance(count, int) else count // 2
    return T.truncdiv(total + T.Select(total < 0, 0 - half, half), count)
