"""Byte pairs: the weights of two output channels in one halfword, and what surrounds them.

A word holds two inputs k, k' of the channels A (even) and B (odd):

    31        24 23        16 15         8 7          0
    │   256 * wA[k'] + wB[k']  │   256 * wA[k] + wB[k]  │

SMLAD of activations (x[k'], x[k]) on the word adds up P = 256 * A + B, on its SXTB16 (the low byte
of each half) B; at the end P - B = 256 * A. All is modulo 2^32, so only the final |A| must stay
below 2^23, and each half must fit int16: `fits_pairs` proves both.

A routine reads one stream, tile by tile, a tile being two pairs of channels (or one, at the end):

    P B of each pair      where the sums start: 256 * bias[A] + bias[B], bias[B]
    the pairs' words      for each two inputs
    constants             of A, B of each pair, as `finish` has them
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...op.rounding import Int64Array
from ..tiles import Tile
from ..weights import padded

TILE = 4
"""Channels of a full tile."""
LANES = 16
"""Of the words; see `decoding`."""


def fits_pairs(weight: NDArray[np.int8], lowest: Int64Array, highest: Int64Array) -> bool:
    """Whether channels 0, 2, … can be the A of a pair with the channel after them."""
    even, odd = padded(weight.astype(np.int64), 2)[0::2], padded(weight.astype(np.int64), 2)[1::2]
    halves = 256 * even + odd
    in_lanes = halves.min(initial=0) >= -(1 << 15) and halves.max(initial=0) < 1 << 15
    limit = 1 << 23
    in_words = lowest[0::2].min() >= -limit and highest[0::2].max() < limit
    return bool(in_lanes and in_words)


def in_fours(inputs: int) -> list[int]:
    """The order of inputs that SXTB16 of a word of four bytes and of its rotation by 8 gives:
    (0, 2), (1, 3) of each four; what remains stays in its order, a lone last one beside -1."""
    fours = inputs // 4 * 4
    order = [start + i for start in range(0, fours, 4) for i in (0, 2, 1, 3)]
    order += range(fours, inputs)
    return order + [-1] * (len(order) % 2)


def arrange(weight: NDArray[np.int8], order: list[int]) -> NDArray[np.int8]:
    """(O, K) weights in an order of inputs; -1 is an input whose weight is 0."""
    extended = np.concatenate([weight, np.zeros((weight.shape[0], 1), np.int8)], axis=1)
    return np.asarray(extended[:, order])


def tiles(
    weight: NDArray[np.int8], bias: NDArray[np.int32], constants: NDArray[np.int32]
) -> list[Tile]:
    """Of (O, K) weights, K even and in the order of the activations, of (O,) biases and of (O,) or
    (O, n) constants."""
    w = padded(weight.astype(np.int64), 2).reshape(-1, 2, weight.shape[1] // 2, 2)
    # the bytes of a word: B, A of input k, B, A of k'
    words = w[:, ::-1].transpose(0, 2, 3, 1).reshape(len(w), -1, 4).astype(np.int8)
    b = padded(bias.astype(np.int64)[:, np.newaxis], 2)
    starts = np.concatenate([256 * b[0::2] + b[1::2], b[1::2]], axis=1)
    ends = padded(constants.astype(np.int64).reshape(len(bias), -1), 2)
    ends = ends.reshape(len(starts), -1)
    pairs = (slice(first, first + 2) for first in range(0, len(starts), 2))
    return [
        Tile(starts[pair], words[pair].swapaxes(0, 1).reshape(-1, 4), ends[pair]) for pair in pairs
    ]
