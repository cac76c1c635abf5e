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

from ...op.conv2d import Conv2dAttrs
from ...op.dense import DenseAttrs, constants
from ...op.rounding import RequantizeConstants
from ...target import Isa
from ..conv2d import fold_zero_point
from ..layer import Kernel, Layer
from ..line import Line, fit_line, saturation
from ..micro_kernel import MicroKernel
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
    line = fit_line(requantization, attrs.y_zero_point, attrs.y_min, attrs.y_max, *bounds)
    if line is None or outputs < 4 or bounds[0].min() < -_LIMIT or bounds[1].max() >= _LIMIT:
        return None
    fours = 2 if isa == "thumb2" else 1
    shared = bool(np.all(line.multiplier == line.multiplier[0]))
    stream = _pack(weight, bias, line, shared, fours)
    parameters = {
        "unsigned_x": x_dtype == "uint8",
        "shared": shared,
        "fours": fours,
        "shift": line.shift,
        **saturation(attrs.y_dtype, attrs.y_min, attrs.y_max),
    }
    micro = MicroKernel("dense_fours", parameters, isa)
    rows = math.prod(layer.inputs[0].shape) // depth
    with FunctionBuilder(layer.op.removeprefix("vq.")) as builder:
        x = builder.parameter("x", (rows, depth), x_dtype)
        w = builder.parameter("w", stream.shape, "int32")
        y = builder.parameter("y", (rows, outputs), layer.output.dtype)
        with loop("row", rows) as row:
            call(micro.symbol, at(y, row, 0), at(x, row, 0), at(w, 0), depth, outputs)
    return Kernel(builder.function, (stream,), micro=(micro,))


def _pack(
    weight: NDArray[np.int8], bias: NDArray[np.int32], line: Line, shared: bool, tile: int
) -> NDArray[np.int32]:
    """The stream of (O, K) weights and (O,) biases, in tiles of so many fours."""
    fours = padded(weight.astype(np.int64) + 128, 4).reshape(-1, 4, weight.shape[1])
    words = np.tensordot(fours, _WORD, (1, 0))
    b = padded(bias.astype(np.int64)[:, np.newaxis], 4).reshape(-1, 4)
    starts = b @ np.stack([_WORD, _TOP, _MIDDLE], axis=1)
    multiplier = line.multiplier.astype(np.int64)
    stream = [np.array([line.addend], np.int64), multiplier[: int(shared)]]
    for first in range(0, len(fours), tile):
        part = slice(first, first + tile)
        stream += [starts[part].reshape(-1), words[part].T.reshape(-1)]
        if not shared:
            stream.append(multiplier[4 * first : 4 * (first + tile)])
    return np.concatenate(stream).astype(np.uint32).view(np.int32)
