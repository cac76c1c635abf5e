"""`vq.prelu`: a leaky ReLU with slopes that broadcast; in place where it likes."""

from __future__ import annotations

import numpy as np

from ..compat import Expr
from ..op.prelu import PreluAttrs, constants
from .elementwise import elementwise_kernel
from .layer import Kernel, Layer
from .mul import product_bounds
from .requantize import line_or_requantizer
from .tir import T, bind, int32


def prelu(layer: Layer) -> Kernel:
    """Kernel of a `vq.prelu` layer; its scales are in the code."""
    attrs: PreluAttrs = layer.attrs
    clamp = (attrs.y_zero_point, attrs.y_min, attrs.y_max)
    of_positive, of_product = constants(attrs)
    highest = np.array([max(0, np.iinfo(layer.inputs[0].dtype).max - attrs.a_zero_point)])
    identity = line_or_requantizer(of_positive, clamp, (np.zeros(1, np.int64), highest))
    sloped = line_or_requantizer(of_product, clamp, product_bounds(layer))

    def element(x: Expr, slope: Expr) -> Expr:
        centred = bind("centred", x - attrs.a_zero_point)
        product = bind("product", centred * (slope - attrs.b_zero_point))
        positive = bind("positive", identity.inline(centred))
        negative = bind("negative", sloped.inline(product))
        return T.Select(centred >= int32(0), positive, negative)

    return elementwise_kernel(layer, element)
