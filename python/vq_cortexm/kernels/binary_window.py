"""What the kernels of binary convolutions share: where windows lie, and how they are gathered.

A window's words are copied to scratch once a pixel, row after row; what lies outside the input is
0 there, whatever the padding's value: that is made good in what is added to the counts, which is a
constant for all pixels of a class, those that see the same part of the window.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from ..compat import Expr
from ..op.binary_conv2d import BinaryConv2dAttrs
from ..op.bits import WORD, words
from ..op.rounding import Int64Array
from .micro_kernel import MicroKernel
from .tir import Buffer, T, at, call, int32, loop, store, when
from .window import Window, window


@dataclass(frozen=True, eq=False)
class Geometry:
    """A layer as its kernels see it: w is (O, KH, KW, C) of -1 and +1."""

    w: NDArray[np.int8]
    x_shape: tuple[int, ...]
    y_shape: tuple[int, ...]
    attrs: BinaryConv2dAttrs

    @property
    def outputs(self) -> int:
        """Output channels."""
        return int(self.w.shape[0])

    @property
    def inputs(self) -> int:
        """Of an output: K."""
        return math.prod(self.w.shape[1:])

    @property
    def row_words(self) -> int:
        """Words of one row of the window."""
        return int(self.w.shape[2]) * words(self.attrs.channels)

    @property
    def window_words(self) -> int:
        """Words of a window."""
        return int(self.w.shape[1]) * self.row_words

    def matches(self) -> NDArray[np.bool_]:
        """(O, words of the window, 32): the activation that each weight agrees with, +1 being 1,
        negated: an XOR with the activation is 1 where they agree. 0 where there is no weight."""
        missing = -self.attrs.channels % WORD
        negative = np.pad(self.w < 0, ((0, 0), (0, 0), (0, 0), (0, missing)))
        return negative.reshape(self.outputs, -1, WORD)


@dataclass(frozen=True)
class Border:
    """The classes of an axis' positions, by the kernel indices that lie inside the input: the first
    `before` and the last `after` positions have one each, all between have one together."""

    spans: tuple[tuple[int, int], ...]
    before: int
    after: int
    size: int

    def index(self, position: Expr | int) -> Expr | int:
        """The class of a position."""
        if len(self.spans) == 1:
            return 0
        if len(self.spans) == self.size:
            return position
        beyond = position - (self.size - 1 - self.after)
        return T.min(position, int32(self.before)) + T.max(beyond, int32(0))


def border(axis: int, geometry: Geometry) -> Border:
    """The classes of rows (0) or columns (1)."""
    size, extent = geometry.w.shape[1 + axis], geometry.x_shape[1 + axis]
    count = geometry.y_shape[1 + axis]
    strides, padding = geometry.attrs.strides, geometry.attrs.padding
    origins = [position * strides[axis] - padding[axis] for position in range(count)]
    spans = [(max(0, -origin), min(size, max(0, extent - origin))) for origin in origins]
    whole = [i for i, span in enumerate(spans) if span == (0, size)]
    if not whole or whole[-1] - whole[0] + 1 != len(whole):
        return Border(tuple(spans), 0, 0, count)
    before, after = whole[0], count - 1 - whole[-1]
    return Border((*spans[: before + 1], *spans[count - after :]), before, after, count)


def sums_less_counts(geometry: Geometry, borders: tuple[Border, Border]) -> Int64Array:
    """(rows, columns, O), by class: what is added to twice the count of matches to get the sum."""
    rows, columns = (each.spans for each in borders)
    w = geometry.w.astype(np.int64)
    result = np.empty((len(rows), len(columns), geometry.outputs), np.int64)
    for i, (top, bottom) in enumerate(rows):
        for j, (left, right) in enumerate(columns):
            seen = np.zeros(w.shape[1:3], bool)
            seen[top:bottom, left:right] = True
            outside = w[:, ~seen].reshape(geometry.outputs, -1)
            inside = int(seen.sum()) * geometry.attrs.channels
            counted = 2 * (outside < 0).sum(axis=1)
            result[i, j] = geometry.attrs.pad_value * outside.sum(axis=1) - inside - counted
    return result


def gather(geometry: Geometry, sliced: bool) -> MicroKernel:
    """The routine that copies rows of a window; `sliced`: as `binary_vertical` wants them."""
    parameters = {
        "rows": geometry.w.shape[1],
        "columns": geometry.row_words,
        "pitch": math.prod(geometry.x_shape[2:]),
        "sliced": sliced,
    }
    return MicroKernel("binary_window", parameters, "thumb2")


def each_window(
    geometry: Geometry,
    x: Buffer,
    gathered: Buffer,
    routine: MicroKernel,
    finish: Callable[[Expr, Expr, Expr], None],
) -> None:
    """Gathers the window of each output pixel (n, oh, ow) and finishes it."""
    attrs, depth = geometry.attrs, geometry.x_shape[3]
    size = (int(geometry.w.shape[1]), int(geometry.w.shape[2]))
    step = 2 if routine.parameters["sliced"] else 1
    spec = Window(size, attrs.strides, attrs.padding, (1, 1))
    top, left, bottom, right = attrs.padding
    may_miss = max(top, bottom) >= size[0] or max(left, right) >= size[1]
    # with padding never a plain 0: the only position would be one too, and conditions constants
    zero = int32(0) if any(attrs.padding) else 0
    _, y_rows, y_columns, _ = geometry.y_shape
    with loop("n", geometry.x_shape[0]) as n, loop("oh", zero, y_rows) as oh:
        rows = window(oh, 0, spec, geometry.x_shape[1])
        with loop("ow", zero, y_columns) as ow:
            columns = window(ow, 1, spec, geometry.x_shape[2])
            height, width = rows.last - rows.first, columns.last - columns.first
            # of an axis without padding it is a plain integer: all of the kernel
            axes = zip((height, width), size, strict=True)
            seen = [(part, whole) for part, whole in axes if not isinstance(part, int)]
            if seen:
                cut = reduce(T.Or, [part < whole for part, whole in seen])
                with when(cut), loop("i", geometry.window_words) as i:
                    store(gathered, [step * i], int32(0))
            to = at(gathered, step * (rows.first * geometry.row_words + columns.first * depth))
            first = at(x, n, rows.origin + rows.first, columns.origin + columns.first, 0)
            # the routine copies one word at least
            with when(reduce(T.And, [part > 0 for part, _ in seen])) if may_miss else nullcontext():
                call(routine.symbol, to, first, height, width * depth)
            finish(n, oh, ow)
