"""How the weights of `conv_rows` are stored: two, four or eight bits each, as few as they fit.

`twos` and `fours` need the sums of the windows' activations; `singles` is for weights of eight bits
whose byte pairs could overflow.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from ...op.rounding import Int64Array
from ..layer import Layer
from ..micro_kernel import Parameter
from . import fours, twos
from .finish import Finish
from .pairs import fits_pairs, pack
from .singles import pack_singles
from .windows import Window

UNROLL = 36
"""Steps of two inputs in straight code: 2 KB with a full tile."""
_LARGEST_LAYER = 1 << 18
"""Of a layer's constant, which `fours` multiplies by 4096."""


@dataclass(frozen=True, eq=False)
class PackedWeights:
    """The stream of (O, K) weights in the order of `window`, and what the template must know."""

    window: Window
    stream: NDArray[np.int32]
    parameters: dict[str, Parameter]


def pack_weights(
    layer: Layer,
    way: ModuleType,
    window: Window,
    bias: NDArray[np.int32],
    bounds: tuple[Int64Array, Int64Array],
    ending: Finish,
) -> PackedWeights:
    """The weights of a convolution laid out in a `way` of `kernels.dsp`; `bias` has the input's
    zero point in it, sums lie in `bounds`, two (O,)."""
    weight, x_dtype = layer.constants[0], layer.inputs[0].dtype
    arranged = window.arrange(weight)
    if way.has_sums(layer):
        if twos.fits_twos(arranged, x_dtype):
            return _twos(layer, way.window(layer, 4), bias, ending)
        if fours.fits_fours(arranged, *bounds) and abs(ending.layer) < _LARGEST_LAYER:
            stream = fours.pack_fours(arranged, bias, ending.constants, window.gaps)
            return PackedWeights(window, stream, {"weights": "fours"})
    if fits_pairs(arranged, *bounds):
        stream = pack(arranged, bias, ending.constants)
        return PackedWeights(window, stream, {"weights": "pairs"})
    window = way.window(layer, 4)
    stream = pack_singles(window.arrange(weight), bias, ending.constants)
    return PackedWeights(window, stream, {"weights": "singles"})


def _twos(layer: Layer, window: Window, bias: NDArray[np.int32], ending: Finish) -> PackedWeights:
    arranged = window.arrange(layer.constants[0])
    start = twos.start(layer.inputs[0].dtype)
    chunk = twos.chunk_inputs(arranged, window.rows) // 2
    starts = 1
    if chunk < window.rows * window.steps:
        # once more than sums are flushed
        starts += window.rows * -(-window.steps // min(UNROLL, chunk))
    excess = start * starts
    stream = twos.pack_twos(arranged, bias, ending.constants, window.gaps, excess)
    parameters: dict[str, Parameter] = {
        "weights": "twos",
        "chunk": chunk,
        "start": start,
        "excess": excess,
    }
    return PackedWeights(window, stream, parameters)
