"""What the packers of several families need to know of weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..op.rounding import Int64Array, RequantizeConstants, wide_shifts


def accumulator_bounds(
    weight: NDArray[np.int8], bias: NDArray[Any], x_dtype: str
) -> tuple[Int64Array, Int64Array]:
    """The least and largest final sum of each channel, (O,) int64; weight: (O, K), any inputs."""
    info = np.iinfo(x_dtype)
    wide = weight.astype(np.int64)
    ends = np.stack([wide * info.min, wide * info.max])
    start = bias.astype(np.int64)
    return start + ends.min(axis=0).sum(axis=1), start + ends.max(axis=0).sum(axis=1)


def with_accumulators(
    weight: NDArray[np.int8],
    bias: NDArray[Any],
    x_dtype: str,
    constants: RequantizeConstants,
) -> tuple[NDArray[Any], bool]:
    """The biases in the type of a portable kernel's accumulators, and whether that is int64: for
    int16 inputs, where a sum, however the inputs are, could leave int32 and `constants` go beyond.
    weight: (O, K)."""
    lowest, highest = accumulator_bounds(weight, bias, x_dtype)
    fits = lowest.min() >= -(1 << 31) and highest.max() < 1 << 31
    wide = x_dtype == "int16" and constants.rounding == "single" and wide_shifts(constants)
    if wide and not fits:
        return bias.astype(np.int64), True
    return bias.astype(np.int32), False


def free_bits(weight: NDArray[np.int8]) -> int:
    """By how many bits weights can be shifted up and still be int8."""
    largest = max(1, int(np.abs(weight.astype(np.int64)).max()))
    return max(0, (np.iinfo(np.int8).max // largest).bit_length() - 1)


def padded(rows: NDArray[np.int64], multiple: int) -> NDArray[np.int64]:
    """The rows, with rows of zeros up to a multiple."""
    missing = -rows.shape[0] % multiple
    return np.pad(rows, ((0, missing), *((0, 0),) * (rows.ndim - 1)))
