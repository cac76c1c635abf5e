"""The sums of windows' activations, once for all channels: what offset digits add."""

from __future__ import annotations

from collections.abc import Callable

from ...compat import Expr
from ..micro_kernel import MicroKernel
from ..tiles import EachPart, Part, Tiles
from ..tir import Buffer, at, call
from . import fours, twos

_OFFSETS = {"fours": fours.OFFSET, "twos": twos.OFFSET}


def window_sums(tiles: Tiles, rows: int, elements: int, pixel: int) -> MicroKernel | None:
    """The routine for pixels `pixel` halfwords apart, each with `elements` halfwords in `rows`
    rows, its sums times the digits' offset; None if the weights need no sums."""
    offset = _OFFSETS.get(str(tiles.routine.parameters["weights"]))
    if offset is None:
        return None
    parameters = {"rows": rows, "elements": elements, "pixel": pixel, "factor": offset}
    return MicroKernel("window_sums", parameters)


def call_over_pixels(
    each_part: EachPart,
    summing: MicroKernel | None,
    y: Callable[[Expr | int], Expr],
    count: Expr | int,
    windows: Expr,
    sums: Buffer | None,
) -> None:
    """Calls `conv_rows` for `count` windows that lie side by side, after their sums where it needs
    them; `y` is the first pixel's address from a channel on."""
    arguments = [windows]
    if summing:
        call(summing.symbol, at(sums, 0), count, windows)
        arguments = [at(sums, 0), windows]

    def convolve(part: Part) -> None:
        call(part.routine.symbol, y(part.channel), part.stream, count, *arguments)

    each_part(convolve)
