"""Layers of the tiny nets as tuning tasks, and faults to put into their candidates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tiny_nets import NETS

from vq_cortexm.frontend import from_tflite
from vq_cortexm.kernels.layer import Layer
from vq_cortexm.kernels.tir import FunctionBuilder, loop, scratch, store
from vq_cortexm.target import BOARDS, Board, Core
from vq_cortexm.transform.lower_to_tir import kernel_calls, layer_of
from vq_cortexm.transform.pipeline import fold_pipeline
from vq_cortexm.tune.image import Made
from vq_cortexm.tune.task import Task

BOARD: Board = BOARDS["mps2-an386"]
CORE: Core = BOARD.core


def folded(net: str) -> Any:
    return fold_pipeline()(from_tflite(NETS[net]()))


def layers(net: str) -> list[Layer]:
    return [layer_of(call) for call in kernel_calls(folded(net)["main"])]


def task(net: str, op: str) -> Task:
    """The net's first layer of an operator."""
    return Task((next(layer for layer in layers(net) if layer.op == op),), CORE)


def hanging(made: Made) -> Made:
    """Counts for hours instead."""
    kernel = made.kernels[0]
    with FunctionBuilder("hang") as builder:
        for index, buffer in enumerate(kernel.function.params):
            shape = [int(n) for n in buffer.ty.shape]
            builder.parameter(f"p{index}", shape, str(buffer.ty.dtype))
        count = scratch("count", (1,), "int32")
        with loop("i", 1 << 15) as i, loop("j", 1 << 15) as j:
            store(count, [0], i ^ j ^ count[0])
    return replace(made, kernels=(replace(kernel, function=builder.function),))


def wrong(made: Made) -> Made:
    """With weights that are not the layer's."""
    kernel = made.kernels[0]
    first, *others = kernel.constants
    changed = first.copy()
    changed[4:] ^= 0x10101
    return replace(made, kernels=(replace(kernel, constants=(changed, *others)),))
