"""A pointwise convolution: tiles of neighbouring pixels are widened, then multiplied."""

from __future__ import annotations

import math
from functools import partial

from ...op.conv2d import Conv2dAttrs
from ..access_order import AccessOrder, by_rows
from ..layer import Kernel, Layer
from ..tiles import Tiles
from ..tir import FunctionBuilder, T, at, bind, loop, scratch
from .widen import widening
from .window_sums import call_over_pixels, window_sums
from .windows import Window, filled, input_order

_TILE_BYTES = 1024
"""Of widened pixels, unless two pixels take more; and where weights are decoded for each tile:"""
_DECODED_TILE_BYTES = 4096
_LARGEST_TILE_BYTES = 8192
"""That a schedule can ask for, in pixels:"""
_TILES = (2, 4, 8, 16, 32, 64, 128)


def window(layer: Layer, multiple: int) -> Window:
    """A window is a pixel."""
    order = input_order(layer.inputs[0].dtype, layer.constants[0].shape[3])
    order = filled(order, multiple)
    return Window(1, order, len(order))


def fits(layer: Layer) -> bool:
    """Whether a window is one pixel, and all of them lie in the image."""
    weight = layer.constants[0]
    return bool(weight.shape[1] == weight.shape[2] == 1 and not any(layer.attrs.padding))


def has_sums(_layer: Layer) -> bool:
    """Whether the sums of windows can be had."""
    return True


def skeleton(layer: Layer, window: Window, tiles: Tiles) -> Kernel:
    """Tiles of pixels. Where each pixel becomes larger the last tile comes first, so that no
    output lies over pixels that are still to be read."""
    attrs: Conv2dAttrs = layer.attrs
    x_shape, y_shape = layer.inputs[0].shape, layer.output.shape
    if attrs.strides == (1, 1):
        # every pixel is alike: one row of them
        x_shape = (1, 1, math.prod(x_shape[:3]), x_shape[3])
        y_shape = (1, 1, math.prod(y_shape[:3]), y_shape[3])
    depth, channels, pixels = x_shape[3], y_shape[3], y_shape[2]
    step = attrs.strides[1] * depth
    most = _DECODED_TILE_BYTES if tiles.is_decoded else _TILE_BYTES
    most_pixels = max(2, _LARGEST_TILE_BYTES // (2 * window.pixel))
    own = min(pixels, max(2, most // (2 * window.pixel) // 2 * 2))
    tile = layer.knobs.number("tile", own, [n for n in _TILES if n < min(pixels, most_pixels)])
    runs = -(-pixels // tile)
    backwards = attrs.strides == (1, 1) and channels > depth
    widen = widening(layer.inputs[0].dtype, depth, step, window.pixel, natural=False)
    summing = window_sums(tiles, 1, depth, window.pixel)
    with FunctionBuilder("conv2d") as builder:
        x = builder.parameter("x", x_shape, layer.inputs[0].dtype)
        open_tiles = tiles.declare(builder)
        y = builder.parameter("y", y_shape, layer.output.dtype)
        each_part = open_tiles()
        # a lone last pixel has a neighbour
        wide = scratch("pixels", ((tile + tile % 2) * window.pixel,), "int16")
        sums = scratch("sums", (tile + tile % 2,), "int32") if summing else None
        with loop("n", x_shape[0]) as n, loop("oh", y_shape[1]) as oh, loop("t", runs) as t:
            first = bind("first", (runs - 1 - t if backwards else t) * tile)
            count = bind("count", T.min(tile, pixels - first)) if pixels % tile else tile
            start = [n, oh * attrs.strides[0], first * attrs.strides[1], 0]
            widen.emit(wide, 0, x, start, count)
            to = partial(at, y, n, oh, first)
            call_over_pixels(each_part, summing, to, count, at(wide, 0), sums)
    order = _order(layer, runs, backwards)
    in_bytes = order.of_elements(layer.inputs[0].dtype, layer.output.dtype)
    inplace = {0: in_bytes} if x_shape[0] == 1 else {}
    micro = (*widen.routines, *([summing] if summing else []), *tiles.routines)
    times = math.prod(x_shape[:1] + y_shape[1:2]) * runs
    return Kernel(builder.function, tiles.constants, inplace, micro, tiles.stored(times))


def _order(layer: Layer, runs: int, backwards: bool) -> AccessOrder:
    """A pixel is written after it was read; with strides, a row, if it is read as one tile."""
    attrs: Conv2dAttrs = layer.attrs
    x_shape, y_shape = layer.inputs[0].shape, layer.output.shape
    if attrs.strides == (1, 1):
        return AccessOrder(x_shape[3], y_shape[3], backward=backwards)
    input_row, output_row = math.prod(x_shape[2:]), math.prod(y_shape[2:])
    stride = attrs.strides[0]
    return by_rows(input_row, output_row, stride if runs == 1 else 0, stride)
