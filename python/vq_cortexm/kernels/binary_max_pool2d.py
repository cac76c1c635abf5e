"""`vq.binary_max_pool2d`: an OR of the words in each window."""

from __future__ import annotations

from functools import reduce
from itertools import product
from operator import or_

from ..compat import Expr
from ..op.binary_max_pool2d import BinaryMaxPool2dAttrs
from .access_order import by_rows
from .layer import Kernel, Layer
from .tir import FunctionBuilder, Scalar, int32, loop, store
from .window import Window, window

_STRAIGHT = 9
"""Words of a window, all inside the input, up to which there is no loop over them."""


def binary_max_pool2d(layer: Layer) -> Kernel:
    """Kernel of a `vq.binary_max_pool2d` layer; no constants."""
    attrs: BinaryMaxPool2dAttrs = layer.attrs
    spec = Window(attrs.pool_size, attrs.strides, attrs.padding, (1, 1))
    batch, height, width, words = layer.inputs[0].shape
    taps = list(product(*map(range, attrs.pool_size)))
    is_straight = len(taps) <= _STRAIGHT and not any(attrs.padding)
    with FunctionBuilder("binary_max_pool2d") as builder:
        x = builder.parameter("x", layer.inputs[0].shape, "int32")
        y = builder.parameter("y", layer.output.shape, "int32")
        with loop("n", batch) as n, loop("oh", layer.output.shape[1]) as oh:
            rows = window(oh, 0, spec, height)
            with loop("ow", layer.output.shape[2]) as ow:
                columns = window(ow, 1, spec, width)
                with loop("i", words) as i:

                    def word(kh: Expr | int, kw: Expr | int) -> Expr:
                        return x[n, rows.origin + kh, columns.origin + kw, i]

                    any_of = Scalar("any", int32(0))
                    if is_straight:
                        any_of.set(reduce(or_, (word(kh, kw) for kh, kw in taps)))
                    else:
                        with (
                            loop("kh", rows.first, rows.last) as kh,
                            loop("kw", columns.first, columns.last) as kw,
                        ):
                            any_of.set(any_of.get() | word(kh, kw))
                    store(y, (n, oh, ow, i), any_of.get())
    order = by_rows(
        4 * width * words,
        4 * layer.output.shape[2] * words,
        -attrs.padding[0],
        attrs.strides[0],
    )
    return Kernel(builder.function, (), {0: order} if batch == 1 else {})
