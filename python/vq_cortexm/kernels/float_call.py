"""`vq.float_call`: its own loops."""

from __future__ import annotations

from ..compat import load_module
from ..op.float_call import FloatCallAttrs
from .layer import Kernel, Layer


def float_call(layer: Layer) -> Kernel:
    """Kernel of a layer that stays in float32."""
    attrs: FloatCallAttrs = layer.attrs
    return Kernel(load_module(attrs.function), layer.constants)
