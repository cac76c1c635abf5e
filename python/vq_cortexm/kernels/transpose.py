"""`vq.transpose`: axes in another order."""

from __future__ import annotations

from contextlib import ExitStack

from ..op.transpose import TransposeAttrs
from .layer import Kernel, Layer
from .tir import FunctionBuilder, loop, store


def transpose(layer: Layer) -> Kernel:
    """Kernel of a `vq.transpose` layer; no constants."""
    attrs: TransposeAttrs = layer.attrs
    with FunctionBuilder("transpose") as builder, ExitStack() as loops:
        x = builder.parameter("x", layer.inputs[0].shape, layer.inputs[0].dtype)
        y = builder.parameter("y", layer.output.shape, layer.output.dtype)
        out = [
            loops.enter_context(loop(f"i{axis}", size))
            for axis, size in enumerate(layer.output.shape)
        ]
        source = [out[attrs.axes.index(axis)] for axis in range(len(out))]
        store(y, out, x[tuple(source)])
    return Kernel(builder.function, ())
