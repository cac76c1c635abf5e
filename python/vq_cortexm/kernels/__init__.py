"""Per operator family: the semantic PrimFunc of a layer and the constants it is called with."""

from __future__ import annotations

from collections.abc import Callable

from .add import add
from .avg_pool2d import avg_pool2d
from .conv2d import conv2d
from .dense import dense
from .depthwise_conv2d import depthwise_conv2d
from .layer import Kernel, Layer
from .max_pool2d import max_pool2d
from .pad import pad
from .requantize_layer import requantize
from .softmax import softmax
from .transpose import transpose

KERNELS: dict[str, Callable[[Layer], Kernel]] = {
    "vq.add": add,
    "vq.avg_pool2d": avg_pool2d,
    "vq.conv2d": conv2d,
    "vq.dense": dense,
    "vq.depthwise_conv2d": depthwise_conv2d,
    "vq.max_pool2d": max_pool2d,
    "vq.pad": pad,
    "vq.requantize": requantize,
    "vq.softmax": softmax,
    "vq.transpose": transpose,
}
"""Operator → its kernel; `vq.reshape` has none: it moves no bytes."""
