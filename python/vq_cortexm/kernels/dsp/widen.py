"""Bytes to halfwords: the activations that SMLAD takes, widened once for all output channels."""

from __future__ import annotations

from dataclasses import dataclass

from ...compat import Expr
from ..micro_kernel import MicroKernel

_BLOCK = 16
"""Bytes of a block that code is unrolled over."""


@dataclass(frozen=True)
class Widening:
    """The routine, and how many of its items make one of the caller's."""

    micro: MicroKernel
    items: int

    def count(self, items: Expr | int) -> Expr | int:
        """The routine's item count for the caller's."""
        return items * self.items if self.items > 1 else items


def widening(
    x_dtype: str, depth: int, pitch_from: int, pitch_to: int, natural: bool, aligned_to: bool = True
) -> Widening:
    """Items of `depth` bytes, `pitch_from` bytes apart, to halfwords, `pitch_to` halfwords apart,
    each four of them in the order that SXTB16 gives unless `natural`. Items start at words where
    their pitches are multiples of one; `aligned_to`: the first one does."""
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
        "aligned_from": pitch_from % 4 == 0,
        "aligned_to": aligned_to and pitch_to % 2 == 0,
    }
    return Widening(MicroKernel("widen", parameters), parts)
