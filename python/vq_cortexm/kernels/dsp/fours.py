"""Weights of four bits: those of four output channels in one halfword.

    31                              16 15      12 11       8 7        4 3        0
    │  the same of the next input k'  │  wA[k]   │ wB[k]+8  │ wC[k]+8  │ wD[k]+8  │

A is signed, so a half is 4096 wA + 256 (wB + 8) + 16 (wC + 8) + (wD + 8). SMLAD of activations
on the word, and on its halves' lower 12, 8 and 4 bits (one AND each), adds up four sums, each of
which has the next in it. What differs is one channel's, 4096, 256, 16 times or once; the eights add
8 times the sum of the window's activations, which is computed once for all channels. A step takes
as many cycles as one of byte pairs.

The stream has, for each four channels, where the four sums start, the words, and the constants
that `finish` has.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...op.rounding import Int64Array
from ..weights import padded

LARGEST_LAYER = 1 << 18
"""Of a layer's constant of `finish`, which is multiplied by 4096."""
OFFSET = 8
"""Added to each digit but the signed one."""
_SCALES = np.array([4096, 256, 16, 1], np.int64)


def fits_fours(weight: NDArray[np.int8], lowest: Int64Array, highest: Int64Array) -> bool:
    """Whether all (O, K) weights have four bits, and each channel's sum its multiple in int32."""
    if weight.min() < -OFFSET or weight.max() >= OFFSET:
        return False
    limit = (1 << 31) // np.resize(_SCALES, lowest.shape)
    return bool(np.all(lowest >= -limit) and np.all(highest < limit))


def pack_fours(
    weight: NDArray[np.int8],
    bias: NDArray[np.int32],
    constants: NDArray[np.int32],
    gaps: NDArray[np.bool_],
) -> NDArray[np.int32]:
    """The stream of (O, K) weights, K even and in the order of the activations, of (O,) biases and
    of (O, n) constants; at `gaps` (K,) no input is read, and digits are 0."""
    w = padded(weight.astype(np.int64), 4).reshape(-1, 4, weight.shape[1])
    digits = w + np.array([0, OFFSET, OFFSET, OFFSET])[:, np.newaxis]
    digits[:, :, gaps] = 0
    halves = np.einsum("tck,c->tk", digits, _SCALES) & 0xFFFF
    words = halves[:, 0::2] | halves[:, 1::2] << 16
    b = padded(bias.astype(np.int64)[:, np.newaxis], 4).reshape(-1, 4) * _SCALES
    starts = np.cumsum(b[:, ::-1], axis=1)[:, ::-1]
    ends = padded(constants.astype(np.int64).reshape(len(bias), -1), 4).reshape(len(words), -1)
    stream = np.concatenate([starts, words, ends], axis=1).reshape(-1)
    return (stream & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
