"""`vq.binary_conv2d`: bits that agree are counted, by vertical counters or by carry-save trees.

    sum = 2 · count + what is added, by output and class of pixels (`binary_window`)

Vertical counters (`binary_vertical`) take 32 outputs at a time, and give signs for nothing; trees
(`binary_horizontal`) take one at a time, which is less work where outputs fill their words badly.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..compat import Expr
from ..op.binary_conv2d import BinaryConv2dAttrs, constants
from ..op.bits import WORD, unpack, words
from ..op.rounding import Int64Array
from . import binary_horizontal as horizontal
from . import binary_vertical as vertical
from .binary_window import Border, Geometry, border, each_window, gather, sums_less_counts
from .layer import Kernel, Layer, StoredWeights
from .micro_kernel import MicroKernel
from .requantize import line_or_requantizer
from .tir import (
    Buffer,
    FunctionBuilder,
    Scalar,
    T,
    at,
    bind,
    call,
    int32,
    loop,
    scratch,
    store,
    widen,
)

_VERTICAL_CYCLES = (250, 95, 130)
"""Of 32 outputs: a word of the window, the rest, and what bytes of the counts take."""
_HORIZONTAL_CYCLES = (84, 62)
"""Of an output: a step, and the rest. Both are measured on the cycle model."""

Count = Callable[[Expr, Expr], Expr]
"""The count of matches of output i of a word, of the pixel at hand."""


def binary_conv2d(layer: Layer) -> Kernel:
    """Kernel of a `vq.binary_conv2d` layer; constants: weights, then where counts start (vertical
    counters to signs), or what is added to the sums and the requantization."""
    attrs: BinaryConv2dAttrs = layer.attrs
    w = unpack(layer.constants[0], attrs.channels)
    geometry = Geometry(w, layer.inputs[0].shape, layer.output.shape, attrs)
    borders = border(0, geometry), border(1, geometry)
    added = sums_less_counts(geometry, borders)
    is_vertical = prefers_vertical(geometry)
    if is_vertical and attrs.to_signs:
        return _vertical_to_signs(
            layer, geometry, borders, vertical.starts(geometry, layer.constants[1], added)
        )
    own = layer.constants[1].astype(np.int64)
    added += -own if attrs.to_signs else own
    return _by_counts(layer, geometry, borders, added, is_vertical)


def prefers_vertical(geometry: Geometry) -> bool:
    """Whether vertical counters take fewer cycles for a pixel."""
    if geometry.window_words > horizontal.MOST_WORDS:
        return True
    each, rest, unslicing = _VERTICAL_CYCLES
    sliced = each * geometry.window_words + rest + (0 if geometry.attrs.to_signs else unslicing)
    each, rest = _HORIZONTAL_CYCLES
    trees = each * horizontal.steps(geometry) + rest
    return words(geometry.outputs) * sliced <= geometry.outputs * trees


def _vertical_to_signs(
    layer: Layer,
    geometry: Geometry,
    borders: tuple[Border, Border],
    starts: NDArray[np.int32],
) -> Kernel:
    weights = vertical.weights(geometry)
    micro, copy = vertical.to_signs(geometry), gather(geometry, sliced=True)
    blocks, outputs = geometry.window_words, words(geometry.outputs)
    levels = vertical.levels(geometry)
    with FunctionBuilder("binary_conv2d") as builder:
        x = builder.parameter("x", geometry.x_shape, "int32")
        w = builder.parameter("w", weights.shape, "int32")
        start = builder.parameter("start", starts.shape, "int32")
        y = builder.parameter("y", geometry.y_shape, "int32")
        pixel = scratch("window", (2 * blocks,), "int32")

        def finish(n: Expr, oh: Expr, ow: Expr) -> None:
            first = at(start, borders[0].index(oh), borders[1].index(ow), 0, 0)
            to, window = at(y, n, oh, ow, 0), at(pixel, 0)
            call(micro.symbol, to, window, at(w, 0), first, blocks, outputs, levels)

        each_window(geometry, x, pixel, copy, finish)
    stored = StoredWeights(size_bytes=weights.nbytes)
    return Kernel(builder.function, (weights, starts), micro=(copy, micro), weights=stored)


def _by_counts(
    layer: Layer,
    geometry: Geometry,
    borders: tuple[Border, Border],
    added: Int64Array,
    is_vertical: bool,
) -> Kernel:
    """`added` (rows, columns, O) is all that is added to twice the counts: signs ask whether that
    is negative, 8 bits are its requantization."""
    attrs = geometry.attrs
    weights = (vertical if is_vertical else horizontal).weights(geometry)
    copy = gather(geometry, sliced=is_vertical)
    end = None
    if not attrs.to_signs:
        reach = 2 * np.int64(geometry.inputs)
        bounds = added.min(axis=(0, 1)), added.max(axis=(0, 1)) + reach
        clamp = (attrs.y_zero_point, attrs.y_min, attrs.y_max)
        end = line_or_requantizer(constants(layer.constants[2], attrs), clamp, bounds)
    with FunctionBuilder("binary_conv2d") as builder:
        x = builder.parameter("x", geometry.x_shape, "int32")
        w = builder.parameter("w", weights.shape, "int32")
        offset = builder.parameter("added", added.shape, "int32")
        factors = end.declare(builder) if end else []
        y = builder.parameter("y", geometry.y_shape, layer.output.dtype)
        counting = _vertical_counts if is_vertical else _horizontal_counts
        pixel, routines, count = counting(geometry, w)

        def finish(n: Expr, oh: Expr, ow: Expr) -> None:
            row = bind("row", borders[0].index(oh))
            column = bind("column", borders[1].index(ow))
            of = count()
            with loop("word", words(geometry.outputs)) as word:
                bits = None if end else Scalar("bits", int32(0))
                first = bind("first", word * WORD)
                size = geometry.outputs - first
                with loop("i", T.min(int32(WORD), size) if geometry.outputs % WORD else WORD) as i:
                    c = bind("c", first + i)
                    total = bind("total", of(word, i) * 2 + offset[row, column, c])
                    if end:
                        store(y, (n, oh, ow, c), end.emit(factors, total, c))
                    elif bits:
                        bits.set(bits.get() | (T.cast(total >= 0, "int32") << i))
                if bits:
                    store(y, (n, oh, ow, word), bits.get())

        each_window(geometry, x, pixel, copy, finish)
    stored = StoredWeights(size_bytes=weights.nbytes)
    constants_ = (weights, added.astype(np.int32), *(end.constants if end else ()))
    return Kernel(builder.function, constants_, micro=(copy, *routines), weights=stored)


Counting = tuple[Buffer, tuple[MicroKernel, ...], Callable[[], Count]]
"""The gathered window, the routines, and what counts its matches."""


def _vertical_counts(geometry: Geometry, w: Buffer) -> Counting:
    blocks, outputs = geometry.window_words, words(geometry.outputs)
    levels = vertical.levels(geometry)
    bits = vertical.IN_LOOP + levels
    micro, unslice = vertical.to_counts(), vertical.unslice(geometry)
    pixel = scratch("window", (2 * blocks,), "int32")
    planes = scratch("planes", (outputs, bits), "int32")
    size = WORD * -(-bits // 8)
    counts = scratch("counts", (outputs, size), "uint8")

    def count() -> Count:
        call(micro.symbol, at(planes, 0, 0), at(pixel, 0), at(w, 0), blocks, outputs, levels)
        call(unslice.symbol, at(counts, 0, 0), at(planes, 0, 0), outputs)

        def of(word: Expr, i: Expr) -> Expr:
            low = widen(counts[word, i])
            return low + (widen(counts[word, WORD + i]) << 8) if bits > 8 else low

        return of

    return pixel, (micro, unslice), count


def _horizontal_counts(geometry: Geometry, w: Buffer) -> Counting:
    micro, steps = horizontal.to_counts(), horizontal.steps(geometry)
    pixel = scratch("window", (steps * horizontal.STEP,), "int32")
    counts = scratch("counts", (geometry.outputs,), "int32")
    for i in range(geometry.window_words, steps * horizontal.STEP):
        store(pixel, [i], int32(0))

    def count() -> Count:
        to, window = at(counts, 0), at(pixel, 0)
        call(micro.symbol, to, window, at(w, 0), geometry.outputs, steps)
        return lambda word, i: counts[word * WORD + i]

    return pixel, (micro,), count
