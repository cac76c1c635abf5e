"""`vq.extremum`: the larger or smaller element; the output may take the place of an input of its
size."""

from __future__ import annotations

from ..compat import Expr
from ..op.extremum import ExtremumAttrs
from .elementwise import elementwise_kernel
from .layer import Kernel, Layer
from .tir import T, clamp


def extremum(layer: Layer) -> Kernel:
    """Kernel of a `vq.extremum` layer."""
    attrs: ExtremumAttrs = layer.attrs
    choose = T.max if attrs.kind == "maximum" else T.min

    def element(a: Expr, b: Expr) -> Expr:
        return clamp(choose(a, b), attrs.y_min, attrs.y_max)

    return elementwise_kernel(layer, element)
