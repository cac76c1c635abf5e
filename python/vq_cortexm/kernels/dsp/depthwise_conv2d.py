"""`vq.depthwise_conv2d`: a few channels at a time, from rows of halfwords in scratch.

    depthwise_fill      writes padding, once
    depthwise_gather    a group's rows to scratch, each channel by itself, inside the padding
    depthwise_3x3       all outputs of a strip, one channel after the other
    depthwise_any       the same for other kernels

Padding is the input's zero point, which the biases make up for. A strip's outputs lie where its
group's input was gathered: with one output per input channel they may take the input's place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...compat import Expr
from ...nary.encoding import Realisation
from ...op.depthwise_conv2d import DepthwiseConv2dAttrs, constants
from ..access_order import AccessOrder, by_rows
from ..conv2d import fold_zero_point
from ..depthwise_rows import OpenRows, Rows, rows_of
from ..layer import Kernel, Layer
from ..micro_kernel import MicroKernel
from ..tir import COPY, Buffer, FunctionBuilder, T, at, bind, call, loop, scratch, when
from ..weights import accumulator_bounds
from .depthwise_layout import FILLED, Image, Layout, choose_layout
from .finish import Finish, finish

_UNROLLS = (1, 2, 3, 4)
"""Blocks of outputs in a pass of the loop along a row; by itself:"""
_UNROLL = 2


def depthwise_conv2d(layer: Layer) -> Kernel | None:
    """Realisation of a `vq.depthwise_conv2d` layer; constants: those of its rows."""
    attrs: DepthwiseConv2dAttrs = layer.attrs
    weight, bias, w_scale = layer.constants
    layout = choose_layout(layer)
    info = np.iinfo(layer.inputs[0].dtype)
    if layout is None or not info.min <= attrs.x_zero_point <= info.max:
        return None
    by_channel = weight.transpose((2, 1, 0) if layout.image.transposed else (2, 0, 1))
    flat = by_channel.reshape(len(by_channel), -1)
    bias = fold_zero_point(bias, flat, attrs.x_zero_point)
    bounds = accumulator_bounds(flat, bias, layer.inputs[0].dtype)
    requantization = constants(w_scale, attrs)
    clamp = (attrs.y_min, attrs.y_max, attrs.y_dtype)
    ending = finish(requantization, attrs.y_zero_point, *clamp, bounds, scalable=True)
    if ending is None:
        return None
    # the routines of several outputs of a channel do not come in the order of decoding
    one_each = layer.output.shape[3] == layer.inputs[0].shape[3]
    rows = pack(by_channel, bias, ending, layout, layer.realisation if one_each else "plain")
    return _skeleton(layer, layout, ending, rows)


def pack(
    weight: NDArray[np.int8],
    bias: NDArray[np.int32],
    ending: Finish,
    layout: Layout,
    realisation: Realisation = "plain",
) -> Rows:
    """Rows of the bias, the finish's constants and the coefficients of (O, KH, KW) weights in the
    pairs that the templates draw, two pairs (a, b), (c, d) in a word: d b c a."""
    own = np.concatenate([bias[:, np.newaxis], ending.constants], axis=1)
    # the numbers of taps go the way that taps would; 0 stands for none
    numbers = np.arange(1, weight[0].size + 1).reshape(1, *weight.shape[1:])
    pairs_of = _pairs_3x3 if layout.is_3x3 else _pairs
    order = pairs_of(numbers, layout.image).reshape(-1, 2, 2).swapaxes(1, 2).reshape(-1) - 1
    return rows_of(own, weight.reshape(len(weight), -1), order, realisation, "dsp")


def _pairs_3x3(weight: NDArray[np.int64], image: Image) -> NDArray[np.int64]:
    """(O, pairs * 2)"""
    if image.strides[1] == 1:
        return weight[:, :, [0, 1, 1, 2]]
    halves = [weight[:, :, :2].reshape(-1, 6), weight[:, :, 2], np.zeros_like(weight[:, :, 0])]
    return np.concatenate(halves, axis=1)


def _pairs(weight: NDArray[np.int64], image: Image) -> NDArray[np.int64]:
    """(O, KH, pairs * 2), an even number of pairs."""
    odd = weight.shape[2] % 2
    lower = np.pad(weight, ((0, 0), (0, 0), (0, odd)))
    if not image.has_both_phases:
        return np.pad(lower, ((0, 0), (0, 0), (0, -lower.shape[2] % 4)))
    upper = np.pad(weight, ((0, 0), (0, 0), (1, 1 - odd)))
    lower = np.pad(lower, ((0, 0), (0, 0), (0, upper.shape[2] - lower.shape[2])))
    shape = (*weight.shape[:2], -1, 2)
    return np.concatenate([lower.reshape(shape), upper.reshape(shape)], axis=3)


@dataclass(frozen=True)
class _Parts:
    """What the parts of a skeleton share: tensors as flat bytes, scratch and routines. `layer_word`
    is the finish's constant of the layer."""

    x: Buffer
    taps: OpenRows
    y: Buffer
    rows: Buffer
    gather: MicroKernel
    fill: MicroKernel
    outputs: MicroKernel
    layer_word: int
    layout: Layout
    multiplier: int
    """Output channels of an input channel."""


