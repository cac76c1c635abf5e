"""`vq.binary_conv2d`: bits that agree are counted, by vertical counters or by carry-save trees.

    sum = 2 · count + what is added, by output and class of pixels (`binary_window`)

Vertical counters (`binary_vertical`) take 32 outputs at a time, and give signs for nothing; trees
(`binary_horizontal`) take one at a time, which is less work where outputs fill their words badly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
from .line import Line
from .micro_kernel import MicroKernel
from .requantize import LineRequantizer, Requantizer, line_or_requantizer
from .tir import (
    Buffer,
    FunctionBuilder,
    Scalar,
    T,
    at,
    bind,
    bit,
    call,
    int32,
    loop,
    scratch,
    store,
    widen,
)

_VERTICAL_CYCLES = (250, 95, 440)
"""Of 32 outputs: a word of the window, the rest, and what bytes of the counts take."""
_HORIZONTAL_CYCLES = (84, 62)
"""Of an output: a step, and the rest. Both are measured on the cycle model."""


def binary_conv2d(layer: Layer) -> Kernel:
    """Kernel of a `vq.binary_conv2d` layer; constants: weights, then where counts start (vertical
    counters to signs), or what is added to the sums and the requantization."""
    attrs: BinaryConv2dAttrs = layer.attrs
    w = unpack(layer.constants[0], attrs.channels)
    geometry = Geometry(w, layer.inputs[0].shape, layer.output.shape, attrs)
    borders = border(0, geometry), border(1, geometry)
    added = sums_less_counts(geometry, borders)
    is_vertical = _counts_vertically(layer, geometry)
    if is_vertical and attrs.to_signs:
        return _vertical_to_signs(
            layer, geometry, borders, vertical.starts(geometry, layer.constants[1], added)
        )
    own = layer.constants[1].astype(np.int64)
    if attrs.to_signs:
        return _by_counts(layer, geometry, borders, added - own, None, is_vertical)
    added += own
    end = _ending(layer, geometry, added)
    if is_vertical and isinstance(end, LineRequantizer) and vertical.takes_line(geometry, end.line):
        return _vertical_to_bytes(layer, geometry, borders, added, end.line)
    return _by_counts(layer, geometry, borders, added, end, is_vertical)


def _counts_vertically(layer: Layer, geometry: Geometry) -> bool:
    """Whether the schedule says so; trees take windows up to some size."""
    ways = ("vertical", "trees") if geometry.window_words <= horizontal.MOST_WORDS else ()
    own = "vertical" if prefers_vertical(geometry) else "trees"
    return layer.knobs.choose("counters", own, ways) == "vertical"


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


def _ending(layer: Layer, geometry: Geometry, added: Int64Array) -> Requantizer | LineRequantizer:
    """How sums become bytes; `added` as in `_by_counts`."""
    attrs, reach = geometry.attrs, 2 * np.int64(geometry.inputs)
    bounds = added.min(axis=(0, 1)), added.max(axis=(0, 1)) + reach
    clamp = (attrs.y_zero_point, attrs.y_min, attrs.y_max)
    return line_or_requantizer(constants(layer.constants[2], attrs), clamp, bounds)


def _vertical_to_bytes(
    layer: Layer,
    geometry: Geometry,
    borders: tuple[Border, Border],
    added: Int64Array,
    line: Line,
) -> Kernel:
    """All outputs of a pixel by one routine; constants are filled up to fours of outputs."""
    missing = -geometry.outputs % 4
    raised = np.pad(added << line.bits, ((0, 0), (0, 0), (0, missing))).astype(np.int32)
    multipliers = np.pad(line.multiplier, (0, missing))
    weights, copy = vertical.weights(geometry), gather(geometry, sliced=True)
    routine = vertical.to_bytes(geometry, line)
    with FunctionBuilder("binary_conv2d") as builder:
        x = builder.parameter("x", geometry.x_shape, "int32")
        w = builder.parameter("w", weights.shape, "int32")
        offset = builder.parameter("added", raised.shape, "int32")
        multiplier = builder.parameter("multiplier", multipliers.shape, "int32")
        y = builder.parameter("y", geometry.y_shape, layer.output.dtype)
        counting = _vertical_counts(geometry, w)

        def finish(n: Expr, oh: Expr, ow: Expr) -> None:
            counting.fill()
            counts = at(counting.counts, 0, 0, 0, 0)
            own = at(offset, borders[0].index(oh), borders[1].index(ow), 0)
            ending = (at(multiplier, 0), own, line.addend, geometry.outputs // 8)
            call(routine.symbol, at(y, n, oh, ow, 0), counts, *ending)

        each_window(geometry, x, counting.window, copy, finish)
    stored = StoredWeights(size_bytes=weights.nbytes)
    micro = (copy, *counting.routines, routine)
    return Kernel(builder.function, (weights, raised, multipliers), micro=micro, weights=stored)


def _by_counts(
    layer: Layer,
    geometry: Geometry,
    borders: tuple[Border, Border],
    added: Int64Array,
    end: Requantizer | LineRequantizer | None,
    is_vertical: bool,
) -> Kernel:
    """`added` (rows, columns, O) is all that is added to twice the counts: signs ask whether that
    is negative, 8 bits are its requantization by `end`."""
    weights = (vertical if is_vertical else horizontal).weights(geometry)
    copy = gather(geometry, sliced=is_vertical)
    with FunctionBuilder("binary_conv2d") as builder:
        x = builder.parameter("x", geometry.x_shape, "int32")
        w = builder.parameter("w", weights.shape, "int32")
        offset = builder.parameter("added", added.shape, "int32")
        factors = end.declare(builder) if end else []
        y = builder.parameter("y", geometry.y_shape, layer.output.dtype)
        counting = (_vertical_counts if is_vertical else _horizontal_counts)(geometry, w)

        def finish(n: Expr, oh: Expr, ow: Expr) -> None:
            row = bind("row", borders[0].index(oh))
            column = bind("column", borders[1].index(ow))
            counting.fill()
            with loop("word", words(geometry.outputs)) as word:
                bits = None if end else Scalar("bits", int32(0))
                first = bind("first", word * WORD)
                size = geometry.outputs - first
                with loop("i", T.min(int32(WORD), size) if geometry.outputs % WORD else WORD) as i:
                    c = bind("c", first + i)
                    total = bind("total", counting.of(word, i) * 2 + offset[row, column, c])
                    if end:
                        store(y, (n, oh, ow, c), end.emit(factors, total, c))
                    elif bits:
                        bits.set(bits.get() | bit(total >= 0, i))
                if bits:
                    store(y, (n, oh, ow, word), bits.get())

        each_window(geometry, x, counting.window, copy, finish)
    stored = StoredWeights(size_bytes=weights.nbytes)
    constants_ = (weights, added.astype(np.int32), *(end.constants if end else ()))
    micro = (copy, *counting.routines)
    return Kernel(builder.function, constants_, micro=micro, weights=stored)


@dataclass(frozen=True)
class _Counting:
    """What counts a window's matches: `fill` does, and `of` reads that of output i of a word."""

    window: Buffer
    counts: Buffer
    routines: tuple[MicroKernel, ...]
    fill: Callable[[], None]
    of: Callable[[Expr, Expr], Expr]


