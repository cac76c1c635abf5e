"""The low m bits of digits as fields, what is above them as radix digits.

A digit d of L levels is (d mod 2^m) beside (d >> m), the latter a radix digit of base
ceil(L / 2^m) in fractions of 32 or 64 bits. With the best m of each L the bits of a digit are at
most 1.0372 * log2 L for every L up to 256 (and log2 L for powers of two: all field, no radix).
Fractions of 32 bits are enough for all but 19 of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from .fields import pack_fields, unpack_fields
from .radix import digits_per_fraction, pack_radix, unpack_radix

_LARGEST_RATIO = 1.0375
"""Of stored bits to log2 L, that fractions of 32 bits may have: they are read twice as fast."""


@dataclass(frozen=True)
class Hybrid:
    """How digits of L levels are split: `low_bits` m, and the base of the rest (1: nothing) in
    fractions of `fraction_bits`."""

    levels: int
    low_bits: int
    fraction_bits: int = 32

    @property
    def base(self) -> int:
        """Levels of the upper part."""
        return -(-self.levels // (1 << self.low_bits))

    @property
    def digits_per_fraction(self) -> int:
        """Upper parts in a fraction."""
        return digits_per_fraction(self.base, self.fraction_bits)

    @property
    def bits(self) -> float:
        """Stored bits of a digit, long tensors."""
        upper = self.fraction_bits / self.digits_per_fraction if self.base > 1 else 0.0
        return self.low_bits + upper


@cache
def best_hybrid(levels: int) -> Hybrid:
    """The split of fewest bits; of equal ones that with more field, which is read faster."""
    return _best(levels, range(8, -1, -1))


@cache
def all_radix(levels: int) -> Hybrid:
    """Nothing as field."""
    return _best(levels, range(1))


@cache
def all_fields(levels: int) -> Hybrid:
    """Nothing as radix digits."""
    bits = max(1, (levels - 1).bit_length())
    return Hybrid(levels, bits)


def _best(levels: int, low_bits: Iterable[int]) -> Hybrid:
    lows = [low for low in low_bits if 1 << low < 2 * levels]
    narrow, wide = (
        min((Hybrid(levels, low, bits) for low in lows), key=lambda split: split.bits)
        for bits in (32, 64)
    )
    return narrow if narrow.bits <= _LARGEST_RATIO * math.log2(levels) else wide


@dataclass(frozen=True, eq=False)
class HybridWords:
    """Digits as stored: words of fields and words of fractions."""

    fields: NDArray[np.uint32]
    fractions: NDArray[np.uint32]

    @property
    def size_bytes(self) -> int:
        """Bytes of both."""
        return self.fields.nbytes + self.fractions.nbytes


def pack_hybrid(digits: NDArray[np.uint8], split: Hybrid) -> HybridWords:
    """(N, 4) digits below split.levels."""
    if digits.size and int(digits.max()) >= split.levels:
        raise ValueError(f"a digit does not fit {split.levels} levels")
    low = digits & np.uint8((1 << split.low_bits) - 1)
    upper = (digits.astype(np.uint16) >> split.low_bits).astype(np.uint8)
    empty = np.empty(0, np.uint32)
    return HybridWords(
        pack_fields(low, split.low_bits) if split.low_bits else empty,
        pack_radix(upper, split.base, split.fraction_bits) if split.base > 1 else empty,
    )


def unpack_hybrid(words: HybridWords, split: Hybrid, count: int) -> NDArray[np.uint8]:
    """The (count, 4) digits that `pack_hybrid` stored."""
    digits = np.zeros((count, 4), np.uint16)
    if split.low_bits:
        digits |= unpack_fields(words.fields, split.low_bits, count)
    if split.base > 1:
        upper = unpack_radix(words.fractions, split.base, split.fraction_bits, count)
        digits |= upper.astype(np.uint16) << split.low_bits
    return digits.astype(np.uint8)
