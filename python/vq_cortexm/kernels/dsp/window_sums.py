"""The sums of windows' activations, once for all channels: what offset digits add."""

from __future__ import annotations

from ...compat import Expr
from ..micro_kernel import MicroKernel
from ..tir import Buffer, at, call
from . import fours, twos

_OFFSETS = {"fours": fours.OFFSET, "twos": twos.OFFSET}


def window_sums(conv_rows: MicroKernel, rows: int, elements: int, pixel: int) -> MicroKernel | None:
    """The routine for pixels `pixel` halfwords apart, each with `elements` halfwords in `rows`
    rows, its sums times the digits' offset; None if the weights need no sums."""
    offset = _OFFSETS.get(str(conv_rows.parameters["weights"]))
    if offset is None:
        return None
    parameters = {"rows": rows, "elements": elements, "pixel": pixel, "factor": offset}
    return MicroKernel("window_sums", parameters)


def call_over_pixels(
    conv_rows: MicroKernel,
    summing: MicroKernel | None,
    y: Expr,
    stream: Expr,
    count: Expr | int,
    windows: Expr,
    sums: Buffer | None,
) -> None:
    """Calls `conv_rows` for `count` windows that lie side by side, after their sums where it needs
    them."""
    arguments = [windows]
    if summing:
        call(summing.symbol, at(sums, 0), count, windows)
        arguments = [at(sums, 0), windows]
    call(conv_rows.symbol, y, stream, count, *arguments)
