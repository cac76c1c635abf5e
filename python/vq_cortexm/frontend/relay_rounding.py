"""Relay's rounding TONEAREST by a kernel that rounds UPWARD.

Both differ at exact halves below zero alone. Where the scale of a layer leaves none within its
sums' reach they are the same; else a scale one unit in the last place larger carries each half to
where TONEAREST puts it, if it moves no other sum. This module proves either, or refuses.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from ..op.rounding import Int64Array, requantize_constants
from .relay_values import ROUNDING, Scale

_LEVELS = np.arange(-384, 385, dtype=np.int64)
"""All results, before the output's zero point, that its 8 bits do not saturate."""


def away_from_zero(
    scale: NDArray[np.float32], y: Scale, reach: Int64Array, layer: str
) -> NDArray[np.float32]:
    """(O,) scales with which UPWARD of all sums in [-reach, reach] is TONEAREST with `scale`.

    ModelError, naming `layer`, where there are none.
    """
    larger = np.nextafter(scale, np.float32(np.inf), dtype=np.float32)
    chosen = scale.copy()
    for channel in range(scale.size):
        wanted = _first_sums(float(scale[channel]), y.scale, True)
        for candidate in (scale[channel], larger[channel]):
            got = _first_sums(float(candidate), y.scale, False)
            beyond = np.minimum(np.abs(wanted), np.abs(got)) > int(reach[channel])
            if np.all((got == wanted) | beyond):
                chosen[channel] = candidate
                break
        else:
            raise ModelError(f"{layer}: rounding TONEAREST has exact halves; UPWARD works")
    return chosen


def _first_sums(scale: float, y_scale: float, away: bool) -> Int64Array:
    """The least sum whose result is at least each level: UPWARD, or with `away` TONEAREST."""
    known = requantize_constants(1.0, np.float32(scale), y_scale, ROUNDING)
    multiplier, shift = int(known.multiplier), int(known.shift)
    # the product reaches level - 1/2; a half below zero stays below with TONEAREST
    firsts = []
    for level in map(int, _LEVELS):
        product = (level << shift) - (1 << (shift - 1))
        product += 1 if away and product < 0 else 0
        firsts.append(-(-product // multiplier) if multiplier else 1 << 62)
    return np.array([min(max(first, -(1 << 62)), 1 << 62) for first in firsts], dtype=np.int64)
