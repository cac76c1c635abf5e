"""How the weights of `conv_rows` are stored, and the routine for them.

`nested` weights have at most four bits and are multiplied as they lie in flash (`fours`, `twos`),
which needs the sums of the windows' activations. All others become byte pairs (`pairs`), or
`singles` where pairs could overflow: plain, or decoded in scratch.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from ...nary.encoding import ENCODED
from ...op.rounding import Int64Array
from ..layer import Layer
from ..micro_kernel import MicroKernel, Parameter
from ..tiles import DecodedTiles, PlainTiles, Stream, Tiles
from . import fours, pairs, singles, twos
from .finish import Finish
from .fours import LARGEST_LAYER
from .windows import Window

UNROLL, UNROLL_COMPACT = 36, 8
"""Steps of two inputs in straight code: 2 KB with a full tile; of compact layers."""
_UNROLLS = (4, 8, 12, 18, 24, 36, 54, 72)
"""Those that a schedule can ask for."""


@dataclass(frozen=True, eq=False)
class _Routine:
    """What all routines of a layer share."""

    window: Window
    ending: Finish
    unroll: int

    def micro(self, channels: int, pitch: int, parameters: dict[str, Parameter]) -> MicroKernel:
        """For `channels` of the output's `pitch` channels."""
        window = self.window
        return MicroKernel(
            "conv_rows",
            {
                "rows": window.rows,
                "steps": window.steps,
                "pixel": window.pixel,
                "channels": channels,
                "pitch": pitch if pitch > channels else None,
                "unroll": self.unroll,
                **parameters,
                **self.ending.parameters,
            },
        )

    def nested(
        self, words: NDArray[np.int32], channels: int, parameters: dict[str, Parameter]
    ) -> PlainTiles:
        """`words` of whole tiles of four channels."""
        stream = np.concatenate([np.array([self.ending.layer], np.int32), words])
        weights = -(-channels // pairs.TILE) * pairs.TILE * len(self.window.gaps)
        weight_bytes = weights // (2 if parameters["weights"] == "fours" else 4)
        micro = self.micro(channels, channels, parameters)
        return PlainTiles(micro, channels, stream, weight_bytes, "nested")


def pack_weights(
    layer: Layer,
    way: ModuleType,
    window: Window,
    bias: NDArray[np.int32],
    bounds: tuple[Int64Array, Int64Array],
    ending: Finish,
) -> tuple[Window, Tiles]:
    """The weights of a convolution laid out in a `way` of `kernels.dsp`, and the window for them;
    `bias` has the input's zero point in it, sums lie in `bounds`, two (O,)."""
    weight, x_dtype = layer.constants[0], layer.inputs[0].dtype
    arranged = window.arrange(weight)
    if layer.realisation == "nested" and x_dtype != "int16" and way.has_sums(layer):
        if twos.fits_twos(arranged, x_dtype):
            return _twos(layer, way.window(layer, 4), bias, ending)
        if fours.fits_fours(arranged, *bounds) and abs(ending.layer) < LARGEST_LAYER:
            words = fours.pack_fours(arranged, bias, ending.constants, window.gaps)
            routine = _Routine(window, ending, _unroll(layer, window))
            return window, routine.nested(words, len(weight), {"weights": "fours"})
    forms = ["pairs", "singles"] if pairs.fits_pairs(arranged, *bounds) else ["singles"]
    name = layer.knobs.choose("weights", forms[0], forms[1:])
    form = pairs if name == "pairs" else singles
    if form is singles:
        window = way.window(layer, 4)
        arranged = window.arrange(weight)
    tiles = form.tiles(arranged, bias, ending.constants)
    stream = Stream([ending.layer], tiles, len(weight), pairs.TILE, form.LANES)
    routine, channels = _Routine(window, ending, _unroll(layer, window)), len(weight)
    parameters: dict[str, Parameter] = {"weights": name}
    if layer.realisation not in ENCODED:
        micro = routine.micro(channels, channels, parameters)
        return window, PlainTiles(micro, channels, stream.words(), stream.weight_bytes)
    rest = channels % pairs.TILE
    of_rest = routine.micro(rest, channels, parameters) if rest else None
    full = routine.micro(pairs.TILE, channels, parameters)
    return window, DecodedTiles(stream, layer.realisation, full, of_rest)


def _unroll(layer: Layer, window: Window) -> int:
    """Of the values that give equal code the least stands for all."""
    code = {_passes(window, unroll): unroll for unroll in reversed(_UNROLLS)}
    own = code[_passes(window, UNROLL_COMPACT if layer.compact else UNROLL)]
    return layer.knobs.number("unroll", own, sorted(code.values()))


def _passes(window: Window, unroll: int) -> int:
    """Of the loop along a segment; 0 where all segments are straight code."""
    return 0 if window.rows * window.steps <= unroll else -(-window.steps // unroll)


def _twos(
    layer: Layer, window: Window, bias: NDArray[np.int32], ending: Finish
) -> tuple[Window, PlainTiles]:
    arranged = window.arrange(layer.constants[0])
    start = twos.start(layer.inputs[0].dtype)
    unroll = _unroll(layer, window)
    chunk = twos.chunk_inputs(arranged, window.rows, 2 * unroll) // 2
    starts = 1
    if chunk < window.rows * window.steps:
        # once more than sums are flushed
        starts += window.rows * -(-window.steps // chunk)
    excess = start * starts
    words = twos.pack_twos(arranged, bias, ending.constants, window.gaps, excess)
    parameters: dict[str, Parameter] = {
        "weights": "twos",
        "chunk": chunk,
        "start": start,
        "excess": excess,
    }
    routine = _Routine(window, ending, unroll)
    return window, routine.nested(words, len(arranged), parameters)
