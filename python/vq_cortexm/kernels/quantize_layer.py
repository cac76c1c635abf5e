"""`vq.quantize` and `vq.dequantize`: between float32 and integers, element by element."""

from __future__ import annotations

import math
from dataclasses import replace

from ..compat import Expr
from ..op.dequantize import DequantizeAttrs
from ..op.quantize import QuantizeAttrs
from .access_order import elementwise
from .layer import Kernel, Layer
from .tir import FunctionBuilder, T, bind, loop, round_f32, store, widen


def quantize(layer: Layer) -> Kernel:
    """Kernel of a `vq.quantize` layer, in place where it likes.

    It clamps before it rounds: the bounds are integers, so the result is the same, and within them
    the conversion to an integer is defined.
    """
    attrs: QuantizeAttrs = layer.attrs
    size, low_high = math.prod(layer.output.shape), attrs.bounds
    with FunctionBuilder("quantize") as builder:
        x = builder.parameter("x", (size,), "float32")
        y = builder.parameter("y", (size,), layer.output.dtype)
        with loop("i", size) as i:
            if attrs.multiplies:
                steps = x[i] * T.float32(float(attrs.inverse))
            else:
                steps = x[i] / T.float32(attrs.y_scale)
            # the order of the two comparisons decides what becomes of what is not a number
            low, high = (T.float32(end) for end in low_high)
            bounded = bind("steps", T.min(T.max(steps, low), high))
            store(y, [i], _rounded(bounded, attrs) + attrs.y_zero_point)
    order = elementwise("float32", layer.output.dtype)
    return Kernel(builder.function, (), inplace={0: order})


def _rounded(steps: Expr, attrs: QuantizeAttrs) -> Expr:
    """float32 to int32, to nearest: halves away from zero (`double`) or to even."""
    if attrs.rounding != "double":
        return round_f32(steps)
    whole = bind("whole", widen(steps))
    rest = bind("rest", steps - widen(whole, "float32"))
    up, down = rest >= T.float32(0.5), rest <= T.float32(-0.5)
    return whole + T.Select(up, T.int32(1), T.Select(down, T.int32(-1), T.int32(0)))


def dequantize(layer: Layer) -> Kernel:
    """Kernel of a `vq.dequantize` layer: from the last element down, so that its output may take
    the place of its input, which is smaller."""
    attrs: DequantizeAttrs = layer.attrs
    size, dtype = math.prod(layer.output.shape), layer.inputs[0].dtype
    with FunctionBuilder("dequantize") as builder:
        x = builder.parameter("x", (size,), dtype)
        y = builder.parameter("y", (size,), "float32")
        with loop("i", size) as i:
            last = size - 1 - i
            centred = widen(widen(x[last]) - attrs.x_zero_point, "float32")
            store(y, [last], centred * T.float32(attrs.x_scale))
    order = replace(elementwise(dtype, "float32"), backward=True)
    return Kernel(builder.function, (), inplace={0: order})
