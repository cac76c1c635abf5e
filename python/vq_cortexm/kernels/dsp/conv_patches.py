"""A convolution by im2col: the segments of a window side by side.

For input layers of one or three channels, whose segments are short, and for rows with an odd number
of pixels: here pixels pair across the rows' ends.

    patch     │ kernel row 0 │ kernel row 1 │ …        each row's segment filled to a word
"""

from __future__ import annotations

from functools import partial

from ...op.conv2d import Conv2dAttrs
from ..conv2d import row_order
from ..layer import Kernel, Layer
from ..micro_kernel import MicroKernel
from ..tiles import Tiles
from ..tir import FunctionBuilder, T, at, bind, call, loop, scratch
from .window_sums import call_over_pixels, window_sums
from .windows import Window, filled, row_segment, widened_rows

_LARGEST_BYTES = 2048
"""Of the patches of a group of rows; schedules choose from"""
_GROUPS = (1, 2, 3, 4)


def window(layer: Layer, multiple: int) -> Window:
    """A patch."""
    weight = layer.constants[0]
    segment = filled(_without_gaps(layer), 2)
    inputs = weight.shape[2] * weight.shape[3]
    order = [-1 if i < 0 else kh * inputs + i for kh in range(weight.shape[1]) for i in segment]
    order = filled(order, multiple)
    return Window(1, order, len(order))


def fits(layer: Layer) -> bool:
    """Whether the patches of a group of rows are not too large."""
    return _patches_bytes(layer, _own_group(layer)) <= _LARGEST_BYTES


def has_sums(layer: Layer) -> bool:
    """Whether the sums of windows can be had: not with gaps inside them."""
    return len(_without_gaps(layer)) % 2 == 0


def skeleton(layer: Layer, window: Window, tiles: Tiles) -> Kernel:
    """Groups of output rows with an even number of pixels."""
    attrs: Conv2dAttrs = layer.attrs
    x_shape, y_shape = layer.inputs[0].shape, layer.output.shape
    kernel_height = layer.constants[0].shape[1]
    groups_of = (n for n in _GROUPS if n <= y_shape[1])
    fitting = [n for n in groups_of if _patches_bytes(layer, n) <= _LARGEST_BYTES]
    columns, group = y_shape[2], layer.knobs.number("rows", _own_group(layer), fitting)
    words = len(filled(_without_gaps(layer), 2)) // 2
    pixel = attrs.strides[1] * x_shape[3]
    make_rows = widened_rows(layer, pixel, (columns - 1) * pixel + 2 * words)
    segments = MicroKernel("copy_segments", {"words": words, "from": pixel, "to": window.pixel})
    summing = window_sums(tiles, 1, 2 * words * kernel_height, window.pixel)
    with FunctionBuilder("conv2d") as builder:
        x = builder.parameter("x", x_shape, layer.inputs[0].dtype)
        open_tiles = tiles.declare(builder)
        y = builder.parameter("y", y_shape, layer.output.dtype)
        # a lone last pixel has a neighbour
        pixels = group * columns + group * columns % 2
        patches = scratch("patches", (pixels * window.pixel,), "int16")
        sums = scratch("sums", (pixels,), "int32") if summing else None
        rows, each_part = make_rows(), open_tiles()
        groups = -(-y_shape[1] // group)
        with loop("n", x_shape[0]) as n, loop("g", groups) as g:
            top = bind("top", g * group)
            count = bind("count", T.min(group, y_shape[1] - top)) if y_shape[1] % group else group
            with loop("oh", top, top + count) as oh:
                first = bind("first", oh * attrs.strides[0])
                rows.refill(x, n, oh, first, attrs)
                start = bind("start", (oh - top) * (columns * window.pixel))
                for kh in range(kernel_height):
                    line = rows.ring.slot(first + kh * attrs.dilation[0])
                    to = at(patches, start + kh * 2 * words)
                    call(segments.symbol, to, at(rows.ring.rows, line), columns)
            to = partial(at, y, n, top, 0)
            call_over_pixels(each_part, summing, to, count * columns, at(patches, 0), sums)
    order = row_order(x_shape, y_shape, attrs, rows.ring.span)
    in_bytes = order.of_elements(layer.inputs[0].dtype, layer.output.dtype)
    inplace = {0: in_bytes} if x_shape[0] == 1 else {}
    micro = (*rows.widen.routines, segments, *([summing] if summing else []), *tiles.routines)
    times = x_shape[0] * groups
    return Kernel(builder.function, tiles.constants, inplace, micro, tiles.stored(times))


def _without_gaps(layer: Layer) -> list[int]:
    """The order of a row's inputs; segments are copied from any halfword on."""
    order, _ = row_segment(layer)
    return [i for i in order if i >= 0]


def _own_group(layer: Layer) -> int:
    """Rows with an even number of pixels together."""
    return 1 + layer.output.shape[2] % 2


def _patches_bytes(layer: Layer, rows: int) -> int:
    """Of so many output rows."""
    return 2 * rows * layer.output.shape[2] * window(layer, 4).pixel
