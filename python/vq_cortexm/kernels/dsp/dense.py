"""`vq.dense` of one row from byte pairs (`pairs`): four outputs at a time; else as a convolution.

Activations stay int8 and are unpacked for each four outputs: widening them would take RAM. One
routine serves all shapes, so what it needs to know of a layer comes first in its stream:

    for the layer         as `finish` has it
    shift                 of the line that requantizes, less 1; 0 where `finish` has none
    multiplier            of the line, if all channels share one
    tiles                 as `pairs.pack` has them, in whole fours of inputs
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ...nary.encoding import ENCODED
from ...op.dense import DenseAttrs, constants
from ..conv2d import fold_zero_point
from ..dense import as_pointwise
from ..layer import Kernel, Layer
from ..micro_kernel import MicroKernel
from ..tiles import DecodedTiles, Part, PlainTiles, Stream, Tiles
from ..tir import FunctionBuilder, at, call
from ..weights import accumulator_bounds, free_bits
from .conv2d import convolve
from .dense_nested import dense_nested
from .finish import Finish, finish
from .pairs import LANES, TILE, arrange, fits_pairs, in_fours, tiles
from .twos import fits_twos

_LARGE = 1 << 13
"""Weights from which code is unrolled further; schedules choose from"""
_UNROLLS = (4, 8, 16, 32)


def dense(layer: Layer) -> Kernel | None:
    """Realisation of a `vq.dense` layer; constants: the stream of its routine."""
    attrs: DenseAttrs = layer.attrs
    weight, bias, w_scale = layer.constants
    outputs, inputs = weight.shape
    if math.prod(layer.inputs[0].shape) != inputs:
        return dense_as_convolution(layer)
    bias = fold_zero_point(bias, weight, attrs.x_zero_point)
    bounds = accumulator_bounds(weight, bias, layer.inputs[0].dtype)
    if layer.realisation == "nested" and not fits_twos(weight, layer.inputs[0].dtype):
        nested = dense_nested(layer, bias, bounds)
        if nested:
            return nested
    clamp = (attrs.y_zero_point, attrs.y_min, attrs.y_max, attrs.y_dtype)
    requantization = constants(w_scale, attrs)
    for bits in range(free_bits(weight) + 1):
        end = finish(requantization, *clamp, bounds, raised=bits)
        if end:
            break
    raised = (bounds[0] << bits, bounds[1] << bits)
    if end is None or layer.realisation == "nested" or not fits_pairs(weight << bits, *raised):
        return dense_as_convolution(layer)
    if layer.knobs.choose("routine", "dense", ["conv_rows"]) == "conv_rows":
        return dense_as_convolution(layer)
    weight, bias = weight << bits, bias << bits
    stream, shared = _stream(weight, bias, end)
    unsigned = layer.inputs[0].dtype == "uint8"
    unroll = layer.knobs.number("unroll", 16 if weight.size >= _LARGE else 4, _UNROLLS)

    def routine(channels: int) -> MicroKernel:
        return MicroKernel(
            "dense",
            {
                "unroll": unroll,
                "full": channels >= TILE - 1,
                "tail": channels % TILE,
                "shared": shared,
                "unsigned_x": unsigned,
                **end.parameters,
                "shift": None,
            },
        )

    rest = outputs % TILE
    if layer.realisation not in ENCODED:
        tiles: Tiles = PlainTiles(routine(outputs), outputs, stream.words(), stream.weight_bytes)
    else:
        of_rest = routine(rest) if rest else None
        tiles = DecodedTiles(stream, layer.realisation, routine(TILE), of_rest)
    with FunctionBuilder("dense") as builder:
        x = builder.parameter("x", (inputs,), layer.inputs[0].dtype)
        open_tiles = tiles.declare(builder)
        y = builder.parameter("y", (outputs,), layer.output.dtype)

        def multiply(part: Part) -> None:
            to = at(y, part.channel)
            call(part.routine.symbol, to, at(x, 0), part.stream, inputs, part.channels)

        open_tiles()(multiply)
    return Kernel(builder.function, tiles.constants, micro=tiles.routines, weights=tiles.stored(1))


def dense_as_convolution(layer: Layer) -> Kernel | None:
    """The realisation as a pointwise convolution, of any number of rows."""
    return convolve(*as_pointwise(layer))


def _stream(weight: NDArray[np.int8], bias: NDArray[np.int32], end: Finish) -> tuple[Stream, bool]:
    """All that the routine reads, and whether its channels share their constant."""
    single = end.parameters["rounding"] == "single"
    shared = single and bool(np.all(end.constants == end.constants[0]))
    shift = end.parameters["shift"]
    head = [end.layer, shift - 1 if isinstance(shift, int) else 0]
    each = end.constants
    if shared:
        head, each = [*head, int(each[0, 0])], each[:, :0]
    whole = tiles(_in_whole_fours(weight), bias, each)
    return Stream(head, whole, len(weight), TILE, LANES), shared


def _in_whole_fours(weight: NDArray[np.int8]) -> NDArray[np.int8]:
    """(O, K) weights in the order of `in_fours`, with zeros up to a multiple of four inputs."""
    missing = -weight.shape[1] % 4
    whole = np.pad(weight, ((0, 0), (0, missing)))
    return arrange(whole, in_fours(whole.shape[1]))
