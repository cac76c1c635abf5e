"""Digits of any base in 64-bit words, read by multiplication alone.

k digits of base L make the number N = d[0] L^(k-1) + … + d[k-1] < L^k <= 2^64. Stored is the
fraction N / L^k in 64 bits, rounded up:

    F = ceil(N * 2^64 / L^k)

Then F * L is a 64-bit fraction again, and what overflows it is d[0]: two multiplications a digit
(UMULL, UMLAL), no division. Rounding up adds less than 2^-64 <= L^-k to the fraction, too little to
change a digit.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

_FRACTION_BITS = 64


@cache
def digits_per_word(base: int) -> int:
    """How many digits of a base in [2, 256] fit 64 bits."""
    count = 0
    while base ** (count + 1) <= 1 << _FRACTION_BITS:
        count += 1
    return count


def pack_radix(digits: NDArray[np.uint8], base: int) -> NDArray[np.uint64]:
    """Digits below `base` as fractions; the last word is filled with zeros."""
    flat = digits.reshape(-1)
    if flat.size and int(flat.max()) >= base:
        raise ValueError(f"a digit does not fit base {base}")
    count = digits_per_word(base)
    rows = np.pad(flat, (0, -flat.size % count)).reshape(-1, count)
    return np.array([_fraction(row.tolist(), base) for row in rows], dtype=np.uint64)


def unpack_radix(words: NDArray[np.uint64], base: int, count: int) -> NDArray[np.uint8]:
    """The first `count` digits that `pack_radix` stored."""
    digits: list[int] = []
    for word in words.tolist():
        fraction = word
        for _ in range(digits_per_word(base)):
            product = fraction * base
            digits.append(product >> _FRACTION_BITS)
            fraction = product & ((1 << _FRACTION_BITS) - 1)
    return np.array(digits[:count], dtype=np.uint8)


def _fraction(digits: list[int], base: int) -> int:
    number = 0
    for digit in digits:
        number = number * base + digit
    numbers: int = base ** len(digits)
    return -(-(number << _FRACTION_BITS) // numbers)
