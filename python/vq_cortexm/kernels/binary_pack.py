"""`vq.binary_pack` and `vq.binary_unpack`: signs to bits of words, and back."""

from __future__ import annotations

import math

from ..op.bits import WORD, words
from .layer import Kernel, Layer
from .micro_kernel import MicroKernel
from .tir import FunctionBuilder, T, at, call, int32, loop, store


def binary_pack(layer: Layer) -> Kernel:
    """Kernel of a `vq.binary_pack` layer; no constants."""
    channels = layer.inputs[0].shape[-1]
    pixels = math.prod(layer.inputs[0].shape) // channels
    if channels % WORD == 0:
        # all words are alike
        pixels, channels = pixels * channels // WORD, WORD
    micro = MicroKernel("binary_pack", {"channels": channels}, "thumb2")
    with FunctionBuilder("binary_pack") as builder:
        x = builder.parameter("x", (pixels, channels), "int8")
        y = builder.parameter("y", (pixels, words(channels)), "int32")
        call(micro.symbol, at(y, 0, 0), at(x, 0, 0), pixels)
    return Kernel(builder.function, (), micro=(micro,))


def binary_unpack(layer: Layer) -> Kernel:
    """Kernel of a `vq.binary_unpack` layer; no constants."""
    size, channels = layer.inputs[0].shape[-1], layer.output.shape[-1]
    pixels = math.prod(layer.output.shape) // channels
    with FunctionBuilder("binary_unpack") as builder:
        x = builder.parameter("x", (pixels, size), "int32")
        y = builder.parameter("y", (pixels, channels), "int8")
        with loop("p", pixels) as p, loop("c", channels) as c:
            bit = (x[p, T.truncdiv(c, WORD)] >> T.truncmod(c, WORD)) & 1
            store(y, (p, c), bit * 2 - int32(1))
    return Kernel(builder.function, ())
