"""A sweep over thresholds as a plot: accuracy against mean cycles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..report.svg import Form, figure
from .sweep import Point

_COLOURS = {"BC-Net": "#c8402f", "CoopNet": "#7d9cc0"}
_ALONE = "#4b4b4b"


def draw(title: str, described: Mapping[str, Any], form: Form = "svg") -> bytes:
    """An image file from eval.json's content: the curves of BC-Net and CoopNet, single nets as
    squares, the chosen threshold as a ring. Raises MatplotlibMissingError if Matplotlib is not
    there."""
    with figure(6.0, 4.0, form) as (drawn, image):
        axes = drawn.subplots()
        for name, points in (("BC-Net", "points"), ("CoopNet", "coopnet_points")):
            if described[points]:
                curve(axes, name, [Point(**point) for point in described[points]])
        for row in described["rows"]:
            x, y = row["mean_cycles"] / 1e6, 100 * row["accuracy"]["mean"]
            if row["name"].endswith("alone"):
                axes.plot([x], [y], "s", color=_ALONE, markersize=5)
                near = {"xytext": (5, -10), "textcoords": "offset points", "fontsize": 7}
                axes.annotate(row["name"], (x, y), **near)
            elif row["name"] == "BC-Net":
                axes.plot([x], [y], "o", color=_COLOURS["BC-Net"], markersize=9, fillstyle="none")
        label(axes, title)
    return image.getvalue()


def curve(axes: Any, name: str, points: Sequence[Point]) -> None:
    """Of a sweep."""
    xs = [point.mean_cycles / 1e6 for point in points]
    ys = [100 * point.accuracy for point in points]
    axes.plot(xs, ys, "-", color=_COLOURS[name], label=name, linewidth=1.4)


def label(axes: Any, title: str) -> None:
    """Its title, what its axes are, and the names of its curves."""
    axes.set_title(title)
    axes.set_xlabel("mean modelled cycles of an inference, millions")
    axes.set_ylabel("accuracy, %")
    axes.legend(frameon=False, loc="lower right")
