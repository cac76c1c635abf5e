"""`vq.mul`: elementwise product; the output may take the place of an input of its size."""

from __future__ import annotations

import numpy as np

from ..compat import Expr
from ..op.mul import MulAttrs, constants
from ..op.rounding import Int64Array
from .elementwise import elementwise_kernel, operands_of
from .layer import Kernel, Layer
from .requantize import LineRequantizer, Requantizer, line_or_requantizer, requantizer
from .tir import bind


def mul(layer: Layer) -> Kernel:
    """Kernel of a `vq.mul` layer; its scales are in the code."""
    attrs: MulAttrs = layer.attrs
    clamp = (attrs.y_zero_point, attrs.y_min, attrs.y_max)
    finish: Requantizer | LineRequantizer = requantizer(constants(attrs), *clamp)
    if layer.output.dtype != "int16":
        finish = line_or_requantizer(constants(attrs), clamp, product_bounds(layer))

    def element(a: Expr, b: Expr) -> Expr:
        product = bind("product", (a - attrs.a_zero_point) * (b - attrs.b_zero_point))
        return finish.inline(product)

    return elementwise_kernel(layer, element)


def product_bounds(layer: Layer) -> tuple[Int64Array, Int64Array]:
    """The least and the largest product of a layer's elements, both of shape (1,)."""
    zero_points = layer.attrs.a_zero_point, layer.attrs.b_zero_point
    ends = [
        np.array([np.iinfo(x.dtype).min, np.iinfo(x.dtype).max], np.int64) - zero_point
        for x, zero_point in zip(operands_of(layer), zero_points, strict=True)
    ]
    products = np.outer(*ends)
    return products.min().reshape(1), products.max().reshape(1)
