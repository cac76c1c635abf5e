"""`vq.s_curve`: sigmoid or tanh of int16 from a table of 256 entries."""

from __future__ import annotations

import math

from ..op import s_curve as op
from ..op.s_curve import ENTRIES, SCurveAttrs
from .access_order import elementwise
from .layer import Kernel, Layer
from .tir import FunctionBuilder, T, bind, int32, loop, store, widen


def s_curve(layer: Layer) -> Kernel:
    """Kernel of a `vq.s_curve` layer, in place where it likes; constants: the table."""
    attrs: SCurveAttrs = layer.attrs
    size = math.prod(layer.output.shape)
    table, bits = op.table(), op.step_bits(attrs)
    (multiplier, shift), (offset, last_shift) = op.factor(attrs), op.ending(attrs)
    with FunctionBuilder("s_curve") as builder:
        x = builder.parameter("x", (size,), layer.inputs[0].dtype)
        entries = builder.parameter("table", table.shape, "uint16")
        y = builder.parameter("y", (size,), layer.output.dtype)
        with loop("i", size) as i:
            scaled = widen(x[i]) * multiplier + ((1 << shift) >> 1)
            steps = bind("steps", scaled >> int32(shift))
            magnitude = bind("magnitude", T.max(steps, 0 - steps))
            index = bind("index", T.min(magnitude >> int32(bits), int32(ENTRIES - 2)))
            begin = bind("begin", widen(entries[index]))
            rise = widen(entries[index + 1]) - begin
            between = magnitude & int32((1 << bits) - 1)
            curve = bind("curve", (begin << int32(bits)) + between * rise)
            beyond = magnitude >= int32((ENTRIES - 1) << bits)
            upper = bind("upper", T.Select(beyond, int32(op.largest(attrs)), curve))
            mirrored = int32((1 << (16 + bits)) - 1) - upper
            both = T.Select(steps < 0, mirrored, upper)
            store(y, [i], (both + int32(offset)) >> int32(last_shift))
    order = elementwise(layer.inputs[0].dtype, layer.output.dtype)
    return Kernel(builder.function, (table,), inplace={0: order})
