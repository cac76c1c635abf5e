"""The softmax of int16: exponentials, their sum and its reciprocal from two tables."""

from __future__ import annotations

from ..compat import Expr
from ..op.softmax import SoftmaxAttrs
from ..op.softmax_int16 import Int16Softmax
from .requantize import double_rescale
from .softmax_gemmlowp import largest
from .tir import Buffer, Scalar, bind, clamp, int32, int64, leading_zeros, loop, store, widen


def int16_row(
    x: Buffer,
    tables: tuple[Buffer, Buffer],
    y: Buffer,
    row: Expr,
    known: Int16Softmax,
    attrs: SoftmaxAttrs,
) -> None:
    """One row; its exponentials lie in the output until their sum is known."""
    exponentials, reciprocals = tables
    length, (multiplier, shift) = int(x.shape[1]), (known.scale.multiplier, known.scale.shift)
    top = bind("top", largest(x, row).get())
    total = Scalar("total", int32(0))
    with loop("i", length) as i:
        below = bind("below", widen(x[row, i]) - top)
        steps = double_rescale(below, int32(int(multiplier)), int32(int(shift)))
        exponent = bind("exponent", clamp(steps + 32767, -32768, 32767))
        exponential = bind("exponential", _interpolate(exponent, exponentials))
        total.add(exponential)
        store(y, (row, i), exponential)
    bits = bind("bits", int32(32) - leading_zeros(total.get()))
    # in [1, 2), with 30 bits behind the point, then 16 of them
    raised = widen(total.get() << (int32(31) - bits), "int64") + int64(1 << 13)
    fraction = widen(raised >> int64(14), "int32") - ((1 << 16) + (1 << 15))
    bounded = bind("fraction", clamp(fraction, -32768, 32767))
    factor = bind("factor", _interpolate(bounded, reciprocals))
    with loop("i", length) as i:
        product = widen(y[row, i]) * factor + (int32(1) << (bits - 2))
        store(y, (row, i), clamp(product >> (bits - 1), max(0, attrs.y_min), attrs.y_max))


def _interpolate(x: Expr, table: Buffer) -> Expr:
    """As `op.interpolation` does."""
    piece = bind("piece", (x >> int32(7)) + 256)
    begin = bind("begin", widen(table[piece]))
    slope = widen(table[piece + 1]) - begin
    return begin + ((slope * (x & int32(127)) + 64) >> int32(7))
