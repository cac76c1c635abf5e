"""`vq.pad`: a constant border around any axes."""

from __future__ import annotations

import math
from contextlib import ExitStack

from ..op.pad import PadAttrs
from .layer import Kernel, Layer
from .tir import FunctionBuilder, int32, loop, store


def pad(layer: Layer) -> Kernel:
    """Kernel of a `vq.pad` layer; no constants."""
    attrs: PadAttrs = layer.attrs
    with FunctionBuilder("pad") as builder:
        x = builder.parameter("x", layer.inputs[0].shape, layer.inputs[0].dtype)
        y = builder.parameter("y", layer.output.shape, layer.output.dtype)
        with loop("i", math.prod(layer.output.shape)) as i:
            index = [0] * (len(layer.output.shape) - 1) + [i]
            store(y, index, int32(attrs.pad_value))
        with ExitStack() as loops:
            source = [
                loops.enter_context(loop(f"i{axis}", size))
                for axis, size in enumerate(layer.inputs[0].shape)
            ]
            target = [i + attrs.pad_width[2 * axis] for axis, i in enumerate(source)]
            store(y, target, x[tuple(source)])
    return Kernel(builder.function, ())
