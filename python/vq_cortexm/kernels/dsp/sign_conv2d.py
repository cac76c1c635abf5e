"""`vq.sign_conv2d`: signs of several neighbouring pixels at once.

Rows under the window lie in a ring of bytes, padding written out. A routine widens what its pixels
see once for all channels, starts sums at what a threshold asks for, and shifts their signs into
words. `sign_plane` is for one input channel, `sign_pairs` for any few inputs.

Where the pixels of a row are no multiple of a routine's, the last ones are computed beside some
that are done already.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...compat import Expr
from ...op.bits import WORD
from ...op.rounding import Int64Array
from ...op.sign_conv2d import SignConv2dAttrs
from ..access_order import by_rows
from ..layer import Kernel, Layer, StoredWeights
from ..micro_kernel import MicroKernel
from ..row_ring import RowRing
from ..tir import FunctionBuilder, at, bind, call, copy, loop, scratch
from ..weights import accumulator_bounds
from . import sign_pairs, sign_plane

_BEYOND = 8
"""Bytes that a routine may read behind a row's padding, rounded up to words."""


def sign_conv2d(layer: Layer) -> Kernel | None:
    """Realisation of a `vq.sign_conv2d` layer; constant: the stream of its routine."""
    columns, size = layer.output.shape[2:]
    outputs = columns * len(layer.constants[1])
    for way in (sign_plane, sign_pairs):
        computed = -(-columns // way.PIXELS) * way.PIXELS * WORD * size
        pays = columns >= way.PIXELS and outputs >= way.LEAST_WANTED * computed
        routine = way.routine(layer) if pays else None
        if routine is not None:
            stream = way.stream(layer, _missing(layer))
            return _by_rows(layer, routine, stream, way.PIXELS)
    return None


def _missing(layer: Layer) -> Int64Array:
    """(O,): what the sum of w x, padding being the zero point, has to reach; just out of reach at
    most."""
    weight, threshold = layer.constants
    rows = weight.reshape(len(weight), -1)
    lowest, highest = accumulator_bounds(rows, np.zeros(len(rows), np.int32), layer.inputs[0].dtype)
    zero = int(layer.attrs.x_zero_point) * rows.astype(np.int64).sum(axis=1)
    return np.asarray(np.clip(threshold + zero, lowest, highest + 1), np.int64)


def _by_rows(layer: Layer, routine: MicroKernel, stream: NDArray[np.int32], pixels: int) -> Kernel:
    attrs: SignConv2dAttrs = layer.attrs
    batch, height, width, depth = layer.inputs[0].shape
    _, rows, columns, size = layer.output.shape
    span, step = layer.constants[0].shape[1], attrs.strides[1] * depth
    top, left, bottom, right = attrs.padding
    # rows start at words
    after = right * depth + -(left + width + right) * depth % 4
    with FunctionBuilder("sign_conv2d") as builder:
        x = builder.parameter("x", layer.inputs[0].shape, layer.inputs[0].dtype)
        w = builder.parameter("w", stream.shape, "int32")
        y = builder.parameter("y", layer.output.shape, "int32")
        elements = span * ((left + width) * depth + after) + _BEYOND
        lines = scratch("rows", (elements,), layer.inputs[0].dtype)
        edges = (left * depth, width * depth, after)
        ring = RowRing(lines, span, height, top, bottom, *edges, span, attrs.x_zero_point)
        ring.clear()
        with loop("n", batch) as n, loop("oh", rows) as oh:
            first = bind("first", oh * attrs.strides[0])

            def bring(r: Expr, start: Expr) -> None:
                copy(lines, [start], x, (n, r, 0, 0), width * depth)

            ring.refill(oh, first, attrs.strides[0], bring)

            def convolve(column: int, groups: int) -> None:
                starts = (ring.slot(first + kh) + column * step for kh in range(span))
                windows = [at(lines, start) for start in starts]
                call(routine.symbol, at(y, n, oh, column, 0), at(w, 0), *windows, groups)

            convolve(0, columns // pixels)
            if columns % pixels:
                convolve(columns - pixels, 1)
    order = by_rows(width * depth, 4 * columns * size, span - top, attrs.strides[0])
    inplace = {0: order} if batch == 1 else {}
    stored = StoredWeights(size_bytes=stream.nbytes)
    return Kernel(builder.function, (stream,), inplace, (routine,), stored)
