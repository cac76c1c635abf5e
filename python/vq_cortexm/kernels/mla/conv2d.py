"""`vq.conv2d` from lanes: three pixels by four output channels at a time.

`lanes_pack` makes lanes of the activations of three pixels, `lanes_conv` runs along them. What is
packed, and which pixels go together:

* pointwise: three neighbouring pixels. The last three overlap those before where the pixels are no
  multiple of three; as outputs may lie over inputs by then, they are packed before all others.
* else: the rows under the window, padding written out, in a ring. Pixel ow goes with ow + third and
  ow + columns - third, so that each activation is packed once:

      word of column q:   padded column q, q + third * stride, q + (columns - third) * stride

Either way an output depends on lanes alone, so it may lie over inputs that are packed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...compat import Expr
from ...nary.encoding import ENCODED
from ...op.conv2d import Conv2dAttrs, constants
from ...op.rounding import RequantizeConstants
from ...target import Isa
from ..access_order import AccessOrder
from ..conv2d import fold_zero_point, row_order
from ..layer import Kernel, Layer
from ..line import Line, fit_raised, saturation
from ..micro_kernel import MicroKernel
from ..row_ring import RowRing
from ..tiles import DecodedTiles, Part, PlainTiles, Tiles
from ..tir import (
    Buffer,
    FunctionBuilder,
    T,
    at,
    bind,
    call,
    choose,
    copy,
    int32,
    loop,
    scratch,
    store,
)
from ..weights import accumulator_bounds
from .dense import fully_connected
from .lanes import BLOCK, Lines, head, in_lines, stream

_STRAIGHT, _LONGEST_STRAIGHT = 40, 120
"""Steps of all lines in straight code, 2 KB with a full tile; only of lines under two blocks. And
up to which a schedule may ask for it."""
_DECODED_BYTES = 4096
"""Of the lanes of pixels that a tile of weights is decoded for."""
_WIDE = 1 << 23
"""The sum of all parts that the routine for Armv6-M can multiply."""


@dataclass(frozen=True, eq=False)
class _Conv:
    """What a layer's routines and skeleton are made from; bias: zero point folded in."""

    layer: Layer
    bias: NDArray[np.int32]
    lines: Lines
    line: Line
    isa: Isa

    @property
    def attrs(self) -> Conv2dAttrs:
        """The layer's."""
        attrs: Conv2dAttrs = self.layer.attrs
        return attrs

    @property
    def tile(self) -> int:
        """Channels of a full tile: as many as the core has registers for."""
        return 4 if self.isa == "thumb2" else 1

    def tiles(self, pixels: tuple[int, int]) -> Tiles:
        """For lanes that are so many output pixels from the first one."""
        channels, size = self.lines.weight.shape[0], self.tile
        lanes = (pixels[0] * channels, pixels[1] * channels)
        whole = stream(self.lines, self.bias, self.line, lanes, size)
        realisation, rest = self.layer.realisation, channels % size
        if realisation not in ENCODED:
            return PlainTiles(self.convolution(rest), channels, whole.words(), whole.weight_bytes)
        one = replace(whole, head=head(self.lines, self.line, lanes, 1))
        of_rest = head(self.lines, self.line, lanes, 0) if rest else None
        last = self.convolution(rest) if rest else None
        return DecodedTiles(one, realisation, self.convolution(0), last, of_rest)

    def convolution(self, rest: int) -> MicroKernel:
        """The routine for three pixels and full tiles of channels and one of `rest`."""
        attrs = self.attrs
        _, count, steps = self.lines.weight.shape
        is_possible = steps < 2 * BLOCK and not self.lines.split
        is_possible = is_possible and count * steps <= _LONGEST_STRAIGHT
        own = int(is_possible and count * steps <= _STRAIGHT)
        others = (0, 1) if is_possible else ()
        straight = self.layer.knobs.number("straight", own, others) == 1
        parameters = {
            "tile": self.tile,
            "lines": count,
            "steps": steps if straight or steps < BLOCK else None,
            "straight": straight,
            "rest": rest,
            "split": self.lines.split,
            "shift": self.line.shift,
            **saturation(attrs.y_dtype, attrs.y_min, attrs.y_max),
        }
        return MicroKernel("lanes_conv", parameters, self.isa)

    def packing(self) -> MicroKernel:
        """The routine that makes lanes."""
        unsigned = self.layer.inputs[0].dtype == "uint8"
        return MicroKernel("lanes_pack", {"unsigned_x": unsigned}, self.isa)

    def starts(self, words: Buffer, segment: Expr | int) -> list[Expr]:
        """Where the lines of one segment of the weights start, whose lanes start at `segment`."""
        _, lines, steps = self.lines.weight.shape
        shares = lines // self.layer.constants[0].shape[1]
        return [at(words, segment + 2 * steps * share) for share in range(shares)]