def _vertical_counts(geometry: Geometry, w: Buffer) -> _Counting:
    blocks, outputs = geometry.window_words, words(geometry.outputs)
    levels = vertical.levels(geometry)
    bits = vertical.IN_LOOP + levels
    micro, unslice = vertical.to_counts(), vertical.unslice(geometry)
    pixel = scratch("window", (2 * blocks,), "int32")
    planes = scratch("planes", (outputs, bits), "int32")
    counts = scratch("counts", (outputs, WORD // 4, 2 if bits > 8 else 1, 4), "uint8")

    def fill() -> None:
        call(micro.symbol, at(planes, 0, 0), at(pixel, 0), at(w, 0), blocks, outputs, levels)
        call(unslice.symbol, at(counts, 0, 0, 0, 0), at(planes, 0, 0), outputs)

    def of(word: Expr, i: Expr) -> Expr:
        four, place = T.truncdiv(i, 4), T.truncmod(i, 4)
        low = widen(counts[word, four, 0, place])
        return low + (widen(counts[word, four, 1, place]) << 8) if bits > 8 else low

    return _Counting(pixel, counts, (micro, unslice), fill, of)


def _horizontal_counts(geometry: Geometry, w: Buffer) -> _Counting:
    micro, steps = horizontal.to_counts(), horizontal.steps(geometry)
    pixel = scratch("window", (steps * horizontal.STEP,), "int32")
    counts = scratch("counts", (geometry.outputs,), "int32")
    for i in range(geometry.window_words, steps * horizontal.STEP):
        store(pixel, [i], int32(0))

    def fill() -> None:
        to, window = at(counts, 0), at(pixel, 0)
        call(micro.symbol, to, window, at(w, 0), geometry.outputs, steps)

    return _Counting(pixel, counts, (micro,), fill, lambda word, i: counts[word * WORD + i])
