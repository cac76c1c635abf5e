"""`vq.softmax` over the last axis: largest element, sum of exponentials, quotients."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..compat import Expr
from ..op.softmax import FloatSoftmax, SoftmaxAttrs, TableSoftmax, constants
from ..op.softmax_int16 import Int16Softmax
from .access_order import elementwise
from .layer import Kernel, Layer
from .softmax_gemmlowp import gemmlowp_rows, largest
from .softmax_int16 import int16_row
from .tir import (
    Buffer,
    FunctionBuilder,
    Scalar,
    T,
    bind,
    clamp,
    int32,
    int64,
    loop,
    store,
    widen,
)


def softmax(layer: Layer) -> Kernel:
    """Kernel of a `vq.softmax` layer, in place where it likes; constants: a table of exponentials
    or, for `double`, none."""
    attrs: SoftmaxAttrs = layer.attrs
    length = layer.output.shape[-1]
    rows = math.prod(layer.output.shape) // length
    known = constants(length, attrs)
    with FunctionBuilder("softmax") as builder:
        x = builder.parameter("x", (rows, length), layer.inputs[0].dtype)
        if isinstance(known, (TableSoftmax, FloatSoftmax)):
            table = _without_zero_tail(known.table)
            t = builder.parameter("exponentials", table.shape, str(table.dtype))
            y = builder.parameter("y", (rows, length), layer.output.dtype)
            with loop("row", rows) as row:
                _table_row(x, t, y, row, known, attrs)
            return_constants: tuple[NDArray[np.generic], ...] = (table,)
        elif isinstance(known, Int16Softmax):
            return_constants = (known.exponentials, known.reciprocals)
            names = zip(("exponentials", "reciprocals"), return_constants, strict=True)
            e, r = (builder.parameter(name, each.shape, "int16") for name, each in names)
            y = builder.parameter("y", (rows, length), layer.output.dtype)
            with loop("row", rows) as row:
                int16_row(x, (e, r), y, row, known, attrs)
        else:
            y = builder.parameter("y", (rows, length), layer.output.dtype)
            gemmlowp_rows(x, y, known, attrs)
            return_constants = ()
    order = elementwise(layer.inputs[0].dtype, layer.output.dtype)
    return Kernel(builder.function, return_constants, inplace={0: order})


def _without_zero_tail(table: NDArray[np.generic]) -> NDArray[np.generic]:
    """int32 or float32; one zero stands for all that follow it."""
    table = table.astype(np.int32) if table.dtype == np.uint32 else table
    used = int(np.flatnonzero(table)[-1]) + 1
    return table[: min(used + 1, table.size)]


def _table_row(
    x: Buffer,
    table: Buffer,
    y: Buffer,
    row: Expr,
    known: TableSoftmax | FloatSoftmax,
    attrs: SoftmaxAttrs,
) -> None:
    top = largest(x, row).get()
    last = int(table.shape[0]) - 1

    def exponential(i: Expr) -> Expr:
        below = top - widen(x[row, i])
        return table[below if last == 255 else T.min(below, int32(last))]

    is_float = isinstance(known, FloatSoftmax)
    total = Scalar("total", T.float32(0) if is_float else int32(0), str(table.dtype))
    length = int(x.shape[1])
    with loop("i", length) as i:
        total.add(exponential(i))
    if isinstance(known, FloatSoftmax):
        scaled = total.get() * T.float32(float(known.y_scale))
        factor = bind("factor", T.float32(1) / scaled)
        with loop("i", length) as i:
            probability = bind("probability", exponential(i) * factor)
            whole = bind("whole", widen(probability, "int32"))
            fraction = probability - widen(whole, "float32")
            _finish(y, row, i, whole + widen(fraction >= T.float32(0.5)), attrs)
        return
    product = widen(total.get(), "int64") * int64(known.total_multiplier)
    denominator = bind("denominator", widen(product >> int64(32), "int32"))
    with loop("i", length) as i:
        quotient = T.truncdiv(exponential(i) + (denominator >> 1), denominator)
        _finish(y, row, i, bind("quotient", quotient), attrs)


def _finish(y: Buffer, row: Expr, i: Expr, value: Expr, attrs: SoftmaxAttrs) -> None:
    store(y, (row, i), clamp(value + attrs.y_zero_point, attrs.y_min, attrs.y_max))
