"""`vq.binary_unpack`: packed signs (see `bits`) as an int8 tensor of -1 and +1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .bits import unpack, words


def output_shape(x_shape: tuple[int, ...], attrs: BinaryUnpackAttrs) -> tuple[int, ...]:
    """(..., channels) for x (..., words(channels))."""
    if x_shape[-1] != words(attrs.channels):
        raise ValueError(f"binary_unpack: {attrs.channels} channels do not fit a shape {x_shape}")
    return (*x_shape[:-1], attrs.channels)


def reference(x: npt.NDArray[np.int32], attrs: BinaryUnpackAttrs) -> npt.NDArray[np.int8]:
    """-1 and +1, int8."""
    output_shape(x.shape, attrs)
    return unpack(x, attrs.channels)


@dataclass(frozen=True)
class BinaryUnpackAttrs:
    """How many channels the words hold."""

    channels: int
    y_dtype: str = "int8"
