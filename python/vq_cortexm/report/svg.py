"""Plots as SVG files in one style: the same bytes for the same figures."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import VqError

_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "vq-cortexm",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


class MatplotlibMissingError(VqError):
    """A plot needs the extra `bench`."""


@contextmanager
def figure(width: float, height: float) -> Iterator[tuple[Any, io.BytesIO]]:
    """A Matplotlib figure of that many inches, and where its SVG is when the block has ended.

    Raises MatplotlibMissingError if the package is not there.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise MatplotlibMissingError(
            "no plot: it needs matplotlib; pip install 'vq-cortexm[bench]'"
        ) from None
    svg = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        drawn = Figure(figsize=(width, height), layout="constrained")
        yield drawn, svg
        raw = io.BytesIO()
        drawn.savefig(raw, format="svg", metadata={"Date": None, "Creator": None})
    svg.write(re.sub(rb"[ \t]+$", b"", raw.getvalue(), flags=re.M))
