"""The low m bits of digits as fields, what is above them as radix digits.

A digit d of L levels is (d mod 2^m) beside (d >> m), the latter a radix digit of base
ceil(L / 2^m). With the best m of each L the bits of a digit are at most 1.0372 * log2 L for every
L up to 256 (and log2 L for powers of two: all field, no radix).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from .fields import pack_fields, unpack_fields
from .radix import digits_per_word, pack_radix, unpack_radix

_RADIX_BITS = 64


@dataclass(frozen=True)
class Hybrid:
    """How digits of L levels are split: `low_bits` m, and the base of the rest (1: nothing)."""

    levels: int
    low_bits: int

    @property
    def base(self) -> int:
        """Levels of the upper part."""
        return -(-self.levels // (1 << self.low_bits))

    @property
    def bits(self) -> float:
        """Stored bits of a digit, long tensors."""
        upper = _RADIX_BITS / digits_per_word(self.base) if self.base > 1 else 0.0
        return self.low_bits + upper


@cache
def best_hybrid(levels: int) -> Hybrid:
    """The split of fewest bits; of equal ones that with more field, which is read faster."""
    candidates = [Hybrid(levels, low) for low in range(8, -1, -1) if 1 << low < 2 * levels]
    return min(candidates, key=lambda split: split.bits)


@dataclass(frozen=True, eq=False)
class HybridWords:
    """Digits as stored: words of fields and words of fractions."""

    fields: NDArray[np.uint32]
    fractions: NDArray[np.uint64]

    @property
    def size_bytes(self) -> int:
        """Bytes of both."""
        return self.fields.nbytes + self.fractions.nbytes


def pack_hybrid(digits: NDArray[np.uint8], split: Hybrid) -> HybridWords:
    """Digits below split.levels."""
    flat = digits.reshape(-1)
    if flat.size and int(flat.max()) >= split.levels:
        raise ValueError(f"a digit does not fit {split.levels} levels")
    low = flat & np.uint8((1 << split.low_bits) - 1)
    upper = (flat.astype(np.uint16) >> split.low_bits).astype(np.uint8)
    fields = pack_fields(low, split.low_bits) if split.low_bits else np.empty(0, np.uint32)
    fractions = pack_radix(upper, split.base) if split.base > 1 else np.empty(0, np.uint64)
    return HybridWords(fields, fractions)


def unpack_hybrid(words: HybridWords, split: Hybrid, count: int) -> NDArray[np.uint8]:
    """The first `count` digits that `pack_hybrid` stored."""
    digits = np.zeros(count, np.uint16)
    if split.low_bits:
        digits |= unpack_fields(words.fields, split.low_bits, count)
    if split.base > 1:
        digits |= unpack_radix(words.fractions, split.base, count).astype(np.uint16) << (
            split.low_bits
        )
    return digits.astype(np.uint8)
