"""Plots as SVG or PNG files in one style: the same bytes for the same figures."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from ..errors import ToolError

Form = Literal["svg", "png"]
_PNG_DPI = 150
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "vq-cortexm",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


class MatplotlibMissingError(ToolError):
    """A plot needs the extra `bench`."""


@contextmanager
def figure(width: float, height: float, form: Form = "svg") -> Iterator[tuple[Any, io.BytesIO]]:
    """A Matplotlib figure of that many inches, and where its file is when the block has ended.

    Raises MatplotlibMissingError if the package is not there.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise MatplotlibMissingError(
            "no plot: it needs matplotlib; pip install 'vq-cortexm[bench]'"
        ) from None
    image = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        drawn = Figure(figsize=(width, height), layout="constrained")
        yield drawn, image
        if form == "png":
            drawn.savefig(image, format="png", dpi=_PNG_DPI, metadata={"Software": None})
            return
        raw = io.BytesIO()
        drawn.savefig(raw, format="svg", metadata={"Date": None, "Creator": None})
    image.write(re.sub(rb"[ \t]+$", b"", raw.getvalue(), flags=re.M))
