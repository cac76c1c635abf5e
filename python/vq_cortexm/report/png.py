"""The charts of a folder as PNG images, by Matplotlib."""

from __future__ import annotations

from typing import Any

from .folder import Build
from .layer_rows import LayerRow, layer_rows
from .plan_chart import PlanChart, plan_chart
from .svg import figure

_BAR, _LIMIT = "#3f78ad", "#1b1f24"
_ROLES = {
    "input": "#2f8558",
    "output": "#b5442f",
    "intermediate": "#3f78ad",
    "scratch": "#6d747c",
    "state": "#a26a00",
}


def render_images(build: Build) -> dict[str, bytes]:
    """File name → image: layers.png, memory.png, pareto.png and sweep.png, those of which the
    folder knows. Raises MatplotlibMissingError if Matplotlib is not there."""
    # these modules know this package
    from ..bcnet.plot import draw as draw_sweep
    from ..fit.plot import draw as draw_front

    images = {}
    rows, plan = layer_rows(build), plan_chart(build)
    if rows:
        images["layers.png"] = _draw_layers(build, rows)
    if plan:
        images["memory.png"] = _draw_plan(build, plan)
    if build.front:
        images["pareto.png"] = draw_front(build.front, "png")
    if build.evaluation:
        images["sweep.png"] = draw_sweep(build.name, build.evaluation, "png")
    return images


def _draw_layers(build: Build, rows: list[LayerRow]) -> bytes:
    """Bars in the layers' order from the top, each with its limit."""
    with figure(7.0, 1.0 + 0.2 * len(rows), "png") as (drawn, image):
        axes = drawn.subplots()
        places = range(len(rows))
        axes.barh(places, [row.work for row in rows], color=_BAR)
        for place, row in enumerate(rows):
            limit = row.layer["limit_cycles"]
            if limit is not None and row.limit_mark is not None:
                axes.plot([limit, limit], [place - 0.4, place + 0.4], color=_LIMIT)
        axes.set_yticks(places, [row.layer["name"] for row in rows])
        axes.invert_yaxis()
        axes.set_title(build.name, loc="left")
        axes.set_xlabel(f"{rows[0].unit} of one inference")
    return image.getvalue()


def _draw_plan(build: Build, plan: PlanChart) -> bytes:
    """Buffers as rectangles: steps to the right, bytes upwards."""
    with figure(7.0, 4.0, "png") as (drawn, image):
        axes = drawn.subplots()
        named: set[str] = set()
        for buffer in plan.buffers:
            placed = buffer.placed
            first, role = placed["first_step"], placed["role"]
            look: dict[str, Any] = {"color": _ROLES.get(role), "edgecolor": _LIMIT, "alpha": 0.7}
            axes.bar(
                first,
                placed["size_bytes"],
                placed["last_step"] - first + 1,
                placed["offset"],
                align="edge",
                label=None if role in named else role,
                **look,
            )
            named.add(role)
        assert build.report is not None
        axes.axhline(build.report["lower_bound_bytes"], color=_LIMIT, linestyle="--", linewidth=0.8)
        axes.set_title(f"{build.name}: the arena over time", loc="left")
        axes.set_xlabel("step")
        axes.set_ylabel("bytes")
        axes.legend(frameon=False, fontsize=8)
    return image.getvalue()
