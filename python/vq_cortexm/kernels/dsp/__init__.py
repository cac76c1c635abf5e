"""Realisations for cores with the DSP extension (Cortex-M4, M7, M33): thin skeletons around
generated micro-kernels.

Each returns None for a layer that it does not cover.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..layer import Kernel, Layer
from ..lookup import word_lookup
from .add import add
from .avg_pool2d import avg_pool2d
from .conv2d import conv2d
from .dense import dense, dense_as_convolution
from .depthwise_conv2d import depthwise_conv2d
from .max_pool2d import max_pool2d
from .sign_conv2d import sign_conv2d

REALISATIONS: dict[str, Callable[[Layer], Kernel | None]] = {
    "vq.add": add,
    "vq.avg_pool2d": avg_pool2d,
    "vq.conv2d": conv2d,
    "vq.dense": dense,
    "vq.depthwise_conv2d": depthwise_conv2d,
    "vq.lookup": partial(word_lookup, isa="dsp"),
    "vq.max_pool2d": max_pool2d,
    "vq.sign_conv2d": sign_conv2d,
}
"""Operator → its realisation for tensors of 8 bits."""

INT16_REALISATIONS: dict[str, Callable[[Layer], Kernel | None]] = {
    "vq.conv2d": conv2d,
    "vq.dense": dense_as_convolution,
}
"""The same for layers with int16 among their tensors."""