def conv2d(layer: Layer, isa: Isa) -> Kernel | None:
    """Realisation of a `vq.conv2d` layer without groups; constants: those of its tiles."""
    return convolve(layer, constants(layer.constants[2], layer.attrs), isa)


def convolve(layer: Layer, requantization: RequantizeConstants, isa: Isa) -> Kernel | None:
    """The same with requantization constants that are not the operator's own."""
    attrs: Conv2dAttrs = layer.attrs
    weight, bias, _ = layer.constants
    if weight.shape[1:] == layer.inputs[0].shape[1:] and not any(attrs.padding):
        return fully_connected(layer, requantization, isa)
    one_pixel = layer.output.shape[1:3] == (1, 1)
    if attrs.groups > 1 or attrs.dilation[1] > 1 < weight.shape[2] or one_pixel:
        return None
    bias = fold_zero_point(bias, weight, attrs.x_zero_point)
    channels, height, width, depth = weight.shape
    x_dtype = layer.inputs[0].dtype
    bounds = accumulator_bounds(weight.reshape(channels, -1), bias, x_dtype)
    clamp = (attrs.y_zero_point, attrs.y_min, attrs.y_max)
    line = fit_raised(weight, requantization, clamp, bounds)
    if line is None:
        return None
    weight, bias = weight << line.bits, bias << line.bits
    bounds = (bounds[0] << line.bits, bounds[1] << line.bits)
    lines = in_lines(weight.reshape(channels, height, width * depth), bias, x_dtype)
    if lines is None:
        return None
    if isa == "thumb" and lines.split and (bounds[0].min() < -_WIDE or bounds[1].max() >= _WIDE):
        return None
    pointwise = height == width == 1 and not any(attrs.padding)
    return (_pointwise if pointwise else _from_rows)(_Conv(layer, bias, lines, line, isa))


