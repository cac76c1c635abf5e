"""`vq.concat`: tensors copied one after another, where the planner cannot have them made so."""

from __future__ import annotations

import math

from ..op.concat import ConcatAttrs, in_order
from .layer import Kernel, Layer, TensorSpec
from .tir import FunctionBuilder, copy, loop


def concat(layer: Layer) -> Kernel:
    """Kernel of a `vq.concat` layer; constants: the inputs that are known."""
    attrs: ConcatAttrs = layer.attrs
    outer = math.prod(layer.output.shape[: attrs.axis])
    given = (*layer.inputs, *(TensorSpec(x.shape, str(x.dtype)) for x in layer.constants))
    blocks = [math.prod(x.shape[attrs.axis :]) for x in given]
    with FunctionBuilder("concat") as builder:
        inputs = [
            builder.parameter(f"x{i}", (outer, block), given[i].dtype)
            for i, block in enumerate(blocks)
        ]
        y = builder.parameter("y", (outer, sum(blocks)), layer.output.dtype)
        with loop("row", outer) as row:
            first = 0
            for i in in_order(len(given), attrs):
                copy(y, (row, first), inputs[i], (row, 0), blocks[i])
                first += blocks[i]
    return Kernel(builder.function, layer.constants)
