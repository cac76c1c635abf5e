"""Binary convolutions by carry-save trees: the matches of one output after the other.

    window     word 0, word 1, …          weights    of an output: as many words, made up to 8

Eight words are one step: full adders keep the ones, twos and fours of all 32 positions of a word,
and carries of eight ripple through further counters. At the end all counters' bits are added up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..op.bits import pack
from .binary_window import Geometry
from .micro_kernel import MicroKernel

STEP = 8
"""Words of a step."""
MOST_WORDS = STEP * 7
"""Of a window: the counters hold seven carries of eight."""


def steps(geometry: Geometry) -> int:
    """Of a window."""
    return -(-geometry.window_words // STEP)


def weights(geometry: Geometry) -> NDArray[np.int32]:
    """(O * steps * 8,)"""
    rows = pack(geometry.matches())[..., 0]
    return np.pad(rows, ((0, 0), (0, -rows.shape[1] % STEP))).reshape(-1)


def to_counts() -> MicroKernel:
    """(counts, window, weights, outputs, steps)"""
    return MicroKernel("binary_horizontal", {}, "thumb2")
