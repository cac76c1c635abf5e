"""`vq.conv2d_transpose`: each output pixel sums the products that reach it, and no others.

Output row t = oh + top meets kernel rows t % stride, t % stride + stride, ... on input rows
t / stride, t / stride - 1, ...; so do columns.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..compat import Expr
from ..op.conv2d_transpose import Conv2dTransposeAttrs, constants
from .conv2d import channel_tiles
from .layer import Kernel, Layer, StoredWeights
from .requantize import requantizer
from .tir import FunctionBuilder, Scalar, T, bind, int32, loop, store, widen


@dataclass(frozen=True)
class _Taps:
    """Along an axis (h or w): tap i in [first, last) is kernel index kernel + i * stride on input
    index place - i."""

    axis: str
    kernel: Expr
    place: Expr
    first: Expr
    last: Expr
    stride: int

    def at(self, i: Expr) -> tuple[Expr, Expr]:
        """Kernel and input index of tap i."""
        index = bind(f"tap_{self.axis}", self.kernel + i * self.stride)
        return index, bind(f"i{self.axis}", self.place - i)


def conv2d_transpose(layer: Layer) -> Kernel:
    """Kernel of a `vq.conv2d_transpose` layer; constants: weights, bias, requantization."""
    attrs: Conv2dTransposeAttrs = layer.attrs
    weight, bias, w_scale = layer.constants
    (batch, height, width, _), (_, rows, columns, _) = layer.inputs[0].shape, layer.output.shape
    outputs, kernel_height, kernel_width, depth = weight.shape
    per_group = outputs // attrs.groups
    finish = requantizer(constants(w_scale, attrs), attrs.y_zero_point, attrs.y_min, attrs.y_max)
    with FunctionBuilder("conv2d_transpose") as builder:
        x = builder.parameter("x", layer.inputs[0].shape, layer.inputs[0].dtype)
        w = builder.parameter("w", weight.shape, "int8")
        biases = builder.parameter("bias", bias.shape, "int32")
        scales = finish.declare(builder)
        y = builder.parameter("y", layer.output.shape, layer.output.dtype)
        with loop("n", batch) as n, loop("oh", rows) as oh:
            row_taps = _taps("h", oh, attrs.padding[0], attrs.strides[0], kernel_height, height)
            with loop("ow", columns) as ow:
                taps = _taps("w", ow, attrs.padding[1], attrs.strides[1], kernel_width, width)
                with loop("g", attrs.groups) as group:
                    for start, count, size in channel_tiles(per_group):
                        with loop("tile", count) as tile:
                            channel = bind("oc", group * per_group + start + tile * size)
                            sums = [Scalar(f"acc{c}", biases[channel + c]) for c in range(size)]
                            with loop("i", row_taps.first, row_taps.last) as i:
                                kh, ih = row_taps.at(i)
                                with loop("j", taps.first, taps.last) as j:
                                    kw, iw = taps.at(j)
                                    with loop("ic", depth) as ic:
                                        given = x[n, ih, iw, group * depth + ic]
                                        value = bind("v", widen(given) - attrs.x_zero_point)
                                        for c, acc in enumerate(sums):
                                            acc.add(value * widen(w[channel + c, kh, kw, ic]))
                            for c, acc in enumerate(sums):
                                value = finish.emit(scales, acc.get(), channel + c)
                                store(y, (n, oh, ow, channel + c), value)
    stored = StoredWeights(size_bytes=weight.nbytes)
    return Kernel(builder.function, (weight, bias, *finish.constants), weights=stored)


def _taps(axis: str, position: Expr, before: int, stride: int, kernel: int, size: int) -> _Taps:
    """Of output `position` along an axis of `size` input elements."""
    reached = bind(f"reached_{axis}", position + before)
    first_tap = bind(f"first_tap_{axis}", T.truncmod(reached, stride))
    last_input = bind(f"last_input_{axis}", T.truncdiv(reached, stride))
    reach = T.truncdiv(kernel - first_tap + (stride - 1), stride)
    first = bind(f"first_{axis}", T.max(int32(0), last_input - (size - 1)))
    last = bind(f"last_{axis}", T.min(reach, last_input + 1))
    return _Taps(axis, first_tap, last_input, first, last, stride)
