"""`vq.binary_pack`: the signs of an 8-bit tensor, 32 channels to a word (see `bits`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .bits import pack, words


def output_shape(x_shape: tuple[int, ...], _attrs: BinaryPackAttrs) -> tuple[int, ...]:
    """(..., words(C)) for x (..., C)."""
    return (*x_shape[:-1], words(x_shape[-1]))


def reference(x: npt.NDArray[np.int8], _attrs: BinaryPackAttrs) -> npt.NDArray[np.int32]:
    """+1 where x, int8, is not negative, else -1."""
    if x.dtype != np.int8:
        raise ValueError(f"binary_pack: x is {x.dtype.name}, must be int8")
    return pack(x >= 0)


@dataclass(frozen=True)
class BinaryPackAttrs:
    """What is packed is int32 words."""

    y_dtype: str = "int32"
