"""Requantization as TIR: int32 (or int64) accumulator → clamped int32 in the output's domain.

One definition per rounding, mirroring `op.rounding`; every kernel ends in it. The constants are
tensors with one entry per channel, or a single entry where all channels share it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compat import Expr
from ..op.rounding import Int64Array, RequantizeConstants
from .line import Line, fit_line
from .tir import (
    Buffer,
    FunctionBuilder,
    T,
    bind,
    clamp,
    divide_by_power,
    doubling_high_product,
    high_product,
    int32,
    int64,
    round_f32,
    widen,
)

_RAISED = (0, 4, 8, 12, 16)
"""Bits that sums are shifted up by where a line for them as they are is none: scales of 1/4 and
more need them."""


@dataclass(frozen=True)
class Requantizer:
    """How a layer's accumulators become outputs; `emit` writes it into a kernel.

    `constants` (rounding constants in storage order) go into the kernel's constant parameters,
    which `declare` names.
    """

    rounding: str
    constants: tuple[NDArray[Any], ...]
    zero_point: int
    y_min: int
    y_max: int
    in_high_word: bool
    """`single` only: every shift is at least 33, so the rounding bit lies in the product's upper
    word and the lower one need not be kept."""
    wide: bool = False
    """`single` only: accumulators are int64, of up to 48 bits, and every shift is at least 17."""

    def declare(self, builder: FunctionBuilder) -> list[Buffer]:
        """The constants' parameters, in order."""
        names = ("scale",) if self.rounding == "float" else ("multiplier", "shift")
        return [
            builder.parameter(name, value.shape, str(value.dtype))
            for name, value in zip(names, self.constants, strict=True)
        ]

    def emit(self, buffers: list[Buffer], acc: Expr, channel: Expr | int) -> Expr:
        """The output value, clamped, as an int32 expression."""
        factors = [buffer[channel if int(buffer.shape[0]) > 1 else 0] for buffer in buffers]
        return self._clamped(acc, factors)

    def inline(self, acc: Expr) -> Expr:
        """The same with the constants, one of each, in the code."""
        make = T.float32 if self.rounding == "float" else int32
        factors = [make(value.reshape(-1)[0].item()) for value in self.constants]
        return self._clamped(acc, factors)

    def _clamped(self, acc: Expr, factors: list[Expr]) -> Expr:
        scaled = bind("scaled", self._rescale(acc, factors))
        return clamp(scaled, self.y_min, self.y_max)

    def _rescale(self, acc: Expr, factors: list[Expr]) -> Expr:
        if self.rounding == "float":
            low, high = self.y_min - self.zero_point, self.y_max - self.zero_point
            scaled = clamp(widen(acc, "float32") * factors[0], low, high, "float32")
            return round_f32(scaled) + int32(self.zero_point)
        shift = widen(factors[1])
        if self.rounding == "double":
            return double_rescale(acc, factors[0], shift) + int32(self.zero_point)
        if self.in_high_word:
            shift = bind("shift", shift)
            high = high_product(acc, factors[0])
            return ((high + _power(shift - 33)) >> (shift - 32)) + int32(self.zero_point)
        if self.wide:
            # the product's upper 64 of 80 bits: what is cut off lies below the rounding's half
            factor, shift = widen(factors[0], "int64"), shift - 16
            low = ((acc & int64(0xFFFF)) * factor) >> int64(16)
            product = widen(widen(acc >> int64(16), "int32"), "int64") * factor + low
        else:
            product = widen(acc, "int64") * widen(factors[0], "int64")
        wide = widen(shift, "int64")
        rounded = (product + (int64(1) << (wide - int64(1)))) >> wide
        # the clamp below needs only that an overflow of int32 stays out of range
        bounded = T.max(T.min(rounded, int64(1 << 16)), int64(-(1 << 16)))
        return widen(bounded, "int32") + int32(self.zero_point)


def requantizer(
    constants: RequantizeConstants, zero_point: int, y_min: int, y_max: int, wide: bool = False
) -> Requantizer:
    """The requantizer of a layer from its operator's constants (one, or one per channel); `wide`
    accumulators are int64, which only `single` can be for."""
    rounding = constants.rounding
    if rounding == "float":
        stored = _one_if_equal(constants.scale.reshape(-1))
        return Requantizer(rounding, stored, zero_point, y_min, y_max, False)
    shift = constants.shift.reshape(-1)
    small = shift.astype(np.int8)  # `double` stores left shifts, in [-31, 30]
    stored = _one_if_equal(constants.multiplier.reshape(-1), small)
    in_high_word = rounding == "single" and not wide and bool(np.all(shift >= 33))
    return Requantizer(rounding, stored, zero_point, y_min, y_max, in_high_word, wide)


@dataclass(frozen=True)
class LineRequantizer:
    """The same by one line for all channels (see `line`), where it is exact for all sums."""

    line: Line
    y_min: int
    y_max: int

    @property
    def constants(self) -> tuple[NDArray[Any], ...]:
        """Of the kernel."""
        return _one_if_equal(self.line.multiplier)

    def declare(self, builder: FunctionBuilder) -> list[Buffer]:
        """The constants' parameters, in order."""
        return [builder.parameter("multiplier", self.constants[0].shape, "int32")]

    def emit(self, buffers: list[Buffer], acc: Expr, channel: Expr | int) -> Expr:
        """The output value, clamped, as an int32 expression."""
        multiplier = buffers[0][channel if int(buffers[0].shape[0]) > 1 else 0]
        return self._clamped(acc, multiplier)

    def inline(self, acc: Expr) -> Expr:
        """The same with the constants, one of each, in the code."""
        return self._clamped(acc, int32(int(self.line.multiplier[0])))

    def _clamped(self, acc: Expr, multiplier: Expr) -> Expr:
        # a product, for C has no left shift of negative numbers
        scaled = acc * _power(int32(self.line.bits)) if self.line.bits else acc
        high = high_product(scaled, multiplier) + int32(self.line.addend)
        return clamp(high >> self.line.shift, self.y_min, self.y_max)


def line_or_requantizer(
    constants: RequantizeConstants,
    clamp: tuple[int, int, int],
    bounds: tuple[Int64Array, Int64Array],
) -> Requantizer | LineRequantizer:
    """The cheaper one of a layer whose sums lie in `bounds`, two (C,); `clamp`: zero point, y_min,
    y_max."""
    largest = max(-int(bounds[0].min()), int(bounds[1].max()))
    for bits in _RAISED:
        line = (
            fit_line(constants, *clamp, *bounds, bits=bits) if largest >> (31 - bits) == 0 else None
        )
        if line is not None:
            return LineRequantizer(line, *clamp[1:])
    return requantizer(constants, *clamp)


def _one_if_equal(*arrays: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """The arrays, cut to one entry if all channels share every constant."""
    if all(np.all(array == array[0]) for array in arrays):
        return tuple(array[:1] for array in arrays)
    return arrays


def double_rescale(acc: Expr, multiplier: Expr, shift: Expr) -> Expr:
    """gemmlowp: doubling high product, then rounding division by a power of two (ties away from
    zero). A positive `shift` goes left before the product, a negative one right after it."""
    shifted = acc * _power(T.max(shift, int32(0)))
    high = bind("high", doubling_high_product(shifted, multiplier))
    return divide_by_power(high, T.max(int32(0) - shift, int32(0)))


def _power(exponent: Expr) -> Expr:
    return int32(1) << exponent
