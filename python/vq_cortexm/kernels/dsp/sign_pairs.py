"""Signs of windows on few inputs: four pixels by two channels at a time.

What four pixels see is widened to the stack: two rows as words of an element each, one above the
other, and a lone last row as words of two neighbours. A step takes one word of each pixel. Where a
pixel saw before what its neighbour on the left sees now, that is in registers already: steps are in
the order that makes this frequent.

The stream has, for channels B and A after it, where the sums P = 256 A + B and B start, and a word
for each step, whose halves are 256 wA + wB (see `pairs`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...op.bits import WORD
from ...op.rounding import Int64Array
from ..layer import Layer
from ..micro_kernel import MicroKernel, Parameter
from ..tiles import as_words
from ..weights import padded

PIXELS = 4
"""At a time."""
LEAST_WANTED = 0.75
"""As in `sign_plane`."""
_MOST_STEPS = 36
"""In straight code: 2 KB."""
_MOST_BYTES = 1024
"""Of what four pixels see."""
_LARGEST_OFFSET = 4095
"""Bytes that a store reaches from its base, where the first pixel's signs are."""
_LARGEST_SUM = 1 << 21
"""256 times twice as much fits int32."""


@dataclass(frozen=True)
class _Windows:
    """Of `rows` rows of `elements` bytes each, `pitch` from one pixel to the next."""

    rows: int
    elements: int
    pitch: int

    @property
    def reach(self) -> int:
        """Elements of a row that four pixels see, and one more where a last word has half a one."""
        return 3 * self.pitch + self.elements + self.elements % 2

    @property
    def steps(self) -> list[tuple[int, int]]:
        """(row, element): of two rows that element, of the lone last row that and the next."""
        together = self._chains(1)
        steps = [(row, one) for row in range(0, self.rows - 1, 2) for one in together]
        return steps + [(self.rows - 1, one) for one in self._chains(2) if self.rows % 2]

    def _chains(self, stride: int) -> list[int]:
        """Every `stride`-th element, each before that which is a pitch behind it."""
        every = range(0, self.elements, stride)
        return sorted(every, key=lambda one: (one % self.pitch, one))


def routine(layer: Layer) -> MicroKernel | None:
    """(y, stream, rows, fours of pixels); None for windows of too many inputs, or weights that do
    not go in pairs."""
    weight, windows = layer.constants[0], _windows(layer)
    unsigned_x = layer.inputs[0].dtype == "uint8"
    largest = 255 if unsigned_x else 128
    halves = _halves(weight)
    in_lanes = halves.min() >= -(1 << 15) and halves.max() < 1 << 15
    in_words = largest * np.abs(weight.astype(np.int64)).sum(axis=(1, 2, 3)).max() < _LARGEST_SUM
    is_small = len(windows.steps) <= _MOST_STEPS
    is_small &= 2 * (windows.rows + 1) * windows.reach <= _MOST_BYTES
    is_small &= 4 * (PIXELS - 1) * layer.output.shape[3] <= _LARGEST_OFFSET
    if not (is_small and in_lanes and in_words):
        return None
    parameters: dict[str, Parameter] = {
        "words": layer.output.shape[3],
        "rows": windows.rows,
        "pitch": windows.pitch,
        "reach": windows.reach,
        "steps": " ".join(f"{row}:{element}" for row, element in windows.steps),
        "unsigned_x": unsigned_x,
    }
    return MicroKernel("sign_conv", parameters)


def stream(layer: Layer, missing: Int64Array) -> NDArray[np.int32]:
    """((2 + steps) * O / 2,) for (O,) of what sums have to reach, O made up to words; channels
    without weights have to reach 1."""
    windows, halves = _windows(layer), _halves(layer.constants[0])
    needed = np.pad(missing, (0, -len(missing) % WORD), constant_values=1)
    second, first = needed[0::2], needed[1::2]
    words = [-256 * first - second, -second]
    beside = np.pad(halves, ((0, 0), (0, 1), (0, 1)))
    for row, element in windows.steps:
        lone = row == windows.rows - 1
        other = beside[:, row, element + 1] if lone else beside[:, row + 1, element]
        words.append((halves[:, row, element] & 0xFFFF) | (other << 16))
    return as_words(np.stack(words, axis=1).reshape(-1))


def _windows(layer: Layer) -> _Windows:
    _, height, width, depth = layer.constants[0].shape
    return _Windows(height, width * depth, layer.attrs.strides[1] * depth)


def _halves(weight: NDArray[np.int8]) -> Int64Array:
    """(pairs, rows, elements)"""
    rows = padded(weight.astype(np.int64).reshape(*weight.shape[:2], -1), WORD)
    return np.asarray(256 * rows[1::2] + rows[0::2], np.int64)
