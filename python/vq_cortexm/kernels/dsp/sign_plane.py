"""Signs of 3 × 3 windows on one channel, at every other column: two pixels at a time.

What the pixels see are eight words, which stay in registers for all channels:

    rows 0 and 1    a word of each column       pixel 0 has columns 0 1 2, pixel 1 columns 2 3 4
    row 2           columns 0 1 │ 2 3 │ 4

A channel's weights, times 256, are four words to match, w[0,k] below w[1,k] and w[2,0] below
w[2,1], after one where both sums start: 256 times what is missing, and w[2,2] in its low byte. That
is less than 256, so it changes no sign.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...op.bits import WORD
from ...op.rounding import Int64Array
from ..layer import Layer
from ..micro_kernel import MicroKernel, Parameter
from ..tiles import as_words
from ..weights import padded

PIXELS = 2
"""At a time."""
LEAST_WANTED = 0.6
"""Outputs for each that is computed, pixels and words filled up, from which this takes fewer cycles
than packing bytes: measured."""


def routine(layer: Layer) -> MicroKernel | None:
    """(y, stream, three rows, pairs of pixels); None for other windows."""
    is_3x3 = layer.constants[0].shape[1:] == (3, 3, 1)
    if not is_3x3 or layer.attrs.strides[1] != 2:
        return None
    parameters: dict[str, Parameter] = {
        "words": layer.output.shape[3],
        "unsigned_x": layer.inputs[0].dtype == "uint8",
    }
    return MicroKernel("sign_conv_plane", parameters)


def stream(layer: Layer, missing: Int64Array) -> NDArray[np.int32]:
    """(5 * O,) for (O,) of what sums have to reach, O made up to words; channels without weights
    have to reach 1."""
    w = padded(layer.constants[0][..., 0].astype(np.int64), WORD)
    needed = np.pad(missing, (0, -len(missing) % WORD), constant_values=1)
    low = 256 * np.stack([*w[:, 0].T, w[:, 2, 0]], axis=1)
    high = 256 * np.stack([*w[:, 1].T, w[:, 2, 1]], axis=1)
    start = -256 * needed + (w[:, 2, 2] & 0xFF)
    matched = (low & 0xFFFF) | (high << 16)
    return as_words(np.concatenate([start[:, np.newaxis], matched], axis=1).reshape(-1))
