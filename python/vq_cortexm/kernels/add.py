"""`vq.add`: elementwise sum or difference; the output may take the place of an input of its
size."""

from __future__ import annotations

from ..compat import Expr
from ..op.add import AddAttrs, LinearAdd, RescaledAdd, SeparateAdd, constants
from ..op.rounding import RequantizeConstants
from .elementwise import elementwise_kernel
from .layer import Kernel, Layer
from .requantize import double_rescale
from .tir import bind, clamp, int32, int64, widen


def add(layer: Layer) -> Kernel:
    """Kernel of a `vq.add` layer; its scales are in the code."""
    attrs: AddAttrs = layer.attrs
    known = constants(attrs)

    def element(a: Expr, b: Expr) -> Expr:
        if isinstance(known, LinearAdd):
            scaled = _linear(a, b, known)
        elif isinstance(known, RescaledAdd):
            scaled = _rescaled(a, b, known)
        else:
            scaled = _separate(a, b, known)
        total = bind("total", scaled + attrs.y_zero_point)
        return clamp(total, attrs.y_min, attrs.y_max)

    return elementwise_kernel(layer, element)


def _linear(a: Expr, b: Expr, known: LinearAdd) -> Expr:
    if known.wide:
        left = widen(a, "int64") * int64(known.a_multiplier)
        right = widen(b, "int64") * int64(known.b_multiplier)
        scaled = (left + right + int64(known.bias)) >> int64(known.shift)
        return widen(clamp(scaled, -(1 << 17), 1 << 17, "int64"), "int32")
    products = a * known.a_multiplier + b * known.b_multiplier
    return (products + int32(known.bias)) >> known.shift


def _rescaled(a: Expr, b: Expr, known: RescaledAdd) -> Expr:
    step = 1 << known.left_shift
    scaled_a = bind("scaled_a", _fixed((a + known.a_offset) * step, known.a))
    scaled_b = bind("scaled_b", _fixed((b + known.b_offset) * step, known.b))
    return _fixed(scaled_a + scaled_b, known.y)


def _fixed(value: Expr, scale: RequantizeConstants) -> Expr:
    return double_rescale(value, int32(int(scale.multiplier)), int32(int(scale.shift)))


def _separate(a: Expr, b: Expr, known: SeparateAdd) -> Expr:
    scaled_a = bind("scaled_a", (a * known.a.multiplier + int32(known.a.bias)) >> known.a.shift)
    scaled_b = bind("scaled_b", (b * known.b.multiplier + int32(known.b.bias)) >> known.b.shift)
    return known.a_sign * scaled_a + known.b_sign * scaled_b
