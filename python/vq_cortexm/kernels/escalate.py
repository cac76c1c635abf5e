"""`vq.escalate`: one byte, 1 where a classifier is unsure of its answer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..compat import Expr
from ..op.escalate import (
    ENTROPY_BITS,
    LOG_INDEX_BITS,
    EntropyTables,
    EscalateAttrs,
    entropy_tables,
)
from .layer import Kernel, Layer
from .tir import (
    Buffer,
    FunctionBuilder,
    Scalar,
    T,
    bind,
    choose,
    int32,
    leading_zeros,
    loop,
    store,
    when,
    widen,
)

_BELOW_ALL = -129
"""Logits."""


def escalate(layer: Layer) -> Kernel:
    """Kernel of a `vq.escalate` layer. Constants: the thresholds, which may be set at run time, and
    of `entropy` its three tables."""
    attrs: EscalateAttrs = layer.attrs
    (thresholds,) = layer.constants
    classes = layer.inputs[0].shape[1]
    known = entropy_tables(classes, attrs.x_scale) if attrs.confidence == "entropy" else None
    tables: tuple[NDArray[np.int32], ...] = ()
    if known is not None:
        tables = (known.exponentials, known.products, known.logarithms)
    with FunctionBuilder("escalate") as builder:
        x = builder.parameter("x", (classes,), layer.inputs[0].dtype)
        limits = builder.parameter("thresholds", thresholds.shape, "int32")
        names = ("exponentials", "products", "logarithms")[: len(tables)]
        buffers = [
            builder.parameter(name, table.shape, "int32")
            for name, table in zip(names, tables, strict=True)
        ]
        y = builder.parameter("y", (1,), "uint8")
        seen = _Seen(attrs.confidence == "margin", thresholds.size > 1)
        seen.look_at(x)
        largest = sure = seen.largest.get()
        if seen.second is not None:
            sure = bind("margin", largest - seen.second.get())
        elif known is not None:
            sure = bind("confidence", 0 - _entropy(x, largest, known, *buffers))
        limit = limits[seen.answer.get() if seen.answer is not None else 0]
        store(y, [0], widen(sure < limit))
    return Kernel(builder.function, (thresholds, *tables), settable=(0,))


class _Seen:
    """Of the logits so far: the largest, and where they are asked for the second largest and the
    first place of the largest."""

    def __init__(self, wants_second: bool, wants_answer: bool) -> None:
        self.largest = Scalar("largest", int32(_BELOW_ALL))
        self.second = Scalar("second", int32(_BELOW_ALL)) if wants_second else None
        self.answer = Scalar("answer", int32(0)) if wants_answer else None

    def look_at(self, x: Buffer) -> None:
        """All elements of a flat tensor."""
        with loop("i", int(x.shape[0])) as i:
            value = bind("value", widen(x[i]))
            with choose(value > self.largest.get()) as (larger, other):
                with larger:
                    if self.second is not None:
                        self.second.set(self.largest.get())
                    self.largest.set(value)
                    if self.answer is not None:
                        self.answer.set(i)
                if self.second is not None:
                    with other, when(value > self.second.get()):
                        self.second.set(value)


def _entropy(
    x: Buffer,
    largest: Expr,
    known: EntropyTables,
    exponentials: Buffer,
    products: Buffer,
    logarithms: Buffer,
) -> Expr:
    """As `op.escalate` has it, in 32 bits."""
    last = known.exponentials.size - 1
    total, weighted = Scalar("total", int32(0)), Scalar("weighted", int32(0))
    with loop("i", int(x.shape[0])) as i:
        below = largest - widen(x[i])
        d = bind("d", below if last == 255 else T.min(below, int32(last)))
        total.add(exponentials[d])
        weighted.add(products[d])
    zeros = bind("zeros", leading_zeros(total.get()))
    mantissa = bind("mantissa", total.get() << (zeros - 1))
    steps = bind("steps", (mantissa >> (30 - LOG_INDEX_BITS)) & ((1 << LOG_INDEX_BITS) - 1))
    between = bind("between", (mantissa >> (20 - LOG_INDEX_BITS)) & 1023)
    low = bind("low", logarithms[steps])
    line = bind("line", ((logarithms[steps + 1] - low) * between) >> 10)
    whole = (31 - known.fraction_bits - zeros) * (1 << ENTROPY_BITS)
    mean = T.truncdiv(weighted.get(), total.get() >> ENTROPY_BITS)
    return bind("entropy", whole + low + line + mean)
