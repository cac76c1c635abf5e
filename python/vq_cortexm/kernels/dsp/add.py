"""`vq.add` by SMLAW, four elements a word: bytes in halfwords, as high as they go, times
multipliers as low as makes the product exact (see `op.add`).

    byte       7 to 8 bits up in a halfword: int8 by 8, uint8 by 7, or it would turn negative
    multiplier 16 less those bits up in a word
    bias       the operator's, with the output's zero point under the shift
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...op.add import AddAttrs, LinearAdd, constants
from ..access_order import ELEMENT_BY_ELEMENT
from ..layer import Kernel, Layer
from ..line import saturation
from ..micro_kernel import MicroKernel
from ..tir import FunctionBuilder, at, call

_COMMON_SHIFT = 21
"""Taken where it fits: adds of equal shifts share a routine."""
_PASS = 16
"""Elements of one pass of the routine."""


@dataclass(frozen=True)
class _Sum:
    """(a * multipliers[0] + b * multipliers[1] + bias) >> shift, with the output's zero point."""

    multipliers: tuple[int, int]
    bias: int
    shift: int

    def fits(self, dtype: str) -> bool:
        """Whether it and the shifted multipliers fit int32, for all a and b of `dtype`."""
        info = np.iinfo(dtype)
        ends = [(m * int(info.min), m * int(info.max)) for m in self.multipliers]
        values = (
            self.bias,
            self.bias + sum(map(min, ends)),
            self.bias + sum(map(max, ends)),
            *(m << _up(dtype) for m in self.multipliers),
        )
        return all(-(1 << 31) <= value < 1 << 31 for value in values)


def add(layer: Layer) -> Kernel | None:
    """Realisation of a `vq.add` layer of two tensors of equal shapes and types; constants:
    multipliers and bias."""
    attrs: AddAttrs = layer.attrs
    known = constants(attrs)
    dtype = layer.inputs[0].dtype
    alike = len(layer.inputs) == 2 and layer.inputs[0] == layer.inputs[1]
    if not isinstance(known, LinearAdd) or not alike:
        return None
    total = _sum(known, attrs.y_zero_point, dtype)
    if total is None:
        return None
    size = math.prod(layer.output.shape)
    packed = np.array([*(m << _up(dtype) for m in total.multipliers), total.bias], np.int32)
    micro = MicroKernel(
        "add",
        {
            "shift": total.shift,
            "unsigned_x": dtype == "uint8",
            "rest": size % _PASS != 0,
            **saturation(attrs.y_dtype, attrs.y_min, attrs.y_max),
        },
    )
    with FunctionBuilder("add") as builder:
        a = builder.parameter("a", (size,), dtype)
        b = builder.parameter("b", (size,), dtype)
        c = builder.parameter("constants", packed.shape, "int32")
        y = builder.parameter("y", (size,), layer.output.dtype)
        call(micro.symbol, at(y, 0), at(a, 0), at(b, 0), at(c, 0), size)
    return Kernel(
        builder.function,
        (packed,),
        inplace=dict.fromkeys((0, 1), ELEMENT_BY_ELEMENT),
        micro=(micro,),
    )


def _up(dtype: str) -> int:
    """How many bits up multipliers lie."""
    return 8 if dtype == "int8" else 9


def _sum(known: LinearAdd, zero_point: int, dtype: str) -> _Sum | None:
    """The operator's sum, at the common shift if it fits there, else at its own."""
    for shift in (max(_COMMON_SHIFT, known.shift), known.shift):
        up = shift - known.shift
        multipliers = (known.a_multiplier << up, known.b_multiplier << up)
        total = _Sum(multipliers, (known.bias << up) + (zero_point << shift), shift)
        if total.fits(dtype):
            return total
    return None
