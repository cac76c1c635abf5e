"""Requantization as one straight line for all channels of a layer, proved equal to its rounding.

A routine computes, for an accumulator `acc` of channel c,

    y = ssat8((high32(acc * multiplier[c]) + addend) >> shift)     SMMLA, SSAT with its shift

with one addend and one shift for the layer: they cost no loads. Both this and the operator's own
rounding are steps that only rise with acc, so they are equal on an interval if they are equal at
the places where this one steps: `fit_line` checks all of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..op.rounding import Int64Array, RequantizeConstants, requantize
from .micro_kernel import Parameter
from .weights import free_bits

_LARGEST_SHIFT = 14
"""256 times the addend still fits int32, with any zero point."""
_COMMON_SHIFTS = (3, 1)
"""The first that is not too large is taken where it is exact: layers of equal shapes and shifts
share a routine."""
_TRIED = (0, 1, -1, 2, -2, 3, -3, 4, -4)
"""Added to a channel's multiplier until its steps fit."""


@dataclass(frozen=True, eq=False)
class Line:
    """multiplier: (C,) int32 in [0, 2^31); addend int32; shift in [1, 14].

    It is for accumulators scaled by 2^bits; for those scaled by 2^(bits + n), 2^n times the addend
    and shift + n give the same.
    """

    multiplier: NDArray[np.int32]
    addend: int
    shift: int
    bits: int = 0

    def apply(self, acc: Int64Array) -> Int64Array:
        """The output before saturation, for accumulators with the channels as last axis."""
        high = ((acc << self.bits) * self.multiplier.astype(np.int64)) >> 32
        return np.asarray((high + self.addend) >> self.shift, dtype=np.int64)


def fit_line(
    constants: RequantizeConstants,
    zero_point: int,
    y_min: int,
    y_max: int,
    lowest: Int64Array,
    highest: Int64Array,
    bits: int = 0,
) -> Line | None:
    """The line that equals `constants` for every acc in [lowest, highest], both (C,), of a layer
    whose outputs are clamped to [y_min, y_max] with `zero_point`; None if there is none. It is for
    accumulators scaled by 2^bits, which scales of 1/4 and more need."""
    scale = np.broadcast_to(_scales(constants), lowest.shape)
    scale = scale / (1 << bits)
    largest = float(scale.max())
    if largest <= 0.0:
        return None
    # the largest multiplier in [2^30, 2^31)
    largest_shift = min(30 - math.floor(math.log2(largest)) - 32, _LARGEST_SHIFT)
    clamp = (zero_point, y_min, y_max)
    common = [shift for shift in _COMMON_SHIFTS if shift <= largest_shift]
    for shift in dict.fromkeys([*common[:1], *([largest_shift] if common else [])]):
        line = _fit_at((shift, bits), constants, clamp, scale, (lowest, highest))
        if line is not None:
            return line
    return None


def fit_raised(
    weight: NDArray[np.int8],
    constants: RequantizeConstants,
    clamp: tuple[int, int, int],
    bounds: tuple[Int64Array, Int64Array],
) -> Line | None:
    """The line of a layer whose weights and biases may be multiplied by 2^bits, which its scale may
    need; int8 still holds such weights, and int32 the sums. `clamp`: zero point, y_min, y_max."""
    largest = max(-int(bounds[0].min()), int(bounds[1].max()))
    for bits in range(free_bits(weight) + 1):
        if largest >> (31 - bits):
            return None
        line = fit_line(constants, *clamp, *bounds, bits=bits)
        if line is not None:
            return line
    return None


def _fit_at(
    shift_and_bits: tuple[int, int],
    constants: RequantizeConstants,
    clamp: tuple[int, int, int],
    scale: NDArray[np.float64],
    bounds: tuple[Int64Array, Int64Array],
) -> Line | None:
    """The line with this shift, for accumulators scaled by 2^bits."""
    shift, bits = shift_and_bits
    zero_point, y_min, y_max = clamp
    target = np.rint(scale * 2.0 ** (32 + shift)).astype(np.int64)
    levels = np.arange(y_min + 1, y_max + 1, dtype=np.int64)[:, np.newaxis]
    addend = (zero_point << shift) + (1 << (shift - 1))
    found = np.full(scale.shape, -1, np.int64)
    for offset in _TRIED:
        multiplier = np.clip(target + offset, 0, 2**31 - 1)
        fits = _steps_agree(
            Line(multiplier.astype(np.int32), addend, shift, bits),
            constants,
            zero_point,
            levels,
            bounds,
        )
        found = np.where((found < 0) & fits, multiplier, found)
        if np.all(found >= 0):
            return Line(found.astype(np.int32), addend, shift, bits)
    return None


def saturation(y_dtype: str, y_min: int, y_max: int) -> dict[str, Parameter]:
    """Parameters of templates: SSAT or USAT to the output's type, and clamps that are narrower."""
    info = np.iinfo(y_dtype)
    return {
        "unsigned_y": y_dtype == "uint8",
        "low": y_min if y_min > info.min else None,
        "high": y_max if y_max < info.max else None,
        **({"wide_y": True} if y_dtype == "int16" else {}),
    }


def _scales(constants: RequantizeConstants) -> NDArray[np.float64]:
    """What multiplies an accumulator, exactly, per channel."""
    if constants.rounding == "float":
        return constants.scale.astype(np.float64).reshape(-1)
    exponent = -constants.shift if constants.rounding == "single" else constants.shift - 31
    return np.ldexp(constants.multiplier.astype(np.float64), exponent).reshape(-1)


def _steps_agree(
    line: Line,
    constants: RequantizeConstants,
    zero_point: int,
    levels: Int64Array,
    bounds: tuple[Int64Array, Int64Array],
) -> NDArray[np.bool_]:
    """For each channel: whether both reach each of `levels` (L, 1) at the same acc in `bounds`."""
    lowest, highest = bounds
    multiplier = line.multiplier.astype(np.int64)
    wanted = ((levels << line.shift) - line.addend) << 32
    # the first acc at which the line reaches a level; a channel without slope never steps
    first = -(-wanted // np.maximum(multiplier << line.bits, 1))
    flat = np.where(line.addend >> line.shift >= levels, lowest, highest + 1)
    first = np.where(multiplier == 0, flat, np.clip(first, lowest, highest + 1))
    at = requantize(np.minimum(first, highest), constants) + zero_point >= levels
    before = requantize(np.maximum(first - 1, lowest), constants) + zero_point >= levels
    reached = np.where(first > highest, ~at, at)
    early = np.where(first > lowest, before, False)
    return np.asarray(np.all(reached & ~early, axis=0))
