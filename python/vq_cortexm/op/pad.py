"""`vq.pad`: a border around any axes, of one value or of the tensor's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

MODES = ("constant", "edge", "reflect", "symmetric")


def output_shape(x_shape: tuple[int, ...], attrs: PadAttrs) -> tuple[int, ...]:
    """Each axis longer by its two widths; ValueError where the ranks differ."""
    if len(attrs.pad_width) != 2 * len(x_shape):
        raise ValueError(
            f"pad: {len(attrs.pad_width)} widths do not fit a shape {x_shape}, which needs two an"
            " axis"
        )
    before, after = attrs.pad_width[::2], attrs.pad_width[1::2]
    room = {"reflect": -1, "symmetric": 0}.get(attrs.mode)
    if room is not None and any(
        max(b, a) > n + room for b, n, a in zip(before, x_shape, after, strict=True)
    ):
        raise ValueError(
            f"pad: widths {attrs.pad_width} of mode {attrs.mode} exceed a shape {x_shape}"
        )
    return tuple(b + n + a for b, n, a in zip(before, x_shape, after, strict=True))


def reference(x: npt.NDArray[Any], attrs: PadAttrs) -> npt.NDArray[Any]:
    """x, of any integer dtype, with its border; ValueError where pad_value is not of that dtype."""
    output_shape(x.shape, attrs)
    info = np.iinfo(x.dtype)
    if not info.min <= attrs.pad_value <= info.max:
        raise ValueError(f"pad: pad_value {attrs.pad_value} is not an {x.dtype.name}")
    widths = list(zip(attrs.pad_width[::2], attrs.pad_width[1::2], strict=True))
    if attrs.mode != "constant":
        return np.pad(x, widths, mode=cast(Any, attrs.mode))
    return np.pad(x, widths, constant_values=attrs.pad_value)


@dataclass(frozen=True)
class PadAttrs:
    """pad_width holds (before, after) of axis 0, then of axis 1 and so on, each at least 0.

    pad_value is an integer of the tensor's own domain: a real zero is its zero point. It is not
    looked at unless mode is `constant`; `edge` repeats the outermost element, `symmetric` mirrors
    the tensor at its border, `reflect` at its outermost element.
    """

    pad_width: tuple[int, ...]
    pad_value: int
    mode: str = "constant"

    def __post_init__(self) -> None:
        if len(self.pad_width) % 2 or any(n < 0 for n in self.pad_width):
            raise ValueError(f"pad: pad_width {self.pad_width} must be pairs of at least 0")
        if self.mode not in MODES:
            raise ValueError(f"pad: mode {self.mode!r} must be one of {', '.join(MODES)}")
