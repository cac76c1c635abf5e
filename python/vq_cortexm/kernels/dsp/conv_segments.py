"""A convolution from a ring of widened rows: a window is a segment of each row.

row kh    │ … │ kernel columns × channels │ …        the next pixel starts `pixel` halfwords on
"""

from __future__ import annotations

from collections.abc import Callable

from ...compat import Expr
from ...op.conv2d import Conv2dAttrs
from ..conv2d import row_order
from ..layer import Kernel, Layer
from ..micro_kernel import MicroKernel
from ..tiles import Part, Tiles
from ..tir import FunctionBuilder, T, at, bind, call, loop, scratch, store
from .window_sums import window_sums
from .windows import WidenedRows, Window, filled, row_segment, rows_of_band, widened_rows

_DECODED_PIXELS = 64
"""For how many pixels a tile of weights is decoded once."""
_LARGEST_RING_BYTES = 8192
"""How large the ring may become for several output rows at once; schedules choose from"""
_BANDS = (1, 2, 3, 4, 6, 8)


def window(layer: Layer, multiple: int) -> Window:
    """A segment of each kernel row."""
    order, pixel = row_segment(layer)
    return Window(layer.constants[0].shape[1], filled(order, multiple), pixel)


def fits(_layer: Layer) -> bool:
    """Whether it takes the layer."""
    return True


def has_sums(_layer: Layer) -> bool:
    """Whether the sums of windows can be had."""
    return True


def skeleton(layer: Layer, window: Window, tiles: Tiles) -> Kernel:
    """Output row by output row; each goes where input rows were that have been widened. Several
    rows at once where weights are decoded: each time serves them all."""
    attrs: Conv2dAttrs = layer.attrs
    x_shape, y_shape = layer.inputs[0].shape, layer.output.shape
    pixels = y_shape[2] + y_shape[2] % 2
    fitting = [rows for rows in _BANDS if _fits(layer, window, rows)]
    band = layer.knobs.number("rows", _band(layer, window) if tiles.is_decoded else 1, fitting)
    last_read = (pixels - 1) * window.pixel + 2 * window.steps
    make_rows = widened_rows(layer, window.pixel, last_read, band)
    summing = _summing(layer, window, tiles)
    with FunctionBuilder("conv2d") as builder:
        x = builder.parameter("x", x_shape, layer.inputs[0].dtype)
        open_tiles = tiles.declare(builder)
        y = builder.parameter("y", y_shape, layer.output.dtype)
        rows, each_part = make_rows(), open_tiles()
        sum_windows = _window_sums(layer, window, summing, rows) if summing else None
        bands = -(-y_shape[1] // band)
        with loop("n", x_shape[0]) as n, loop("oh" if band == 1 else "band", bands) as b:
            top = b if band == 1 else bind("top", b * band)
            first = bind("first", top * attrs.strides[0])
            rows.refill(x, n, b, first, attrs)
            count = bind("count", T.min(band, y_shape[1] - top)) if y_shape[1] % band else band

            def convolve(part: Part) -> None:
                with loop("r", count) as r:
                    row = first if band == 1 else bind("row", first + r * attrs.strides[0])
                    lines = [
                        at(rows.ring.rows, rows.ring.slot(row + kh * attrs.dilation[0]))
                        for kh in range(window.rows)
                    ]
                    windows = [sum_windows(lines), *lines] if sum_windows else lines
                    to = at(y, n, top + r, 0, part.channel)
                    call(part.routine.symbol, to, part.stream, y_shape[2], *windows)

            each_part(convolve)
    span = rows_of_band(layer, 1)
    order = row_order(x_shape, y_shape, attrs, span, band)
    in_bytes = order.of_elements(layer.inputs[0].dtype, layer.output.dtype)
    inplace = {0: in_bytes} if x_shape[0] == 1 else {}
    micro = (*rows.widen.routines, *([summing] if summing else []), *tiles.routines)
    times = x_shape[0] * bands
    return Kernel(builder.function, tiles.constants, inplace, micro, tiles.stored(times))


def _band(layer: Layer, window: Window) -> int:
    """Output rows for which a tile of weights is decoded once."""
    band = 1
    while band * layer.output.shape[2] < _DECODED_PIXELS and _fits(layer, window, band + 1):
        band += 1
    return band


def _fits(layer: Layer, window: Window, band: int) -> bool:
    """Whether there are so many output rows, and the ring of their inputs is not too large."""
    _, _, width, _ = layer.inputs[0].shape
    attrs: Conv2dAttrs = layer.attrs
    padded = width + attrs.padding[1] + attrs.padding[3]
    row_bytes = 2 * padded * window.pixel // attrs.strides[1]
    ring_bytes = rows_of_band(layer, band) * row_bytes
    return band <= layer.output.shape[1] and (band == 1 or ring_bytes <= _LARGEST_RING_BYTES)


def _summing(layer: Layer, window: Window, tiles: Tiles) -> MicroKernel | None:
    """The routine for the sums of columns, if the weights need sums."""
    pitch = window.pixel // layer.attrs.strides[1]
    return window_sums(tiles, window.rows, layer.inputs[0].shape[3], pitch)


def _window_sums(
    layer: Layer, window: Window, summing: MicroKernel, rows: WidenedRows
) -> Callable[[list[Expr]], Expr]:
    """Sums up the windows of a row that starts at given lines: from the sums of columns."""
    attrs: Conv2dAttrs = layer.attrs
    pixels = layer.output.shape[2]
    columns = rows.ring.row_width // (window.pixel // attrs.strides[1])
    of_columns = scratch("column_sums", (columns,), "int32")
    sums = scratch("sums", (pixels + pixels % 2,), "int32")

    def sum_windows(lines: list[Expr]) -> Expr:
        call(summing.symbol, at(of_columns, 0), columns, *lines)
        with loop("ow", pixels) as ow:
            first_column = ow * attrs.strides[1]
            total = of_columns[first_column]
            for kw in range(1, layer.constants[0].shape[2]):
                total = total + of_columns[first_column + kw]
            store(sums, [ow], total)
        return at(sums, 0)

    return sum_windows
