"""Digits of n bits side by side in 32-bit words, the first in the lowest bits.

n = 3     word 0   │2·10│999│888│777│666│555│444│333│222│111│000│     digit 10 goes on in word 1
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WORD_BITS = 32


def pack_fields(digits: NDArray[np.uint8], bits: int) -> NDArray[np.uint32]:
    """Digits below 2^bits, bits in [1, 8], as words; the last one is filled with zeros."""
    flat = digits.reshape(-1)
    if not 1 <= bits <= 8 or (flat.size and int(flat.max()) >> bits):
        raise ValueError(f"a digit does not fit {bits} bits")
    planes = (flat[:, np.newaxis] >> np.arange(bits, dtype=np.uint8)) & 1
    stream = planes.reshape(-1)
    stream = np.pad(stream, (0, -stream.size % WORD_BITS))
    return np.packbits(stream.astype(np.uint8), bitorder="little").view("<u4").astype(np.uint32)


def unpack_fields(words: NDArray[np.uint32], bits: int, count: int) -> NDArray[np.uint8]:
    """The first `count` digits that `pack_fields` stored."""
    stream = np.unpackbits(words.astype("<u4").view(np.uint8), bitorder="little")
    planes = stream[: count * bits].reshape(count, bits)
    return np.asarray(planes @ (1 << np.arange(bits)), dtype=np.uint8)
