"""Digits of n bits in four lanes: byte i of every word belongs to lane i, a stream of its own.

Four neighbouring digits go to the four lanes, so that an AND or two bring a word of four digits:

    n = 3, a lane      byte 0  │22│111│000│     byte 1  │5│444│333│2│     byte 2  │777│666│55│
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LANES = 4
BLOCK = 8
"""Digits of a lane that fill whole bytes, whatever their bits."""
_LANE_BITS = 8


def pack_fields(digits: NDArray[np.uint8], bits: int) -> NDArray[np.uint32]:
    """(N, 4) digits below 2^bits, bits in [1, 8], as words: blocks of eight digits a lane, the last
    filled with zeros."""
    if not 1 <= bits <= _LANE_BITS or (digits.size and int(digits.max()) >> bits):
        raise ValueError(f"a digit does not fit {bits} bits")
    digits = np.pad(digits, ((0, -len(digits) % BLOCK), (0, 0)))
    planes = digits.T[:, :, np.newaxis] >> np.arange(bits, dtype=np.uint8) & 1
    lanes = np.packbits(planes.reshape(LANES, -1), axis=1, bitorder="little")
    return np.ascontiguousarray(lanes.T).view("<u4").reshape(-1).astype(np.uint32)


def unpack_fields(words: NDArray[np.uint32], bits: int, count: int) -> NDArray[np.uint8]:
    """The (count, 4) digits that `pack_fields` stored."""
    lanes = words.astype("<u4").view(np.uint8).reshape(-1, LANES).T
    planes = np.unpackbits(np.ascontiguousarray(lanes), axis=1, bitorder="little")
    fields = planes[:, : count * bits].reshape(LANES, count, bits)
    return np.asarray((fields @ (1 << np.arange(bits))).T, dtype=np.uint8)
