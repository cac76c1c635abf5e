"""Lanes: three sums by two multiplications.

Two words hold the activations of three outputs, a, b and c, for one input (all modulo 2^32):

    x = a + 2^11 c        u = sum of w x = A + 2^11 C
    y = b + 2^21 c        v = sum of w y = B + 2^21 C

If A, B and C are in [-2^20, 2^20), then

    B = v's low 21 bits, signed;     (v - B) >> 21 = C modulo 2^11
    A = the low 22 bits, signed, of u - 2^11 (C modulo 2^11)
    C = (u - A) >> 11

Longer sums are cut into parts that keep to these limits, and added up afterwards. `lanes_conv`
reads one stream, a head

    addend
    full tiles            of channels
    blocks, singles       of steps: eight and one inputs of a line
    b, c                  bytes from the outputs of a to those of b and c

and then tile by tile (four channels in Thumb-2, or what is left; one in Thumb)

    starts                u of each channel, v of each channel; of sums in parts: their biases
    weights               of each part: bytes, [input][channel], with zeros up to a word
    multipliers           of each channel
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..line import Line
from ..tiles import Stream, Tile
from ..weights import accumulator_bounds

BLOCK = 8
"""Steps of a block."""
X_SHIFT, Y_SHIFT = 11, 21
"""Of c in x and in y."""
LIMIT = 1 << 20
"""Sums must be below this, and not below its negative."""
_MOST_LINES = 32
"""A routine has an argument for each."""


def starts(values: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """u and v where A, B and C are equal: to a bias; or x and y of equal activations."""
    wide = values.astype(np.int64)
    u, v = (wide + (wide << shift) for shift in (X_SHIFT, Y_SHIFT))
    return u.astype(np.int32), v.astype(np.int32)


@dataclass(frozen=True, eq=False)
class Lines:
    """Weights in the order of a routine: (channels, lines, steps), inputs of a line lying next to
    each other. `split`: sums are cut into parts, each line one of them."""

    weight: NDArray[np.int8]
    split: bool

    @property
    def parts(self) -> NDArray[np.int8]:
        """(channels, parts, inputs)."""
        channels, lines, _ = self.weight.shape
        return self.weight.reshape(channels, lines if self.split else 1, -1)


def in_lines(weight: NDArray[np.int8], bias: NDArray[np.int32], x_dtype: str) -> Lines | None:
    """(channels, segments, inputs) weights as lines that keep to the limits: a segment each or, if
    need be, an equal share of one. None if there would be too many."""
    channels, segments, inputs = weight.shape
    if segments > _MOST_LINES:
        return None
    whole = Lines(weight, split=False)
    if _fits(whole, bias, x_dtype):
        return whole
    no_bias = np.zeros_like(bias)
    for shares in (n for n in range(1, _MOST_LINES // segments + 1) if inputs % n == 0):
        shared = Lines(weight.reshape(channels, segments * shares, -1), split=True)
        if _fits(shared, no_bias, x_dtype):
            return shared
    return None


def _fits(lines: Lines, bias: NDArray[np.int32], x_dtype: str) -> bool:
    parts = lines.parts
    bounds = (accumulator_bounds(parts[:, i], bias, x_dtype) for i in range(parts.shape[1]))
    return all(least.min() >= -LIMIT and most.max() < LIMIT for least, most in bounds)


def stream(
    lines: Lines, bias: NDArray[np.int32], line: Line, lanes: tuple[int, int], size: int
) -> Stream:
    """What the routine reads in tiles of `size` channels; bias: (channels,), lanes: b and c of its
    head."""
    channels = lines.weight.shape[0]
    parts, tiles = lines.parts, []
    for first in range(0, channels, size):
        tile = slice(first, first + size)
        before = bias[tile] if lines.split else np.concatenate(starts(bias[tile]))
        weights = [parts[tile, part].T.reshape(-1) for part in range(parts.shape[1])]
        words = [np.pad(flat, (0, -flat.size % 4)).reshape(-1, 4) for flat in weights]
        tiles.append(Tile(before, np.concatenate(words), line.multiplier[tile]))
    return Stream(head(lines, line, lanes, channels // size), tiles, channels, size, lanes=8)


def head(lines: Lines, line: Line, lanes: tuple[int, int], full_tiles: int) -> list[int]:
    """Of a stream."""
    steps = lines.weight.shape[2]
    return [line.addend, full_tiles, steps // BLOCK, steps % BLOCK, *lanes]
