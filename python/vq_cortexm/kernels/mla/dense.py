"""`vq.dense`: four sums by three multiplications.

The weights of four channels for one input lie in one word, 128 more than they are, so that no byte
has a sign. For the input's activation a (all modulo 2^32):

    word          p + 2^8 q + 2^16 r + 2^24 s     u += a * word     P + 2^8 Q + 2^16 R + 2^24 S
    its middle    q + 2^8 r                       v += a * middle   Q + 2^8 R
    its top       r + 2^8 s                       t += a * top      R + 2^8 S

where the sums start with the biases in place of the products, less 128 times the sum of all
activations. If they are in [-2^23, 2^23) in the end,

    P = the low 24 bits, signed, of u - 2^8 v;     Q = (u - 2^16 t - P) >> 8
    R = (v - Q) >> 8;                              S = (t - R) >> 8

The routine reads one stream: the layer's addend, and its multiplier if it has but one; then tile by
tile (eight channels in Thumb-2, or the four or fewer that are left; four in Thumb) u, t and v where
they start, the words of each input, and, if they differ, the multipliers.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ...nary.encoding import ENCODED
from ...op.conv2d import Conv2dAttrs
from ...op.dense import DenseAttrs, constants
from ...op.rounding import RequantizeConstants
from ...target import Isa
from ..conv2d import fold_zero_point
from ..layer import Kernel, Layer
from ..line import Line, fit_raised, saturation
from ..micro_kernel import MicroKernel
from ..tiles import DecodedTiles, Part, PlainTiles, Stream, Tile, Tiles
from ..tir import FunctionBuilder, at, call, loop
from ..weights import accumulator_bounds, padded

_LIMIT = 1 << 23
_WORD = np.array([1, 1 << 8, 1 << 16, 1 << 24], np.int64)
_TOP = np.array([0, 0, 1, 1 << 8], np.int64)
_MIDDLE = np.array([0, 1, 1 << 8, 0], np.int64)
"""What p, q, r and s count in the word and in its two parts."""


def dense(layer: Layer, isa: Isa) -> Kernel | None:
    """Realisation of a `vq.dense` layer; constants: the stream of `dense_fours`."""
    return fully_connected(layer, constants(layer.constants[2], layer.attrs), isa)


def fully_connected(layer: Layer, requantization: RequantizeConstants, isa: Isa) -> Kernel | None:
    """Realisation of a `vq.dense` layer or of a `vq.conv2d` layer with one window, the input."""
    attrs: DenseAttrs | Conv2dAttrs = layer.attrs
    weight, bias, _ = layer.constants
    outputs = weight.shape[0]
    weight = weight.reshape(outputs, -1)
    depth = weight.shape[1]
    x_dtype = layer.inputs[0].dtype
    bias = fold_zero_point(bias, weight, attrs.x_zero_point)
    bounds = accumulator_bounds(weight, bias, x_dtype)
    clamp = (attrs.y_zero_point, attrs.y_min, attrs.y_max)
    line = fit_raised(weight, requantization, clamp, bounds)
    if line is None or outputs < 4:
        return None
    limit = _LIMIT >> line.bits
    if bounds[0].min() < -limit or bounds[1].max() >= limit:
        return None
    weight, bias = weight << line.bits, bias << line.bits
    fours = 2 if isa == "thumb2" else 1
    shared = bool(np.all(line.multiplier == line.multiplier[0]))
    whole = _stream(weight, bias, line, shared, fours)
    parameters = {
        "unsigned_x": x_dtype == "uint8",
        "shared": shared,
        "fours": fours,
        "shift": line.shift,
        **saturation(attrs.y_dtype, attrs.y_min, attrs.y_max),
    }
    micro = MicroKernel("dense_fours", parameters, isa)
    tiles: Tiles = (
        PlainTiles(micro, outputs, whole.words(), whole.weight_bytes)
        if layer.realisation not in ENCODED
        else DecodedTiles(whole, layer.realisation, micro, micro if outputs % whole.size else None)
    )
    rows = math.prod(layer.inputs[0].shape) // depth
    with FunctionBuilder(layer.op.removeprefix("vq.")) as builder:
        x = builder.parameter("x", (rows, depth), x_dtype)
        open_tiles = tiles.declare(builder)
        y = builder.parameter("y", (rows, outputs), layer.output.dtype)

        def multiply(part: Part) -> None:
            with loop("row", rows) as row:
                to, source = at(y, row, part.channel), at(x, row, 0)
                call(part.routine.symbol, to, source, part.stream, depth, part.channels)

        open_tiles()(multiply)
    return Kernel(builder.function, tiles.constants, micro=tiles.routines, weights=tiles.stored(1))


def _stream(
    weight: NDArray[np.int8], bias: NDArray[np.int32], line: Line, shared: bool, fours: int
) -> Stream:
    """Of (O, K) weights and (O,) biases, in tiles of so many fours."""
    words = padded(weight.astype(np.int64), 4).astype(np.int8).reshape(-1, 4, weight.shape[1])
    b = padded(bias.astype(np.int64)[:, np.newaxis], 4).reshape(-1, 4)
    starts = b @ np.stack([_WORD, _TOP, _MIDDLE], axis=1)
    multiplier = line.multiplier.astype(np.int64)
    tiles = []
    for first in range(0, len(words), fours):
        part = slice(first, first + fours)
        own = multiplier[4 * first : 4 * (first + fours)]
        weights = words[part].transpose(2, 0, 1).reshape(-1, 4)
        tiles.append(Tile(starts[part], weights, own[:0] if shared else own))
    head = [line.addend, *multiplier[: int(shared)].tolist()]
    return Stream(head, tiles, len(weight), 4 * fours, lanes=8, added=128)