def _pointwise(conv: _Conv) -> Kernel:
    """Three neighbouring pixels after the other, or several such triples at once where weights are
    decoded; from the last pixel down where pixels become larger, so that no output lies over pixels
    that are still to be read."""
    layer, strides = conv.layer, conv.attrs.strides
    x_shape, y_shape = layer.inputs[0].shape, layer.output.shape
    if strides == (1, 1):
        # every pixel is alike: one row of them
        x_shape = (1, 1, math.prod(x_shape[:3]), x_shape[3])
        y_shape = (1, 1, math.prod(y_shape[:3]), y_shape[3])
    depth, channels, pixels = x_shape[3], y_shape[3], y_shape[2]
    step = strides[1] * depth
    neighbours = (min(1, pixels - 1), min(2, pixels - 1))
    tiles, packing = conv.tiles(neighbours), conv.packing()
    backward = strides == (1, 1) and channels > depth
    triples = pixels // 3
    most = max(1, _DECODED_BYTES // (8 * depth)) if tiles.is_decoded else 1
    run = max(1, min(triples, most))
    runs = -(-triples // run)
    last = 0 if backward else max(0, pixels - 3)
    with FunctionBuilder("conv2d") as builder:
        x = builder.parameter("x", x_shape, layer.inputs[0].dtype)
        open_tiles = tiles.declare(builder)
        y = builder.parameter("y", y_shape, layer.output.dtype)
        each_part = open_tiles()
        words = scratch("lanes", (run * 2 * depth,), "int32")
        overlapping = scratch("overlapping", (2 * depth,), "int32") if pixels % 3 else words

        def pack_pixels(to: Expr, n: Expr, oh: Expr, pixel: Expr | int) -> None:
            source = at(x, n, oh * strides[0], pixel * strides[1], 0)
            lanes = (neighbours[0] * step, neighbours[1] * step)
            call(packing.symbol, to, source, depth, *lanes)

        def pixel_of(triple: Expr) -> Expr:
            return bind("pixel", pixels - 3 - 3 * triple if backward else 3 * triple)

        with loop("n", x_shape[0]) as n, loop("oh", y_shape[1]) as oh:
            if pixels % 3:
                pack_pixels(at(overlapping, 0), n, oh, last)
            with loop("t", runs) as t:
                first = bind("first", t * run)
                count = bind("count", T.min(run, triples - first)) if triples % run else run
                with loop("i", count) as i:
                    pack_pixels(at(words, i * (2 * depth)), n, oh, pixel_of(first + i))

                def convolve_run(part: Part) -> None:
                    with loop("i", count) as i:
                        to = at(y, n, oh, pixel_of(first + i), part.channel)
                        starts = conv.starts(words, i * (2 * depth))
                        call(part.routine.symbol, to, part.stream, *starts)

                each_part(convolve_run)
            if pixels % 3:

                def convolve_last(part: Part) -> None:
                    to = at(y, n, oh, last, part.channel)
                    call(part.routine.symbol, to, part.stream, *conv.starts(overlapping, 0))

                each_part(convolve_last)
    order = (
        AccessOrder(3 * run * depth, 3 * run * channels, backward=backward)
        if strides == (1, 1)
        else row_order(x_shape, y_shape, conv.attrs)
    )
    inplace = {0: order} if x_shape[0] == 1 else {}
    times = math.prod(x_shape[:1] + y_shape[1:2])
    times *= runs + (pixels % 3 > 0)
    micro = (packing, *tiles.routines)
    return Kernel(builder.function, tiles.constants, inplace, micro, tiles.stored(times))


def _from_rows(conv: _Conv) -> Kernel:
    """Output rows from a ring of packed input rows."""
    layer, attrs = conv.layer, conv.attrs
    x_shape, y_shape = layer.inputs[0].shape, layer.output.shape
    batch, height, width, depth = x_shape
    top, left, bottom, right = attrs.padding
    kernel_height, kernel_width = layer.constants[0].shape[1:3]
    span = (kernel_height - 1) * attrs.dilation[0] + 1
    columns, step = y_shape[2], attrs.strides[1] * depth
    third = -(-columns // 3)
    distances = (min(third, columns - third), columns - third)
    fresh = max(0, span - attrs.strides[0])
    tiles, packing = conv.tiles(distances), conv.packing()
    inputs = (third - 1) * step + kernel_width * depth
    with FunctionBuilder("conv2d") as builder:
        x = builder.parameter("x", x_shape, layer.inputs[0].dtype)
        open_tiles = tiles.declare(builder)
        y = builder.parameter("y", y_shape, layer.output.dtype)
        each_part = open_tiles()
        row = scratch("row", ((left + width + right) * depth,), layer.inputs[0].dtype)
        words = scratch("lanes", (span * 2 * inputs,), "int32")
        ring = RowRing(words, span, height, top, bottom, 0, 2 * inputs, 0, span, 0)

        def clear_row() -> None:
            with loop("i", int(row.shape[0])) as i:
                store(row, [i], int32(attrs.x_zero_point))

        def pack_row(n: Expr, padded: Expr) -> None:
            r = bind("r", padded - top)
            with choose(T.And(r >= 0, r < height)) as (inside, outside):
                with inside:
                    copy(row, [left * depth], x, (n, r, 0, 0), width * depth)
                with outside:
                    clear_row()
            lanes = (distances[0] * step, distances[1] * step)
            call(packing.symbol, at(words, ring.slot(padded)), at(row, 0), inputs, *lanes)

        clear_row()
        with loop("n", batch) as n, loop("oh", y_shape[1]) as oh:
            first = bind("first", oh * attrs.strides[0])
            begin = T.Select(oh == 0, first, first + fresh) if fresh else first
            with loop("p", bind("begin", begin), first + span) as padded:
                pack_row(n, padded)
            segments = [ring.slot(first + kh * attrs.dilation[0]) for kh in range(kernel_height)]

            def convolve_row(part: Part) -> None:
                with loop("ow", third) as ow:
                    column = ow * (2 * step)
                    starts = [s for line in segments for s in conv.starts(words, line + column)]
                    to = at(y, n, oh, ow, part.channel)
                    call(part.routine.symbol, to, part.stream, *starts)

            each_part(convolve_row)
    inplace = {0: row_order(x_shape, y_shape, attrs, span)} if batch == 1 else {}
    times = batch * y_shape[1]
    micro = (packing, *tiles.routines)
    return Kernel(builder.function, tiles.constants, inplace, micro, tiles.stored(times))
