"""Weights as they are stored: digits of their levels, and how a level becomes a value again.

    plain       the value is the digit, an int8
    nested      as fields of four or two bits that are multiplied as they lie in flash, several
                channels at once: a kernel packs them itself
    bitfield    value = first + step * digit, digits as fields
    radix       the same, as radix digits
    hybrid      the same, as both, in the fewest bits
    codebook    value = table[digit], digits in the fewest bits

`encode` makes the last four, for kernels that decode them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .hybrid import (
    Hybrid,
    HybridWords,
    all_fields,
    all_radix,
    best_hybrid,
    pack_hybrid,
    unpack_hybrid,
)
from .types import NaryType, detect

Realisation = Literal["plain", "nested", "bitfield", "radix", "hybrid", "codebook"]
ENCODED: tuple[Realisation, ...] = ("bitfield", "radix", "hybrid", "codebook")
NESTED_LEVELS = 16
"""Of `nested` weights at most, half of them below zero."""
_PLAIN_BITS = 8
_SPLITS = {
    "bitfield": all_fields,
    "radix": all_radix,
    "hybrid": best_hybrid,
    "codebook": best_hybrid,
}


@dataclass(frozen=True, eq=False)
class Encoding:
    """(`count`, 4) int8 weights; `table`, (L,) int8, is empty but for codebooks."""

    realisation: Realisation
    count: int
    split: Hybrid
    first: int
    step: int
    table: NDArray[np.int8]
    words: HybridWords

    @property
    def size_bytes(self) -> int:
        """Bytes of digits, without the table."""
        return self.words.size_bytes


def possible_realisations(weights: NDArray[np.int8]) -> list[Realisation]:
    """Those that take fewer than eight bits a weight, none two ways alike; `nested` if a kernel
    might have it."""
    values = detect(weights).tables[0]
    step = math.gcd(*(value - values[0] for value in values)) or 1
    levels = max(2, (values[-1] - values[0]) // step + 1)
    found: list[Realisation] = []
    if values[0] >= -NESTED_LEVELS // 2 and values[-1] < NESTED_LEVELS // 2:
        found.append("nested")
    if all_fields(levels).bits < _PLAIN_BITS:
        found.append("bitfield")
    hybrid = best_hybrid(levels)
    if hybrid.base > 1 and hybrid.bits < _PLAIN_BITS:
        found.append("hybrid" if hybrid.low_bits else "radix")
    if len(values) < levels and best_hybrid(max(2, len(values))).bits < _PLAIN_BITS:
        found.append("codebook")
    return found


def encode(weights: NDArray[np.int8], realisation: Realisation) -> Encoding:
    """(N, 4) weights as one of ENCODED."""
    values = detect(weights).tables[0]
    first, step = values[0], math.gcd(*(value - values[0] for value in values)) or 1
    if realisation == "codebook":
        kind = NaryType(max(2, len(values)), (values,))
        table = np.array(values, np.int8)
    else:
        levels = tuple(range(first, values[-1] + 1, step))
        kind = NaryType(max(2, len(levels)), (levels,))
        table = np.empty(0, np.int8)
    split = _SPLITS[realisation](kind.levels)
    words = pack_hybrid(kind.digits(weights), split)
    return Encoding(realisation, len(weights), split, first, step, table, words)


def decode(encoding: Encoding) -> NDArray[np.int8]:
    """The weights that `encode` was given."""
    digits = unpack_hybrid(encoding.words, encoding.split, encoding.count)
    if encoding.realisation == "codebook":
        return encoding.table[digits]
    return (encoding.first + encoding.step * digits.astype(np.int16)).astype(np.int8)
