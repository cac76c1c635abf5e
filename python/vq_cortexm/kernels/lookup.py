"""`vq.lookup`: each element's entry of a table; in place where it likes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..target import Isa
from .access_order import elementwise
from .layer import Kernel, Layer
from .micro_kernel import MicroKernel
from .tir import FunctionBuilder, at, call, loop, store, widen

_PASS = 8
"""Elements of one pass of the routine."""


def lookup(layer: Layer) -> Kernel:
    """Kernel of a `vq.lookup` layer; constant: the table."""
    return table_kernel(layer, layer.constants[0])


def table_kernel(layer: Layer, table: NDArray[Any]) -> Kernel:
    """Kernel of a layer of one input whose results are in `table`, (256,), in the order of the
    input's values; constant: the table in the order of the input's bytes."""
    size = math.prod(layer.output.shape)
    with FunctionBuilder(layer.op.removeprefix("vq.")) as builder:
        x = builder.parameter("x", (size,), layer.inputs[0].dtype)
        entries = builder.parameter("table", table.shape, layer.output.dtype)
        y = builder.parameter("y", (size,), layer.output.dtype)
        with loop("i", size) as i:
            store(y, [i], entries[widen(widen(x[i], "uint8"))])
    order = elementwise(layer.inputs[0].dtype, layer.output.dtype)
    return Kernel(builder.function, (_by_bytes(layer, table),), inplace={0: order})


def word_lookup(layer: Layer, isa: Isa) -> Kernel:
    """The same by a routine for `isa`, "dsp" or "thumb2", that takes eight elements a pass."""
    table = layer.constants[0]
    size = math.prod(layer.output.shape)
    types = {"x_type": f"{layer.inputs[0].dtype}_t", "y_type": f"{layer.output.dtype}_t"}
    micro = MicroKernel("lookup", {**types, "rest": size % _PASS != 0}, isa)
    with FunctionBuilder("lookup") as builder:
        x = builder.parameter("x", (size,), layer.inputs[0].dtype)
        entries = builder.parameter("table", table.shape, layer.output.dtype)
        y = builder.parameter("y", (size,), layer.output.dtype)
        call(micro.symbol, at(y, 0), at(x, 0), at(entries, 0), size)
    order = elementwise(layer.inputs[0].dtype, layer.output.dtype)
    constants = (_by_bytes(layer, table),)
    return Kernel(builder.function, constants, inplace={0: order}, micro=(micro,))


def _by_bytes(layer: Layer, table: NDArray[Any]) -> NDArray[Any]:
    """Entry b is that of the input whose byte, read without a sign, is b."""
    return np.roll(table, np.iinfo(layer.inputs[0].dtype).min)
