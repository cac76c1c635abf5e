"""Tensors of -1 and +1 as the `vq.binary_*` operators hold them: 32 channels in an int32.

    word k of a pixel    bit 0 is channel 32 k, bit 31 is channel 32 k + 31; 1 is +1, 0 is -1

The bits behind the last channel are 0. Packing and unpacking stand side by side here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

WORD = 32
"""Channels of a word."""


def words(channels: int) -> int:
    """Words that hold so many channels."""
    return -(-channels // WORD)


def pack(positive: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """(..., C) booleans, which of them are +1, to (..., words(C)) int32."""
    missing = -positive.shape[-1] % WORD
    padded = np.pad(positive, [*[(0, 0)] * (positive.ndim - 1), (0, missing)])
    packed = np.packbits(padded.astype(bool), axis=-1, bitorder="little")
    return np.ascontiguousarray(packed).view("<i4").astype(np.int32)


def unpack(packed: npt.NDArray[np.int32], channels: int) -> npt.NDArray[np.int8]:
    """(..., words(C)) int32 to (..., C) int8 of -1 and +1."""
    as_bytes = np.ascontiguousarray(packed.astype("<i4")).view(np.uint8)
    bits = np.unpackbits(as_bytes, axis=-1, bitorder="little")[..., :channels]
    return np.asarray(2 * bits.astype(np.int8) - 1, np.int8)


def check_packed(op: str, x: npt.NDArray[Any], channels: int) -> None:
    """Raises ValueError unless x is int32 (N, H, W, words(channels))."""
    if x.dtype != np.int32 or x.ndim != 4 or x.shape[-1] != words(channels):
        raise ValueError(
            f"{op}: x is {x.dtype.name} {x.shape}, must be int32 (N, H, W, {words(channels)})"
        )
