"""Weights of two bits: two products to a multiplication.

A word is a ring of 16 fields. Rotated right by 0, 4, 8 and 12 bits, it shows in the lowest and the
highest field of its halves, which one AND leaves, the weights of two channels, H and L:

    31 30 29                18 17 16 15 14 13                  2  1  0
    │ wH[k'] │       …       │ wL[k']+2 │ wH[k] │       …       │ wL[k]+2 │
      field 15                  field 8   field 7                 field 0

A half is 2^14 wH + (wL + 2), so SMLAD adds up 2^14 H + L' of four products in a cycle. L' is kept
in [0, 2^14) by where it starts, so that the sum falls apart again: L' is its low 14 bits, H what is
above. With 255 values of an input, that holds while the digits of each L sum up to at most 64;
after as many inputs (a chunk) L' goes to a total and starts anew, while H stays. L' has twice the
window's sum too much.

The first two rotations are the channels A (an H), B (its L), C, D at inputs k, k + 1, the other two
the same at k + 2, k + 3. The stream has, for each four channels, where their totals start, the
words, and the constants that `finish` has.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..weights import padded

OFFSET = 2
"""Added to the digits of each L."""
_LARGEST_SUM = 64
"""Of the digits of a chunk: 255 * 64 < 2^14."""
_STEP = 4
"""Inputs of a word."""


def fits_twos(weight: NDArray[np.int8], x_dtype: str) -> bool:
    """Whether all (O, K) weights have two bits, and 2^14 H fits int32 for the inputs of a type."""
    if weight.min() < -OFFSET or weight.max() >= OFFSET:
        return False
    largest = max(abs(int(end)) for end in (np.iinfo(x_dtype).min, np.iinfo(x_dtype).max))
    sums = np.abs(weight.astype(np.int64)).sum(axis=1) * largest
    return bool(sums.max() < (1 << 17) - 1)


def chunk_inputs(weight: NDArray[np.int8], rows: int, most: int) -> int:
    """Inputs of a chunk: of (O, K) weights in `rows` equal segments, which chunks do not cross
    unless one holds them all. Else a chunk has no more than `most`, those of a block of code: code
    that ended between two chunks would add up parts of both."""
    digits = padded(weight.astype(np.int64), 4) + OFFSET
    low = digits.reshape(-1, 2, weight.shape[1])[:, 1]
    if low.sum(axis=1).max() <= _LARGEST_SUM:
        return int(weight.shape[1])
    segments = low.reshape(len(low) * rows, -1)
    inputs = segments.shape[1]
    for count in range(min(-(-inputs // _STEP), most // _STEP), 0, -1):
        size = count * _STEP
        chunks = np.pad(segments, ((0, 0), (0, -inputs % size))).reshape(len(segments), -1, size)
        if chunks.sum(axis=2).max() <= _LARGEST_SUM:
            return size
    raise AssertionError("four digits sum up to at most 12")


def start(x_dtype: str) -> int:
    """Where a chunk's L' starts, so that it stays in [0, 2^14)."""
    return -int(np.iinfo(x_dtype).min) * _LARGEST_SUM


def pack_twos(
    weight: NDArray[np.int8],
    bias: NDArray[np.int32],
    constants: NDArray[np.int32],
    gaps: NDArray[np.bool_],
    excess: int,
) -> NDArray[np.int32]:
    """The stream of (O, K) weights, K a multiple of 4 and in the order of the activations, of (O,)
    biases and of (O, n) constants; at `gaps` (K,) digits are 0. `excess` is what all chunks' starts
    add to an L."""
    w = padded(weight.astype(np.int64), 4).reshape(-1, 2, 2, weight.shape[1])
    digits = w + np.array([0, OFFSET])[:, np.newaxis]
    digits[..., gaps] = 0
    # pair, H or L, word, step of two, first or second input
    fields = (digits & 3).reshape(len(w), 2, 2, -1, 2, 2)
    words = np.zeros((len(w), fields.shape[3]), np.int64)
    for pair in range(2):
        for step in range(2):
            rotation = 2 * (pair + 2 * step)
            for second in range(2):
                high, low = (fields[:, pair, i, :, step, second] for i in range(2))
                words |= low << (2 * ((rotation + 8 * second) % 16))
                words |= high << (2 * ((rotation + 7 + 8 * second) % 16))
    b = padded(bias.astype(np.int64)[:, np.newaxis], 4).reshape(-1, 4)
    starts = b - np.array([0, excess, 0, excess])
    ends = padded(constants.astype(np.int64).reshape(len(bias), -1), 4).reshape(len(words), -1)
    stream = np.concatenate([starts, words, ends], axis=1).reshape(-1)
    return (stream & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
