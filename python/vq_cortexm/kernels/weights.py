"""What the packers of several families need to know of weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..op.rounding import Int64Array


def accumulator_bounds(
    weight: NDArray[np.int8], bias: NDArray[np.int32], x_dtype: str
) -> tuple[Int64Array, Int64Array]:
    """The least and largest final sum of each channel, (O,) int64; weight: (O, K), any inputs."""
    info = np.iinfo(x_dtype)
    wide = weight.astype(np.int64)
    ends = np.stack([wide * info.min, wide * info.max])
    start = bias.astype(np.int64)
    return start + ends.min(axis=0).sum(axis=1), start + ends.max(axis=0).sum(axis=1)


def free_bits(weight: NDArray[np.int8]) -> int:
    """By how many bits weights can be shifted up and still be int8."""
    largest = max(1, int(np.abs(weight.astype(np.int64)).max()))
    return max(0, (np.iinfo(np.int8).max // largest).bit_length() - 1)


def padded(rows: NDArray[np.int64], multiple: int) -> NDArray[np.int64]:
    """The rows, with rows of zeros up to a multiple."""
    missing = -rows.shape[0] % multiple
    return np.pad(rows, ((0, missing), *((0, 0),) * (rows.ndim - 1)))
