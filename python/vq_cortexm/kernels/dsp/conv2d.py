"""`vq.conv2d` from byte pairs: two pixels by four output channels at a time.

Activations are widened to int16 in scratch, then `conv_rows` runs along them. There are three ways
to lay them out: `conv_pixels`, `conv_segments` and `conv_patches`. Whichever it is, an output
depends on nothing but scratch, so it may go where activations lay that have been widened; a window
starts at a word, and a lone last pixel is computed beside whatever follows it.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np

from ...op.conv2d import Conv2dAttrs, constants
from ...op.rounding import RequantizeConstants
from ..conv2d import fold_zero_point
from ..layer import Kernel, Layer
from ..weights import accumulator_bounds
from . import conv_patches, conv_pixels, conv_segments
from .conv_weights import pack_weights
from .finish import finish
from .windows import Window

_WAYS: dict[str, ModuleType] = {
    "pixels": conv_pixels,
    "segments": conv_segments,
    "patches": conv_patches,
}
_LARGEST_OFFSET = 4094
"""Bytes that an address of a load reaches from its base."""
_FRAME_BYTES, _WORD_BYTES = 128, 4
"""What a routine's stack has at most besides a pointer to each row, twice: argument and copy."""
_STEP_CYCLES, _TILE_CYCLES, _SEGMENT_CYCLES = 15, 50, 8
"""Modelled: of a step of two inputs, around the steps of a tile, around copying a segment."""


def conv2d(layer: Layer) -> Kernel | None:
    """Realisation of a `vq.conv2d` layer without groups; constants: those of its tiles."""
    return convolve(layer, constants(layer.constants[2], layer.attrs))


def convolve(layer: Layer, requantization: RequantizeConstants) -> Kernel | None:
    """The same with requantization constants that are not the operator's own."""
    attrs: Conv2dAttrs = layer.attrs
    weight, bias, _ = layer.constants
    if attrs.groups > 1 or attrs.dilation[1] > 1 < weight.shape[2]:
        return None
    own, others = _way(layer), [name for name, way in _WAYS.items() if way.fits(layer)]
    y_bytes = weight.shape[0] * np.dtype(attrs.y_dtype).itemsize
    names = [name for name in others if _in_reach(_WAYS[name].window(layer, 2), y_bytes)]
    if own not in names:
        return None
    way = _WAYS[str(layer.knobs.choose("layout", own, names))]
    window = way.window(layer, 2)
    bias = fold_zero_point(bias, weight, attrs.x_zero_point)
    arranged = window.arrange(weight)
    bounds = accumulator_bounds(arranged, bias, layer.inputs[0].dtype)
    clamp = (attrs.y_zero_point, attrs.y_min, attrs.y_max, attrs.y_dtype)
    ending = finish(requantization, *clamp, bounds, scalable=attrs.y_dtype != "int16")
    if ending is None:
        return None
    window, tiles = pack_weights(layer, way, window, bias, bounds, ending)
    kernel: Kernel = way.skeleton(layer, window, tiles)
    return kernel


def _in_reach(window: Window, y_bytes: int) -> bool:
    """Whether all that a routine loads and stores lies near enough to its pointers; `y_bytes`: of
    an output pixel."""
    arguments = _FRAME_BYTES + 2 * _WORD_BYTES * window.rows
    return max(2 * window.pixel + 8, y_bytes, arguments) <= _LARGEST_OFFSET


def _way(layer: Layer) -> str:
    """The layout that takes the fewest cycles, by count."""
    attrs: Conv2dAttrs = layer.attrs
    weight = layer.constants[0]
    if weight.shape[1] == weight.shape[2] == 1 and not any(attrs.padding):
        return "pixels"
    if not conv_patches.fits(layer):
        return "segments"
    rows, columns = layer.output.shape[1:3]
    segments, patch = conv_segments.window(layer, 2), conv_patches.window(layer, 2)
    direct = rows * -(-columns // 2) * _tiles_cycles(segments, weight.shape[0])
    pairs = -(-rows * columns // 2)
    copies = 2 * weight.shape[1] * _SEGMENT_CYCLES + 2 * patch.steps
    patches = pairs * (_tiles_cycles(patch, weight.shape[0]) + copies)
    return "patches" if patches < direct else "segments"


def _tiles_cycles(window: Window, channels: int) -> float:
    """Of two pixels and all channels."""
    steps = window.rows * window.steps
    return channels / 4 * (steps * _STEP_CYCLES + window.rows + _TILE_CYCLES)
