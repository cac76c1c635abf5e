"""`vq.requantize`: each element to another scale and zero point, with a clamp."""

from __future__ import annotations

import math

import numpy as np

from ..op.requantize import RequantizeAttrs
from ..op.rounding import requantize_constants
from .layer import Kernel, Layer
from .requantize import requantizer
from .tir import FunctionBuilder, loop, store, widen


def requantize(layer: Layer) -> Kernel:
    """Kernel of a `vq.requantize` layer, in place where it likes; constants: requantization."""
    attrs: RequantizeAttrs = layer.attrs
    size = math.prod(layer.output.shape)
    one = np.ones(1, np.float32)
    finish = requantizer(
        requantize_constants(attrs.x_scale, one, attrs.y_scale, attrs.rounding),
        attrs.y_zero_point,
        attrs.y_min,
        attrs.y_max,
    )
    with FunctionBuilder("requantize") as builder:
        x = builder.parameter("x", (size,), layer.inputs[0].dtype)
        constants = finish.declare(builder)
        y = builder.parameter("y", (size,), layer.output.dtype)
        with loop("i", size) as i:
            centred = widen(x[i]) - attrs.x_zero_point
            store(y, [i], finish.emit(constants, centred, 0))
    return Kernel(builder.function, finish.constants, inplace=(0,))
