"""`vq.depthwise_conv2d` from lanes: three output rows by two columns at a time.

A channel's plane is packed whole before its first output, so the output may take the input's place.
Output row oh goes with oh + third and oh + rows - third:

    words of row q:     padded rows q, q + third * stride, q + (rows - third) * stride

Padding is written once, around what `lanes_plane` packs. Constants are rows of words, one for each
output channel: u and v where the sums start, the multiplier, and the weights' bytes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...nary.encoding import Realisation
from ...op import depthwise_conv2d as op
from ...op.depthwise_conv2d import DepthwiseConv2dAttrs
from ...target import Isa
from ..access_order import by_rows
from ..conv2d import fold_zero_point
from ..depthwise_rows import Rows, rows_of
from ..layer import Kernel, Layer
from ..line import Line, fit_raised, saturation
from ..micro_kernel import MicroKernel
from ..tir import FunctionBuilder, at, call, int32, loop, scratch, store
from ..weights import accumulator_bounds
from .lanes import LIMIT, starts

_LEAST_SCRATCH_BYTES = 1024
"""Scratch may take as much as this, or as half of the layer's input."""
_LARGEST_STRIDE = 3
"""A weight stays in its register from the left column to the right one."""
_LARGEST_OFFSET = 4095
"""What an instruction adds to an address."""
_HEAD_BYTES = 12
"""Of a row of constants, before its weights."""
_TAP_BYTES, _KERNEL_ROW_BYTES, _LONGEST_KERNEL = 14, 2, 1720
"""Bytes of straight code in Thumb, and how many of them a branch reaches over, besides others."""


