"""Digits of any base in words of 32 or 64 bits, read by multiplication alone.

k digits of base L make the number N = d[0] L^(k-1) + … + d[k-1] < L^k <= 2^b. Stored is the
fraction N / L^k in b bits, rounded up:

    F = ceil(N * 2^b / L^k)

Then F * L is a fraction of b bits again, and what overflows it is d[0]: one multiplication a digit
(UMULL), two with 64 bits, no division. Rounding up adds less than 2^-b <= L^-k to the fraction, too
little to change a digit.

Four fractions side by side, a group, hold digits of four lanes as `fields` has them: the i-th
digits of the four are the i-th of the group's k words of digits. A fraction of 64 bits is its high
word, then its low one.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from .fields import LANES

_WORD_BITS = 32


@cache
def digits_per_fraction(base: int, bits: int) -> int:
    """How many digits of a base in [2, 256] fit a fraction of so many bits."""
    count = 0
    while base ** (count + 1) <= 1 << bits:
        count += 1
    return count


def pack_radix(digits: NDArray[np.uint8], base: int, bits: int) -> NDArray[np.uint32]:
    """(N, 4) digits below `base` as groups of fractions; the last group is filled with zeros."""
    if digits.size and int(digits.max()) >= base:
        raise ValueError(f"a digit does not fit base {base}")
    count = digits_per_fraction(base, bits)
    groups = np.pad(digits, ((0, -len(digits) % count), (0, 0))).reshape(-1, count, LANES)
    lanes = groups.swapaxes(1, 2).reshape(-1, count)
    # exact: a sum of digits by their integer weights, in Python's integers
    powers = np.array([base ** (count - 1 - i) for i in range(count)], dtype=object)
    numbers = lanes.astype(object) @ powers
    fractions = [-(-(int(n) << bits) // base**count) for n in numbers]
    words = [f >> shift & 0xFFFFFFFF for f in fractions for shift in range(bits - 32, -1, -32)]
    return np.array(words, dtype=np.uint32)


def unpack_radix(words: NDArray[np.uint32], base: int, bits: int, count: int) -> NDArray[np.uint8]:
    """The (count, 4) digits that `pack_radix` stored."""
    parts = words.astype(object).reshape(-1, LANES, bits // _WORD_BITS)
    fractions = parts @ np.array([1 << shift for shift in range(bits - 32, -1, -32)], dtype=object)
    steps = []
    for _ in range(digits_per_fraction(base, bits)):
        product = fractions * base
        steps.append(product >> bits)
        fractions = product & ((1 << bits) - 1)
    digits = np.stack(steps, axis=1).reshape(-1, LANES)
    return digits[:count].astype(np.uint8)
