"""The front as a plot: what models are worth against what they take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..report.svg import Form, figure

_COLOURS = {"n-ary": "#c8402f", "pruned": "#7d9cc0", "eight_bit": "#4b4b4b"}
_LABELS = {"n-ary": "fewer levels", "pruned": "8 bits, fewer channels", "eight_bit": "8 bits"}


def draw(described: Mapping[str, Any], form: Form = "svg") -> bytes:
    """An image file from pareto.json's content.

    The chosen models are ringed, budgets are dashed lines. MatplotlibMissingError if the
    package is not there.
    """
    with figure(9.5, 4.0, form) as (drawn, image):
        drawn.suptitle(described["model"])
        left, right = drawn.subplots(1, 2, sharey=True)
        _fill(left, described, "weight_bytes", "stored weights")
        _fill(right, described, "flash_bytes", "flash: weights, constants and code")
        left.set_ylabel(f"{_score(described)} on held-out data, %")
        left.legend(frameon=False, loc="lower right")
    return image.getvalue()


def _score(described: Mapping[str, Any]) -> str:
    return "agreement" if described["eight_bit"]["accuracy"] is None else "accuracy"


def _fill(axes: Any, described: Mapping[str, Any], size: str, label: str) -> None:
    def point(model: dict[str, Any]) -> tuple[float, float]:
        return model[size] / 1000, 100 * model[_score(described)]

    for strategy in ("n-ary", "pruned"):
        pairs = [described["chosen"], *described["front"]]
        points = {point(pair[strategy]) for pair in pairs if pair[strategy]}
        if points:
            xs, ys = zip(*sorted(points), strict=True)
            axes.plot(xs, ys, "o-", color=_COLOURS[strategy], label=_LABELS[strategy], markersize=4)
        chosen = described["chosen"][strategy]
        if chosen:
            x, y = point(chosen)
            axes.plot([x], [y], "o", color=_COLOURS[strategy], markersize=10, fillstyle="none")
    x, y = point(described["eight_bit"])
    axes.plot([x], [y], "s", color=_COLOURS["eight_bit"], label=_LABELS["eight_bit"])
    if described["budgets"][size] is not None:
        limit = described["budgets"][size] / 1000
        axes.axvline(limit, color="#4b4b4b", linestyle="--", linewidth=0.8)
    axes.set_xlabel(f"{label}, KB of 1000 bytes")
