"""`vq.slice`: what follows in memory is copied at once, the rest one by one."""

from __future__ import annotations

import math
from contextlib import ExitStack

from ..op.slice import SliceAttrs
from .layer import Kernel, Layer
from .tir import FunctionBuilder, copy, loop


def slice_(layer: Layer) -> Kernel:
    """Kernel of a `vq.slice` layer; no constants."""
    attrs: SliceAttrs = layer.attrs
    shape, size = layer.inputs[0].shape, attrs.size
    # the axes behind `inner` are taken whole; its own elements are neighbours if its stride is 1
    inner = len(shape)
    while inner and size[inner - 1] == shape[inner - 1] and attrs.strides[inner - 1] == 1:
        inner -= 1
    block = math.prod(shape[inner:])
    if inner and attrs.strides[inner - 1] == 1:
        inner -= 1
        block *= size[inner]
    with FunctionBuilder("slice") as builder, ExitStack() as loops:
        x = builder.parameter("x", shape, layer.inputs[0].dtype)
        y = builder.parameter("y", size, layer.output.dtype)
        outer = [loops.enter_context(loop(f"i{axis}", size[axis])) for axis in range(inner)]
        source = [attrs.begin[axis] + i * attrs.strides[axis] for axis, i in enumerate(outer)]
        rest = len(shape) - inner
        copy(y, (*outer, *[0] * rest), x, (*source, *attrs.begin[inner:]), block)
    return Kernel(builder.function, ())
