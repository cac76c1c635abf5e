"""`vq.sign_conv2d`: one output after the other, its sign shifted into the word at hand."""

from __future__ import annotations

from ..op.bits import WORD
from ..op.sign_conv2d import SignConv2dAttrs
from .conv2d import row_order
from .layer import Kernel, Layer, StoredWeights
from .tir import FunctionBuilder, Scalar, T, bind, bit, int32, loop, store, widen
from .window import Window, window


def sign_conv2d(layer: Layer) -> Kernel:
    """Kernel of a `vq.sign_conv2d` layer; constants: weights, thresholds."""
    attrs: SignConv2dAttrs = layer.attrs
    weight, threshold = layer.constants
    outputs, *size, depth = weight.shape
    batch, height, width, _ = layer.inputs[0].shape
    spec = Window((size[0], size[1]), attrs.strides, attrs.padding, (1, 1))
    with FunctionBuilder("sign_conv2d") as builder:
        x = builder.parameter("x", layer.inputs[0].shape, layer.inputs[0].dtype)
        w = builder.parameter("w", weight.shape, "int8")
        needed = builder.parameter("threshold", threshold.shape, "int32")
        y = builder.parameter("y", layer.output.shape, "int32")
        with loop("n", batch) as n, loop("oh", layer.output.shape[1]) as oh:
            rows = window(oh, 0, spec, height)
            with loop("ow", layer.output.shape[2]) as ow:
                columns = window(ow, 1, spec, width)
                with loop("word", layer.output.shape[3]) as word:
                    bits = Scalar("bits", int32(0))
                    first = bind("channel", word * WORD)
                    with loop("i", T.min(int32(WORD), outputs - first)) as i:
                        acc = Scalar("acc", int32(0))
                        with (
                            loop("kh", rows.first, rows.last) as kh,
                            loop("kw", columns.first, columns.last) as kw,
                            loop("ic", depth) as ic,
                        ):
                            value = widen(x[n, rows.origin + kh, columns.origin + kw, ic])
                            centred = value - attrs.x_zero_point
                            acc.add(centred * widen(w[first + i, kh, kw, ic]))
                        bits.set(bits.get() | bit(acc.get() >= needed[first + i], i))
                    store(y, (n, oh, ow, word), bits.get())
    row_bytes = (*layer.output.shape[:3], 4 * layer.output.shape[3])
    order = row_order(layer.inputs[0].shape, row_bytes, attrs.convolution)
    inplace = {0: order} if batch == 1 else {}
    stored = StoredWeights(size_bytes=weight.nbytes)
    return Kernel(builder.function, (weight, threshold), inplace, weights=stored)
