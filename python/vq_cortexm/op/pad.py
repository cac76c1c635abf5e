"""`vq.pad`: a border of one value around any axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


def output_shape(x_shape: tuple[int, ...], attrs: PadAttrs) -> tuple[int, ...]:
    """Each axis longer by its two widths; ValueError where the ranks differ."""
    if len(attrs.pad_width) != 2 * len(x_shape):
        raise ValueError(
            f"pad: {len(attrs.pad_width)} widths do not fit a shape {x_shape}, which needs two an"
            " axis"
        )
    before, after = attrs.pad_width[::2], attrs.pad_width[1::2]
    return tuple(b + n + a for b, n, a in zip(before, x_shape, after, strict=True))


def reference(x: npt.NDArray[Any], attrs: PadAttrs) -> npt.NDArray[Any]:
    """x, of any integer dtype, with its border; ValueError where pad_value is not of that dtype."""
    output_shape(x.shape, attrs)
    info = np.iinfo(x.dtype)
    if not info.min <= attrs.pad_value <= info.max:
        raise ValueError(f"pad: pad_value {attrs.pad_value} is not an {x.dtype.name}")
    widths = list(zip(attrs.pad_width[::2], attrs.pad_width[1::2], strict=True))
    return np.pad(x, widths, constant_values=attrs.pad_value)


@dataclass(frozen=True)
class PadAttrs:
    """pad_width holds (before, after) of axis 0, then of axis 1 and so on, each at least 0.

    pad_value is an integer of the tensor's own domain: a real zero is its zero point.
    """

    pad_width: tuple[int, ...]
    pad_value: int

    def __post_init__(self) -> None:
        if len(self.pad_width) % 2 or any(n < 0 for n in self.pad_width):
            raise ValueError(f"pad: pad_width {self.pad_width} must be pairs of at least 0")
