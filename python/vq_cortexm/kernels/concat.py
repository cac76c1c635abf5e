"""`vq.concat`: tensors copied one after another, where the planner cannot have them made so."""

from __future__ import annotations

import math

from ..op.concat import ConcatAttrs
from .layer import Kernel, Layer
from .tir import FunctionBuilder, copy, loop


def concat(layer: Layer) -> Kernel:
    """Kernel of a `vq.concat` layer of 8-bit tensors; no constants."""
    attrs: ConcatAttrs = layer.attrs
    outer = math.prod(layer.output.shape[: attrs.axis])
    blocks = [math.prod(x.shape[attrs.axis :]) for x in layer.inputs]
    with FunctionBuilder("concat") as builder:
        inputs = [
            builder.parameter(f"x{i}", (outer, block), layer.inputs[i].dtype)
            for i, block in enumerate(blocks)
        ]
        y = builder.parameter("y", (outer, sum(blocks)), layer.output.dtype)
        with loop("row", outer) as row:
            for i, (x, block) in enumerate(zip(inputs, blocks, strict=True)):
                copy(y, (row, sum(blocks[:i])), x, (row, 0), block)
    return Kernel(builder.function, ())
