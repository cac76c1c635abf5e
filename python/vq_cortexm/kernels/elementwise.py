"""Kernels of operators on single elements of tensors that broadcast: plain nested loops."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from ..compat import Expr
from .access_order import elementwise
from .layer import Kernel, Layer, TensorSpec
from .tir import FunctionBuilder, as_expr, loop, store, widen


@dataclass(frozen=True)
class BroadcastLoop:
    """A loop over the output: how often, and by how many elements each operand goes on."""

    extent: int
    steps: tuple[int, ...]


def operands_of(layer: Layer) -> tuple[TensorSpec, ...]:
    """The computed inputs, then the constants."""
    constants = (TensorSpec(c.shape, c.dtype.name) for c in layer.constants)
    return (*layer.inputs, *constants)


def broadcast_loops(
    shape: tuple[int, ...], operands: Sequence[tuple[int, ...]]
) -> list[BroadcastLoop]:
    """The fewest loops, outermost first, that visit an output of `shape` in order with operands of
    these shapes, which broadcast to it. At least one."""
    loops: list[BroadcastLoop] = []
    strides = [1] * len(operands)
    padded = [(1,) * (len(shape) - len(operand)) + operand for operand in operands]
    for axis in reversed(range(len(shape))):
        steps = tuple(
            stride if operand[axis] > 1 else 0
            for stride, operand in zip(strides, padded, strict=True)
        )
        strides = [stride * operand[axis] for stride, operand in zip(strides, padded, strict=True)]
        if shape[axis] == 1:
            continue
        inner = loops[0] if loops else None
        if inner and steps == tuple(step * inner.extent for step in inner.steps):
            loops[0] = BroadcastLoop(shape[axis] * inner.extent, inner.steps)
        else:
            loops.insert(0, BroadcastLoop(shape[axis], steps))
    return loops or [BroadcastLoop(1, (0,) * len(operands))]


def elementwise_kernel(layer: Layer, emit: Callable[..., Expr]) -> Kernel:
    """The kernel that stores emit(*elements as int32), an int32 expression, for each element.

    The layer's constants are operands, after its inputs. The output may take the place of an input
    of its own size.
    """
    operands, output = operands_of(layer), layer.output
    loops = broadcast_loops(output.shape, [operand.shape for operand in operands])
    with FunctionBuilder(layer.op.removeprefix("vq.")) as builder:
        buffers = [
            builder.parameter("ab"[i], (math.prod(operand.shape),), operand.dtype)
            for i, operand in enumerate(operands)
        ]
        y = builder.parameter("y", (math.prod(output.shape),), output.dtype)
        with ExitStack() as nest:
            places: list[Expr | int] = [0] * len(operands)
            position: Expr | int = 0
            for depth, each in enumerate(loops):
                i = nest.enter_context(loop(f"i{depth}", each.extent))
                position = position * each.extent + i
                places = [
                    place + i * step if step else place
                    for place, step in zip(places, each.steps, strict=True)
                ]
            elements = [
                widen(buffer[as_expr(place)]) for buffer, place in zip(buffers, places, strict=True)
            ]
            store(y, [position], emit(*elements))
    orders = {
        i: elementwise(x.dtype, output.dtype)
        for i, x in enumerate(layer.inputs)
        if math.prod(x.shape) == math.prod(output.shape)
    }
    return Kernel(builder.function, layer.constants, inplace=orders)
