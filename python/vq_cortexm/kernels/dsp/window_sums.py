"""The sums of windows' activations, once for all channels: what offset digits add."""

from __future__ import annotations

from ..micro_kernel import MicroKernel
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