def _skeleton(layer: Layer, layout: Layout, ending: Finish, taps: Rows) -> Kernel:
    """Groups of channels. The last one may have fewer: it is gathered together with channels of the
    one before, where outputs may lie already, and which it does not use."""
    batch, _, _, channels = layer.inputs[0].shape
    group, rest = layout.group, channels % layout.group
    gather, fill, outputs = _routines(layer, layout, ending)
    sizes = [math.prod(tensor.shape) for tensor in (layer.inputs[0], layer.output)]
    with FunctionBuilder("depthwise_conv2d") as builder:
        x = builder.parameter("x", sizes[:1], layer.inputs[0].dtype)
        open_taps = taps.declare(builder)
        y = builder.parameter("y", sizes[1:], layer.output.dtype)
        rows = scratch("rows", (layout.elements,), "int16")
        multiplier = layer.output.shape[3] // channels
        parts = _Parts(
            x, open_taps(), y, rows, gather, fill, outputs, ending.layer, layout, multiplier
        )
        if layout.image.is_padded:
            call(fill.symbol, at(rows, 0), layout.elements // FILLED)
        with loop("n", batch) as n:
            first_x, first_y = n * (sizes[0] // batch), n * (sizes[1] // batch)
            with loop("g", channels // group) as g:
                _group(parts, first_x, first_y, bind("c", g * group), 0)
            if rest:
                _group(parts, first_x, first_y, channels - group, group - rest)
    used = (gather, outputs, *((fill,) if layout.image.is_padded else ()), *taps.routines)
    inplace = {0: _order(layer, layout)} if batch == multiplier == 1 else {}
    return Kernel(builder.function, taps.constants, inplace, used, taps.stored(batch))


def _order(layer: Layer, layout: Layout) -> AccessOrder:
    """Channel by channel, strip by strip."""
    image, channels = layout.image, layer.inputs[0].shape[3]
    if layout.is_whole:
        read, step, written = image.size[0], image.size[0], image.out_size[0]
    else:
        read, step, written = layout.rows - image.before[0], layout.step, layout.strip
    return by_rows(image.size[1], written * image.out_size[1], read, step, pitch_bytes=channels)


def _routines(
    layer: Layer, layout: Layout, ending: Finish
) -> tuple[MicroKernel, MicroKernel, MicroKernel]:
    """Those that gather, fill and compute outputs. Distances between rows, columns and channels are
    bytes but `pitch`, halfwords."""
    image = layout.image
    gather = {
        "group": layout.group,
        "width": image.read[1],
        "x_row": image.x_bytes[0],
        "x_pixel": image.x_bytes[1],
        "pitch": layout.pitch,
        "odd": image.before[1] % 2 == 1,
        "unsigned_x": layer.inputs[0].dtype == "uint8",
    }
    outputs = {
        "columns": image.out_size[1],
        "row_stride": image.strides[0],
        "column_stride": image.strides[1],
        "x_row": 2 * layout.row,
        "x_channel": 2 * layout.pitch,
        "y_row": image.y_bytes[0],
        "y_column": image.y_bytes[1],
        **ending.parameters,
    }
    if layout.is_3x3:
        family = "depthwise_3x3"
        outputs |= {"odd": image.out_size[0] % 2 == 1, "unroll": _unroll(layer, image.out_size[1])}
    else:
        family = "depthwise_any"
        outputs |= {
            "kernel_rows": image.kernel[0],
            "kernel_columns": image.kernel[1],
            "both_phases": image.has_both_phases,
            "x_kernel_row": 2 * layout.row * image.dilation[0],
        }
    return (
        MicroKernel("depthwise_gather", gather),
        MicroKernel("depthwise_fill", {"value": layer.attrs.x_zero_point}),
        MicroKernel(family, outputs),
    )


def _unroll(layer: Layer, columns: int) -> int:
    """Of the values that give equal code the least stands for all."""

    def loops(unroll: int) -> tuple[int, ...]:
        passes = (columns // side // unroll for side in (2, 4))
        return tuple(n if n > 1 else 0 for n in passes)

    code = {loops(unroll): unroll for unroll in reversed(_UNROLLS)}
    return layer.knobs.number("unroll", code[loops(_UNROLL)], sorted(code.values()))


def _group(parts: _Parts, first_x: Expr, first_y: Expr, channel: Expr, skipped: int) -> None:
    """The outputs of a group from `channel` on, less those of its first `skipped` channels."""
    layout, image = parts.layout, parts.layout.image
    parts.taps.bring(channel + skipped)
    if layout.is_whole:
        to = image.before[0] * layout.row + image.before[1]
        call(
            parts.gather.symbol,
            at(parts.rows, to),
            at(parts.x, first_x + channel),
            image.read[0],
        )
        _outputs(parts, first_y, channel, skipped, image.out_size[0])
        return
    with loop("s", layout.strips) as s:
        _gather_strip(parts, s, first_x + channel)
        row = bind("row", s * layout.strip)
        count = T.min(layout.strip, image.out_size[0] - row)
        _outputs(parts, first_y + row * image.y_bytes[0], channel, skipped, count)


def _gather_strip(parts: _Parts, s: Expr, x_start: Expr) -> None:
    """Brings a strip's rows: those that the strip before had are moved to the front."""
    layout, image = parts.layout, parts.layout.image
    kept = bind("kept", T.Select(s == 0, 0, layout.kept))
    if layout.kept:
        with when(s > 0):
            source = at(parts.rows, layout.step * layout.row)
            call(COPY, at(parts.rows, 0), source, 2 * layout.kept * layout.row)
    begin = bind("begin", s * layout.step - image.before[0])
    first = bind("first", T.max(begin + kept, 0))
    last = bind("last", T.min(begin + layout.rows, image.size[0]))
    if image.is_padded:
        _pad(parts, kept, first - begin - kept)
        _pad(parts, last - begin, begin + layout.rows - last)
    to = (first - begin) * layout.row + image.before[1]
    source = at(parts.x, x_start + first * image.x_bytes[0])
    with when(last > first):
        call(parts.gather.symbol, at(parts.rows, to), source, last - first)


def _pad(parts: _Parts, row: Expr, rows: Expr) -> None:
    """Padding to `rows` rows of scratch, or none."""
    with when(rows > 0):
        eights = T.truncdiv(rows * parts.layout.row + (FILLED - 1), FILLED)
        call(parts.fill.symbol, at(parts.rows, row * parts.layout.row), eights)


def _outputs(parts: _Parts, first_y: Expr, channel: Expr, skipped: int, rows: Expr | int) -> None:
    """`rows` rows of outputs of a gathered group."""
    group, pitch = parts.layout.group, parts.layout.pitch

    def routine(row: Expr | int, output: Expr, count: int) -> None:
        call(
            parts.outputs.symbol,
            at(parts.y, first_y + output),
            at(parts.rows, row),
            parts.taps.row(output),
            count,
            rows,
            parts.layer_word,
        )

    if parts.multiplier == 1:
        routine(skipped * pitch, channel + skipped, group - skipped)
        return
    with loop("i", skipped, group) as i, loop("m", parts.multiplier) as m:
        output = bind("output", (channel + i) * parts.multiplier + m)
        routine(i * pitch, output, 1)
