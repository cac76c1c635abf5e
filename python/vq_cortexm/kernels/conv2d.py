"""`vq.conv2d`: direct convolution, four output channels at a time.

The inner loop is a dot product over memory that is contiguous in both the activations (NHWC) and
the weights (OHWI): a whole kernel row where the dilation allows, else one pixel. Padding is never
stored: the ranges of the kernel's rows and columns shrink at the border. Where there is no
padding, the input's zero point is folded into the bias.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..compat import Expr
from ..op.conv2d import Conv2dAttrs, constants
from ..op.rounding import RequantizeConstants
from .layer import Kernel, Layer
from .requantize import Requantizer, requantizer
from .tir import Buffer, FunctionBuilder, Scalar, bind, loop, store, widen
from .window import Span, Window, window

CHANNEL_TILE = 4
"""Output channels that share each activation load; more would spill registers."""


@dataclass(frozen=True)
class _Conv:
    """What the loops of one kernel share: its tensors and how it ends.

    `zero` is subtracted from each activation (0 where the bias already contains it).
    """

    x: Buffer
    w: Buffer
    bias: Buffer
    constants: list[Buffer]
    y: Buffer
    attrs: Conv2dAttrs
    finish: Requantizer
    zero: int

    @property
    def depth(self) -> int:
        """Input channels that one output channel reads."""
        return int(self.w.shape[3])


def conv2d(layer: Layer) -> Kernel:
    """Kernel of a `vq.conv2d` layer; constants: weights, bias, requantization."""
    return convolve(layer, constants(layer.constants[2], layer.attrs))


def convolve(layer: Layer, requantization: RequantizeConstants) -> Kernel:
    """The same with requantization constants that are not the operator's own."""
    attrs: Conv2dAttrs = layer.attrs
    weight, bias, _ = layer.constants
    batch, height, width, channels = layer.inputs[0].shape
    _, out_height, out_width, out_channels = layer.output.shape
    if is_pointwise(weight, attrs):
        # every pixel is alike: one row of them
        width, out_width = (batch * height * width,) * 2
        batch = height = out_height = 1
    padded = any(attrs.padding)
    if not padded:
        bias = fold_zero_point(bias, weight, attrs.x_zero_point)
    finish = requantizer(requantization, attrs.y_zero_point, attrs.y_min, attrs.y_max)
    spec = Window(weight.shape[1:3], attrs.strides, attrs.padding, attrs.dilation)
    with FunctionBuilder("conv2d") as builder:
        conv = _Conv(
            builder.parameter("x", (batch, height, width, channels), layer.inputs[0].dtype),
            builder.parameter("w", weight.shape, "int8"),
            builder.parameter("bias", bias.shape, "int32"),
            finish.declare(builder),
            builder.parameter(
                "y", (batch, out_height, out_width, out_channels), layer.output.dtype
            ),
            attrs,
            finish,
            attrs.x_zero_point if padded else 0,
        )
        with loop("n", batch) as n, loop("oh", out_height) as oh:
            rows = window(oh, 0, spec, height)
            with loop("ow", out_width) as ow:
                _pixel(conv, n, oh, ow, rows, window(ow, 1, spec, width))
    return Kernel(builder.function, (weight, bias, *finish.constants))


def is_pointwise(weight: NDArray[np.int8], attrs: Conv2dAttrs) -> bool:
    """Whether each output pixel reads exactly the input pixel at its place."""
    one = weight.shape[1] == weight.shape[2] == 1
    return one and attrs.strides == (1, 1) and not any(attrs.padding)


def fold_zero_point(
    bias: NDArray[np.int32], weight: NDArray[np.int8], zero_point: int
) -> NDArray[np.int32]:
    """bias - zero_point * sum(w), per output channel (the weights' first axis), modulo 2^32."""
    sums = weight.reshape(weight.shape[0], -1).astype(np.int64).sum(axis=1)
    folded = bias.astype(np.int64) - zero_point * sums
    result: NDArray[np.int32] = folded.astype(np.int32)
    return result


def channel_tiles(channels: int, tile: int = CHANNEL_TILE) -> list[tuple[int, int, int]]:
    """(first channel, number of tiles, channels per tile) covering all channels."""
    full = channels // tile
    tiles = [(0, full, tile)] if full else []
    if channels % tile:
        tiles.append((full * tile, 1, channels % tile))
    return tiles


def _pixel(conv: _Conv, n: Expr, oh: Expr, ow: Expr, rows: Span, columns: Span) -> None:
    """All output channels of one pixel."""
    per_group = int(conv.w.shape[0]) // conv.attrs.groups
    with loop("g", conv.attrs.groups) as group:
        first_input = group * conv.depth
        for start, count, size in channel_tiles(per_group):
            with loop("tile", count) as tile:
                channel = bind("oc", group * per_group + start + tile * size)
                sums = [Scalar(f"acc{c}", conv.bias[channel + c]) for c in range(size)]
                _accumulate(conv, n, first_input, channel, rows, columns, sums)
                for c, acc in enumerate(sums):
                    value = conv.finish.emit(conv.constants, acc.get(), channel + c)
                    store(conv.y, (n, oh, ow, channel + c), value)


def _accumulate(
    conv: _Conv,
    n: Expr,
    first_input: Expr,
    channel: Expr,
    rows: Span,
    columns: Span,
    sums: list[Scalar],
) -> None:
    """Adds all products of the window to the sums of neighbouring output channels."""
    with loop("kh", rows.first, rows.last) as kh:
        row = bind("row", rows.origin + kh * conv.attrs.dilation[0])
        if conv.attrs.dilation[1] == 1 and conv.attrs.groups == 1:
            # element i of the row of kernel pixels: pixel i / depth, channel i % depth
            with loop("i", columns.first * conv.depth, columns.last * conv.depth) as i:
                value = bind("v", widen(conv.x[n, row, columns.origin, i]) - conv.zero)
                for c, acc in enumerate(sums):
                    acc.add(value * widen(conv.w[channel + c, kh, 0, i]))
            return
        with loop("kw", columns.first, columns.last) as kw:
            column = bind("column", columns.origin + kw * conv.attrs.dilation[1])
            with loop("ic", conv.depth) as ic:
                value = bind("v", widen(conv.x[n, row, column, first_input + ic]) - conv.zero)
                for c, acc in enumerate(sums):
                    acc.add(value * widen(conv.w[channel + c, kh, kw, ic]))
