"""`vq.requantize`: each element to another scale and zero point, with a clamp."""

from __future__ import annotations

import math

import numpy as np

from ..op import requantize as op
from ..op.requantize import RequantizeAttrs
from .access_order import elementwise
from .layer import Kernel, Layer
from .requantize import requantizer
from .tir import FunctionBuilder, loop, store, widen


def requantize(layer: Layer) -> Kernel:
    """Kernel of a `vq.requantize` layer, in place where it likes.

    Constants: requantization; for `float`, whose two roundings a product does not give, the table
    of all 256 outputs.
    """
    attrs: RequantizeAttrs = layer.attrs
    return _from_table(layer, attrs) if attrs.rounding == "float" else _by_product(layer, attrs)


def _by_product(layer: Layer, attrs: RequantizeAttrs) -> Kernel:
    size = math.prod(layer.output.shape)
    finish = requantizer(op.constants(attrs), attrs.y_zero_point, attrs.y_min, attrs.y_max)
    with FunctionBuilder("requantize") as builder:
        x = builder.parameter("x", (size,), layer.inputs[0].dtype)
        constants = finish.declare(builder)
        y = builder.parameter("y", (size,), layer.output.dtype)
        with loop("i", size) as i:
            centred = widen(x[i]) - attrs.x_zero_point
            store(y, [i], finish.emit(constants, centred, 0))
    order = elementwise(layer.inputs[0].dtype, layer.output.dtype)
    return Kernel(builder.function, finish.constants, inplace={0: order})


def _from_table(layer: Layer, attrs: RequantizeAttrs) -> Kernel:
    size = math.prod(layer.output.shape)
    lowest = int(np.iinfo(layer.inputs[0].dtype).min)
    table = op.table(layer.inputs[0].dtype, attrs)
    with FunctionBuilder("requantize") as builder:
        x = builder.parameter("x", (size,), layer.inputs[0].dtype)
        outputs = builder.parameter("table", table.shape, layer.output.dtype)
        y = builder.parameter("y", (size,), layer.output.dtype)
        with loop("i", size) as i:
            store(y, [i], outputs[widen(x[i]) - lowest])
    order = elementwise(layer.inputs[0].dtype, layer.output.dtype)
    return Kernel(builder.function, (table,), inplace={0: order})
