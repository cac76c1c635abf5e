"""`vq.pad`: a border around any axes."""

from __future__ import annotations

import math
from contextlib import ExitStack

from ..compat import Expr
from ..op.pad import PadAttrs
from .layer import Kernel, Layer
from .tir import FunctionBuilder, T, bind, int32, loop, store


def pad(layer: Layer) -> Kernel:
    """Kernel of a `vq.pad` layer; no constants."""
    attrs: PadAttrs = layer.attrs
    return _filled(layer, attrs) if attrs.mode == "constant" else _repeated(layer, attrs)


def _filled(layer: Layer, attrs: PadAttrs) -> Kernel:
    """The border's value everywhere, then the input over it."""
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


def _repeated(layer: Layer, attrs: PadAttrs) -> Kernel:
    """Each output element from the place of the input that its border repeats."""
    shape = layer.inputs[0].shape
    with FunctionBuilder("pad") as builder, ExitStack() as loops:
        x = builder.parameter("x", shape, layer.inputs[0].dtype)
        y = builder.parameter("y", layer.output.shape, layer.output.dtype)
        target: list[Expr] = []
        source: list[Expr] = []
        for axis, size in enumerate(layer.output.shape):
            i = loops.enter_context(loop(f"i{axis}", size))
            before, after = attrs.pad_width[2 * axis : 2 * axis + 2]
            target.append(i)
            place = _place(i - before, shape[axis], attrs.mode) if before or after else i
            source.append(bind(f"from{axis}", place))
        store(y, target, x[tuple(source)])
    return Kernel(builder.function, ())


def _place(i: Expr, size: int, mode: str) -> Expr:
    """Where in an axis of `size` elements the border repeats index i, which may lie outside."""
    if mode == "edge":
        return T.max(T.min(i, int32(size - 1)), int32(0))
    beyond = 1 if mode == "symmetric" else 0
    front = T.max(i, -i - beyond)
    return T.min(front, 2 * (size - 1) + beyond - front)
