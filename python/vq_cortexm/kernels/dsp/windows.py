"""Where the inputs of one output pixel lie in scratch, and the ring of widened rows around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...compat import Expr
from ...op.conv2d import Conv2dAttrs
from ..layer import Layer
from ..row_ring import RowRing
from ..tir import Buffer, scratch
from .pairs import arrange, in_fours
from .widen import Copying, Widening, widening


@dataclass(frozen=True)
class Window:
    """`rows` segments of inputs in `order`, -1 being a gap; the next output pixel's window starts
    `pixel` halfwords on."""

    rows: int
    order: list[int]
    pixel: int

    @property
    def steps(self) -> int:
        """Words of two inputs in a segment."""
        return len(self.order) // 2

    @property
    def gaps(self) -> NDArray[np.bool_]:
        """Where, in all its segments, no input is read."""
        return np.tile(np.array(self.order) < 0, self.rows)

    def arrange(self, weight: NDArray[np.int8]) -> NDArray[np.int8]:
        """(O, KH, KW, I) weights as (O, inputs of the window)."""
        channels = weight.shape[0]
        segments = arrange(weight.reshape(channels * self.rows, -1), self.order)
        return segments.reshape(channels, -1)


def filled(order: list[int], multiple: int) -> list[int]:
    """The order with gaps at its end, up to a multiple."""
    return order + [-1] * (-len(order) % multiple)


def input_order(x_dtype: str, inputs: int) -> list[int]:
    """Of `inputs` neighbouring channels, from a word on, as they lie when they are halfwords."""
    return list(range(inputs)) if x_dtype == "int16" else in_fours(inputs)


def row_segment(layer: Layer) -> tuple[list[int], int]:
    """The order of a kernel row's inputs in a widened row, and halfwords from one output pixel to
    the next: a word each, so odd strides of odd channels give every pixel a gap."""
    attrs: Conv2dAttrs = layer.attrs
    _, _, width, depth = layer.constants[0].shape
    gap = depth * attrs.strides[1] % 2
    order = list(range(width * depth))
    if depth % 4 == 0:
        order = input_order(layer.inputs[0].dtype, width * depth)
    elif gap:
        order = [i for kw in range(width) for i in (*range(kw * depth, kw * depth + depth), -1)]
    return order, attrs.strides[1] * (depth + gap)


@dataclass(frozen=True)
class WidenedRows:
    """A ring of padded input rows as halfwords."""

    ring: RowRing
    widen: Widening | Copying
    count: int
    """Of its items in a row."""
    band: int = 1
    """Output rows of a refill."""

    def refill(self, x: Buffer, n: Expr, index: Expr, first: Expr, attrs: Conv2dAttrs) -> None:
        """Widens the rows that the band `index` of output rows needs and none before it did."""

        def widen_row(r: Expr, start: Expr) -> None:
            self.widen.emit(self.ring.rows, start, x, [n, r, 0, 0], self.count)

        self.ring.refill(index, first, self.band * attrs.strides[0], widen_row)


def widened_rows(
    layer: Layer, pixel: int, last_read: int, band: int = 1
) -> Callable[[], WidenedRows]:
    """Makes, inside a function, the ring of a convolution whose windows are `pixel` apart; reads
    go up to `last_read` halfwords from a row's start. `band` output rows are made at once."""
    attrs: Conv2dAttrs = layer.attrs
    _, height, width, depth = layer.inputs[0].shape
    top, left, bottom, right = attrs.padding
    span = rows_of_band(layer, band)
    # a last band with fewer rows looks at padding
    bands = -(-layer.output.shape[1] // band)
    last_row = (bands - 1) * band * attrs.strides[0] + span
    bottom = max(bottom, last_row - top - height)
    pitch = pixel // attrs.strides[1]
    widened, before, after = width * pitch, left * pitch, right * pitch
    after += (before + widened + after) % 2
    item = depth if pitch > depth else width * depth
    widen = widening(
        layer.inputs[0].dtype, item, item, max(item, pitch), depth % 4 != 0, before % 2 == 0
    )
    row_width = before + widened + after
    elements = span * row_width + max(0, last_read - row_width)

    def make() -> WidenedRows:
        rows: Any = scratch("rows", (elements + elements % 2,), "int16")
        edges = (before, widened, after)
        ring = RowRing(rows, span, height, top, bottom, *edges, span, attrs.x_zero_point)
        ring.clear()
        return WidenedRows(ring, widen, width if pitch > depth else 1, band)

    return make


def rows_of_band(layer: Layer, band: int) -> int:
    """Input rows under the windows of `band` output rows."""
    attrs: Conv2dAttrs = layer.attrs
    span = (layer.constants[0].shape[1] - 1) * attrs.dilation[0] + 1
    return int((band - 1) * attrs.strides[0] + span)
