"""Weights of a channel by themselves, where byte pairs (`pairs`) could overflow.

A word holds four inputs of one channel, so that SXTB16 of it and of its rotation by 8 fit
activations in the order 0, 2, 1, 3:

    31   24 23   16 15    8 7     0        SXTB16          w[2] w[0]
    │ w[3] │ w[2] │ w[1] │ w[0] │         SXTB16, ROR #8  w[3] w[1]

The stream has, for each tile of four channels (or two, at the end), the biases, for each four
inputs a word of each channel, and the constants that `finish` has.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..tiles import Tile
from ..weights import padded

LANES = 8
"""Of the words; see `decoding`."""


def tiles(
    weight: NDArray[np.int8], bias: NDArray[np.int32], constants: NDArray[np.int32]
) -> list[Tile]:
    """Of (O, K) weights, K a multiple of 4 and in the order 0, 2, 1, 3 of each four, (O,) biases
    and (O, n) constants."""
    words = padded(weight.astype(np.int64), 2).astype(np.int8)
    words = words.reshape(len(words), -1, 4)[..., [0, 2, 1, 3]]
    starts = padded(bias.astype(np.int64)[:, np.newaxis], 2)
    ends = padded(constants.astype(np.int64).reshape(len(bias), -1), 2)
    fours = (slice(first, first + 4) for first in range(0, len(words), 4))
    return [
        Tile(starts[four], words[four].swapaxes(0, 1).reshape(-1, 4), ends[four]) for four in fours
    ]
