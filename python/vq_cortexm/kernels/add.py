"""`vq.add`: elementwise sum; the output may take the place of either input."""

from __future__ import annotations

import math

from ..compat import Expr
from ..op.add import AddAttrs, LinearAdd, RescaledAdd, constants
from ..op.rounding import RequantizeConstants
from .access_order import ELEMENT_BY_ELEMENT
from .layer import Kernel, Layer
from .requantize import double_rescale
from .tir import FunctionBuilder, bind, clamp, int32, loop, store, widen


def add(layer: Layer) -> Kernel:
    """Kernel of a `vq.add` layer of equal shapes; its constants are in the code."""
    attrs: AddAttrs = layer.attrs
    size = math.prod(layer.output.shape)
    known = constants(attrs)
    with FunctionBuilder("add") as builder:
        a = builder.parameter("a", (size,), layer.inputs[0].dtype)
        b = builder.parameter("b", (size,), layer.inputs[1].dtype)
        y = builder.parameter("y", (size,), layer.output.dtype)
        with loop("i", size) as i:
            left, right = widen(a[i]), widen(b[i])
            if isinstance(known, LinearAdd):
                scaled = _linear(left, right, known)
            else:
                scaled = _rescaled(left, right, known)
            total = bind("total", scaled + attrs.y_zero_point)
            store(y, [i], clamp(total, attrs.y_min, attrs.y_max))
    return Kernel(builder.function, (), inplace=dict.fromkeys((0, 1), ELEMENT_BY_ELEMENT))


def _linear(a: Expr, b: Expr, known: LinearAdd) -> Expr:
    products = a * known.a_multiplier + b * known.b_multiplier
    return (products + int32(known.bias)) >> known.shift


def _rescaled(a: Expr, b: Expr, known: RescaledAdd) -> Expr:
    step = 1 << known.left_shift
    scaled_a = bind("scaled_a", _fixed((a + known.a_offset) * step, known.a))
    scaled_b = bind("scaled_b", _fixed((b + known.b_offset) * step, known.b))
    return _fixed(scaled_a + scaled_b, known.y)


def _fixed(value: Expr, scale: RequantizeConstants) -> Expr:
    return double_rescale(value, int32(int(scale.multiplier)), int32(int(scale.shift)))
