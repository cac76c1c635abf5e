"""`vq.transpose`: axes in another order; what stays next to each other is moved at once."""

from __future__ import annotations

import math
from contextlib import ExitStack

from ..op.transpose import TransposeAttrs
from .layer import Kernel, Layer
from .tir import FunctionBuilder, copy, loop, store


def transpose(layer: Layer) -> Kernel:
    """Kernel of a `vq.transpose` layer; no constants."""
    attrs: TransposeAttrs = layer.attrs
    shape, axes = _merged(layer.inputs[0].shape, attrs.axes)
    # a last axis that stays the last one
    block = shape[-1] if axes[-1] == len(axes) - 1 else 1
    outer = len(axes) - 1 if block > 1 else len(axes)
    with FunctionBuilder("transpose") as builder, ExitStack() as loops:
        x = builder.parameter("x", shape, layer.inputs[0].dtype)
        y = builder.parameter("y", tuple(shape[a] for a in axes), layer.output.dtype)
        out = [loops.enter_context(loop(f"i{i}", shape[axes[i]])) for i in range(outer)]
        if block > 1:
            source = [out[axes.index(axis)] for axis in range(outer)]
            copy(y, (*out, 0), x, (*source, 0), block)
        else:
            store(y, out, x[tuple(out[axes.index(axis)] for axis in range(outer))])
    return Kernel(builder.function, ())


def _merged(
    shape: tuple[int, ...], axes: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The same transpose of as few axes as possible, at least one: those of one element are left
    out, and neighbours that stay neighbours are one."""
    groups: list[list[int]] = []
    for axis in (a for a in axes if shape[a] > 1):
        between = range(groups[-1][-1] + 1, axis) if groups else range(0)
        if groups and axis > groups[-1][-1] and all(shape[a] == 1 for a in between):
            groups[-1].append(axis)
        else:
            groups.append([axis])
    ordered = sorted(groups)
    sizes = tuple(math.prod(shape[a] for a in group) for group in ordered)
    return sizes or (1,), tuple(ordered.index(group) for group in groups) or (0,)
