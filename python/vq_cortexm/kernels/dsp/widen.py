"""Activations as the halfwords that SMLAD takes, once for all output channels: bytes are widened,
halfwords copied."""

from __future__ import annotations

from dataclasses import dataclass

from ...compat import Expr
from ..micro_kernel import MicroKernel
from ..tir import Buffer, at, call, copy, loop

_BLOCK = 16
"""Bytes of a block that code is unrolled over."""


@dataclass(frozen=True)
class Widening:
    """The routine, and how many of its items make one of the caller's."""

    micro: MicroKernel
    items: int

    @property
    def routines(self) -> tuple[MicroKernel, ...]:
        """That it calls."""
        return (self.micro,)

    def emit(
        self,
        to: Buffer,
        first: Expr | int,
        source: Buffer,
        start: list[Expr | int],
        items: Expr | int,
    ) -> None:
        """Brings so many of the caller's items from `start` on to `first` and on."""
        count = items * self.items if self.items > 1 else items
        call(self.micro.symbol, at(to, first), at(source, *start), count)


@dataclass(frozen=True)
class Copying:
    """Items of `depth` halfwords, and how far apart they lie, in halfwords."""

    depth: int
    pitch_from: int
    pitch_to: int

    routines: tuple[MicroKernel, ...] = ()

    def emit(
        self,
        to: Buffer,
        first: Expr | int,
        source: Buffer,
        start: list[Expr | int],
        items: Expr | int,
    ) -> None:
        """Brings so many items from `start` on to `first` and on."""
        if self.depth == self.pitch_from == self.pitch_to:
            copy(to, [first], source, start, items * self.depth)
            return
        with loop("item", items) as item:
            begin = [*start[:-1], start[-1] + item * self.pitch_from]
            copy(to, [first + item * self.pitch_to], source, begin, self.depth)


def widening(
    x_dtype: str, depth: int, pitch_from: int, pitch_to: int, natural: bool, aligned_to: bool = True
) -> Widening | Copying:
    """Items of `depth` bytes, `pitch_from` bytes apart, to halfwords, `pitch_to` halfwords apart,
    each four of them in the order that SXTB16 gives unless `natural`. The first may lie at any
    multiple of `depth`, whatever the pitch: items start at words where that is a multiple of one.
    They are written to words where `pitch_to` is a multiple of one; `aligned_to`: the first one is.
    Halfwords stay in their order."""
    if x_dtype == "int16":
        return Copying(depth, pitch_from, pitch_to)
    parts = 1
    if pitch_from == pitch_to == depth and depth % _BLOCK == 0:
        parts, depth = depth // _BLOCK, _BLOCK
        pitch_from = pitch_to = depth
    parameters = {
        "depth": depth,
        "from": pitch_from,
        "to": pitch_to,
        "natural": natural,
        "unsigned": x_dtype == "uint8",
        "aligned_from": depth % 4 == 0,
        "aligned_to": aligned_to and pitch_to % 2 == 0,
    }
    return Widening(MicroKernel("widen", parameters), parts)