@dataclass(frozen=True)
class _Plane:
    """How a layer's planes are packed and convolved. `lanes`: output rows from a's to b's and c's;
    `pitch`: words x of a packed row."""

    layer: Layer
    isa: Isa
    third: int
    lanes: tuple[int, int]
    rows: int
    pitch: int

    @property
    def attrs(self) -> DepthwiseConv2dAttrs:
        """The layer's."""
        attrs: DepthwiseConv2dAttrs = self.layer.attrs
        return attrs

    def fits(self) -> bool:
        """Whether the routines can address everything, in scratch that is worth it."""
        attrs, x = self.attrs, self.layer.inputs[0].shape
        scratch_bytes = max(_LEAST_SCRATCH_BYTES, math.prod(x) // 2)
        return (
            self.layer.output.shape[1] > 1
            and attrs.dilation == (1, 1)
            and attrs.strides[1] <= _LARGEST_STRIDE
            and 8 * attrs.strides[0] * self.pitch <= _LARGEST_OFFSET
            and self.layer.output.shape[3] <= _LARGEST_OFFSET
            and 8 * self.rows * self.pitch <= scratch_bytes
            and self._kernel_fits()
        )

    def _kernel_fits(self) -> bool:
        """Whether the routine reaches all weights, and its loops all of their code."""
        height, width = (int(side) for side in self.layer.constants[0].shape[:2])
        if self.isa == "thumb":
            return height * (width * _TAP_BYTES + _KERNEL_ROW_BYTES) <= _LONGEST_KERNEL
        return _HEAD_BYTES + height * width <= _LARGEST_OFFSET

    def packing(self) -> MicroKernel:
        """The routine that makes the lanes of one channel."""
        top, left, _, right = self.attrs.padding
        _, height, width, _ = self.layer.inputs[0].shape
        parameters = {
            "rows": self.rows,
            "width": width,
            "before": left,
            "after": right,
            "top": top,
            "height": height,
            "b": self.lanes[0] * self.attrs.strides[0],
            "c": self.lanes[1] * self.attrs.strides[0],
            "zero": self.attrs.x_zero_point,
            "unsigned_x": self.layer.inputs[0].dtype == "uint8",
        }
        return MicroKernel("lanes_plane", parameters, self.isa)

    def convolution(self, line: Line) -> MicroKernel:
        """The routine for one output channel."""
        attrs = self.attrs
        _, _, columns, channels = self.layer.output.shape
        parameters = {
            "rows": self.third,
            "columns": columns,
            "height": self.layer.constants[0].shape[0],
            "width": self.layer.constants[0].shape[1],
            "down": attrs.strides[0],
            "right": attrs.strides[1],
            "pitch": self.pitch,
            "channels": channels,
            "b": self.lanes[0] * columns * channels,
            "c": self.lanes[1] * columns * channels,
            "shift": line.shift,
            **saturation(attrs.y_dtype, attrs.y_min, attrs.y_max),
        }
        return MicroKernel("lanes_depthwise", parameters, self.isa)


def depthwise_conv2d(layer: Layer, isa: Isa) -> Kernel | None:
    """Realisation of a `vq.depthwise_conv2d` layer without dilation."""
    attrs: DepthwiseConv2dAttrs = layer.attrs
    weight, bias, w_scale = layer.constants
    plane = _plane(layer, isa)
    taps = np.ascontiguousarray(weight.reshape(-1, weight.shape[2]).T)
    bias = fold_zero_point(bias, taps, attrs.x_zero_point)
    bounds = accumulator_bounds(taps, bias, layer.inputs[0].dtype)
    clamp = (attrs.y_zero_point, attrs.y_min, attrs.y_max)
    line = fit_raised(taps, op.constants(w_scale, attrs), clamp, bounds)
    if line is None or not plane.fits():
        return None
    limit = LIMIT >> line.bits
    if bounds[0].min() < -limit or bounds[1].max() >= limit:
        return None
    taps, bias = taps << line.bits, bias << line.bits
    one_each = layer.output.shape[3] == layer.inputs[0].shape[3]
    realisation = layer.realisation if one_each else "plain"
    return _skeleton(plane, line, _pack(taps, bias, line, realisation, isa))


def _plane(layer: Layer, isa: Isa) -> _Plane:
    attrs: DepthwiseConv2dAttrs = layer.attrs
    rows = layer.output.shape[1]
    third = -(-rows // 3)
    packed = (third - 1) * attrs.strides[0] + layer.constants[0].shape[0]
    pitch = attrs.padding[1] + layer.inputs[0].shape[2] + attrs.padding[3]
    return _Plane(layer, isa, third, (min(third, rows - third), rows - third), packed, pitch)


def _pack(
    taps: NDArray[np.int8],
    bias: NDArray[np.int32],
    line: Line,
    realisation: Realisation,
    isa: Isa,
) -> Rows:
    """Rows from (channels, taps) and (channels,)."""
    head = np.stack([*starts(bias), line.multiplier], axis=1)
    count = taps.shape[1]
    order = np.pad(np.arange(count), (0, -count % 4), constant_values=-1)
    return rows_of(head, taps, order, realisation, isa)


def _skeleton(plane: _Plane, line: Line, taps: Rows) -> Kernel:
    """Channel by channel."""
    layer, attrs = plane.layer, plane.attrs
    x_shape, y_shape = layer.inputs[0].shape, layer.output.shape
    batch, height, width, channels = x_shape
    multiplier = y_shape[3] // channels
    packing, convolution = plane.packing(), plane.convolution(line)
    with FunctionBuilder("depthwise_conv2d") as builder:
        x = builder.parameter("x", x_shape, layer.inputs[0].dtype)
        open_taps = taps.declare(builder)
        y = builder.parameter("y", y_shape, layer.output.dtype)
        rows = open_taps()
        words = scratch("lanes", (2 * plane.rows * plane.pitch,), "int32")
        with loop("i", plane.rows * plane.pitch) as i:
            for k, word in enumerate(starts(np.array([attrs.x_zero_point], np.int32))):
                store(words, [2 * i + k], int32(int(word[0])))
        with loop("n", batch) as n, loop("c", channels) as c:
            call(packing.symbol, at(words, 0), at(x, n, 0, 0, c), channels)
            rows.bring(c)
            with loop("m", multiplier) as m:
                channel = c * multiplier + m
                target = at(y, n, 0, 0, channel)
                call(convolution.symbol, target, at(words, 0), rows.row(channel), line.addend)
    order = by_rows(width, y_shape[2], height, attrs.strides[0], pitch_bytes=channels)
    inplace = {0: order} if batch == 1 and multiplier == 1 else {}
    micro = (packing, convolution, *taps.routines)
    return Kernel(builder.function, taps.constants, inplace, micro, taps.stored(batch))
