"""How few Cortex-M4 cycles a layer could take: a bound from its shape, part by part.

Each part counts, by the cycle model's own rules (`runtime/qemu/m4_timing.c`, zero wait states), the
cheapest loop that is known for it, as if that loop ran over the whole layer without a branch, an
address to compute or a remainder. In counts, a run of N single loads is N + 1 cycles, everything
else 1. Multiplications by padding are left out, since a kernel may skip them. So the sum is below
what a real kernel takes; it is no proof that nothing cheaper can be thought of.

The loops are those that SMLAD permits (two 16-bit products a cycle, 0.5 cycles/MAC, with nothing
loaded) and 14 registers hold: R pixels × C channels of accumulators beside the operands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ..compat import IRModule, op_name
from ..kernels.layer import Layer
from ..target import Core
from ..transform.lower_bc_net import lower_bc_net
from ..transform.lower_to_tir import kernel_calls, layer_of

MAC, WIDENING, REQUANTIZATION, ELEMENTS = "MAC", "widening", "requantization", "elements"


@dataclass(frozen=True)
class LayerLimit:
    """The least cycles of one layer, by what they are spent on: MAC (loads of operands and
    unpacking of weights included), widening, requantization; elements where there is no MAC."""

    parts: Mapping[str, Fraction]

    @property
    def cycles(self) -> int:
        """All parts."""
        return math.ceil(sum(self.parts.values()))

    @property
    def limited_by(self) -> str:
        """The part that takes most."""
        return max(self.parts, key=lambda part: self.parts[part])


def layer_limits(module: IRModule, core: Core) -> tuple[LayerLimit | None, ...]:
    """The limits of a folded module's layers (operators with a kernel), in their order.

    Operators that only move or look up (pad, transpose, requantize, softmax) have none; nor has
    any layer on a core whose cycles are not modelled.
    """
    limits = LIMITS if core.models_cycles else {}
    return tuple(
        limits[name](layer_of(call)) if (name := op_name(call)) in limits else None
        for call in kernel_calls(lower_bc_net(module)["main"])
    )


def conv2d(layer: Layer) -> LayerLimit:
    """2 pixels × 4 channels of byte pairs; over one pixel, see `dense`.

    MAC: a step of 2 inputs is 2 loads of int16 activations and 2 of weights in one run, 2 SXTB16
    (a word holds two channels' weights for two inputs; as it is it yields 256·A + B, and B after
    SXTB16), 8 SMLAD: 15 cycles for 16 MACs.
    """
    taps, touched = _window(layer)
    _, _, _, depth = layer.constants[0].shape
    outputs = math.prod(layer.output.shape)
    channels = layer.output.shape[-1]
    return _products(taps * depth * channels, touched, outputs, outputs // channels)


def dense(layer: Layer) -> LayerLimit:
    """1 row × 4 channels of byte pairs; over several rows, see `conv2d`.

    MAC: two steps of 2 inputs are 2 loads of int16 activations and 4 of weights in one run, 4
    SXTB16, 8 SMLAD: 19 cycles for 16 MACs.
    """
    inputs, outputs = math.prod(layer.inputs[0].shape), math.prod(layer.output.shape)
    channels, depth = layer.constants[0].shape
    return _products(outputs * depth, inputs, outputs, outputs // channels)


def depthwise_conv2d(layer: Layer) -> LayerLimit:
    """int16 rows of one channel, 4 neighbouring outputs of a 3×3 kernel at a time.

    MAC: for each kernel row 3 loads in one run, 4 SMLAD and 4 SMLAxy (two products and one, of
    pairs of coefficients that stay in registers): 36 cycles for 36 MACs. Widening: int8 channels
    side by side become int16 rows; for 16 elements 4 loads in one run, 8 SXTB16, 8 PKHxx, 8 STR.
    Requantization: SMMLA, SSAT, STRB; bias and multiplier stay in registers.
    """
    taps, touched = _window(layer)
    per_channel = layer.output.shape[-1]
    return LayerLimit(
        {
            MAC: Fraction(taps * per_channel),
            WIDENING: Fraction(29, 16) * touched,
            REQUANTIZATION: Fraction(3) * math.prod(layer.output.shape),
        }
    )


def add(layer: Layer) -> LayerLimit:
    """8 sums at a time: 4 loads in one run, 8 SXTB16; for each sum 2 SMLAWx (a multiplier of 32
    bits for each input), SSAT, STRB. 45 cycles."""
    return LayerLimit({ELEMENTS: Fraction(45, 8) * math.prod(layer.output.shape)})


def avg_pool2d(layer: Layer) -> LayerLimit:
    """16 elements at a time: 4 loads in one run, 8 SXTAB16 (which widen and add): 13 cycles, once
    for each element that a window holds. Requantization as of `depthwise_conv2d`."""
    _, touched = _window(layer)
    outputs = math.prod(layer.output.shape)
    return LayerLimit({ELEMENTS: _POOLED * touched, REQUANTIZATION: Fraction(3) * outputs})


def max_pool2d(layer: Layer) -> LayerLimit:
    """16 elements at a time: 4 loads in one run, 4 SSUB8, 4 SEL: 13 cycles, once for each element
    that a window holds."""
    _, touched = _window(layer)
    return LayerLimit({ELEMENTS: _POOLED * touched})


LIMITS: dict[str, Callable[[Layer], LayerLimit]] = {
    "vq.add": add,
    "vq.avg_pool2d": avg_pool2d,
    "vq.conv2d": conv2d,
    "vq.dense": dense,
    "vq.depthwise_conv2d": depthwise_conv2d,
    "vq.max_pool2d": max_pool2d,
}

_POOLED = Fraction(13, 16)


def _products(macs: int, inputs: int, outputs: int, rows: int) -> LayerLimit:
    """Of a layer whose `rows` rows (pixels) meet the same weights.

    Widening, once for each input: 16 elements are 4 loads in one run, 8 SXTB16, 8 STR. For the
    requantization of a tile of 2 × 4 (1 × 4) outputs: 4 loads of biases, from which the sums
    start, and 4 of multipliers, each in one run, a SUB for each even channel (P - B is 256·A), and
    SMMLA, SSAT, STRB for each output: 38 (24) cycles.
    """
    several = rows > 1
    return LayerLimit(
        {
            MAC: Fraction(15 if several else 19, 16) * macs,
            WIDENING: Fraction(21, 16) * inputs,
            REQUANTIZATION: (Fraction(38, 8) if several else Fraction(24, 4)) * outputs,
        }
    )


def _window(layer: Layer) -> tuple[int, int]:
    """How many positions all windows of a layer have inside its input, for one input and one
    output channel; and how many elements of the input lie in at least one."""
    batch, *extents, channels = layer.inputs[0].shape
    if layer.op == "vq.depthwise_conv2d":
        kernel = layer.constants[0].shape[:2]
    elif layer.op == "vq.conv2d":
        kernel = layer.constants[0].shape[1:3]
    else:
        kernel = layer.attrs.pool_size
    dilation = getattr(layer.attrs, "dilation", (1, 1))
    taps, touched = batch, batch * channels
    for axis in range(2):
        first = layer.attrs.strides[axis] * np.arange(layer.output.shape[1 + axis])
        positions = np.add.outer(first, dilation[axis] * np.arange(kernel[axis]))
        positions = positions - layer.attrs.padding[axis]
        inside = positions[(positions >= 0) & (positions < extents[axis])]
        taps *= inside.size
        touched *= np.unique(inside).size
    return taps, touched
