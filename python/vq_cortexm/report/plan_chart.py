"""The memory plan over time as rectangles: steps to the right, bytes upwards."""

from __future__ import annotations

from dataclasses import dataclass

from .charts import Axis, Tick
from .folder import Build
from .schema import Placed

_MOST_STEP_LABELS = 12


@dataclass(frozen=True)
class Buffer:
    """A buffer's rectangle in percent of the plot, y downwards; `label` says all of it."""

    placed: Placed
    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True)
class PlanChart:
    """`bound` is the line below which no plan can be, in percent from the top."""

    buffers: tuple[Buffer, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    bound: float
    roles: tuple[str, ...]


def plan_chart(build: Build) -> PlanChart | None:
    """None where the arena is empty, as with all inputs and outputs the caller's own."""
    if build.report is None or build.metadata is None or not build.report["arena_bytes"]:
        return None
    plan = build.metadata["memory"]["plan"]
    names = [layer["name"] for layer in build.report["layers"]]
    columns = max(place["last_step"] for place in plan) + 1
    across, up = Axis(0, columns), Axis(0, build.report["arena_bytes"])

    def buffer(place: Placed) -> Buffer:
        first, last = place["first_step"], place["last_step"]
        x, top = across.at(first), up.at(place["offset"] + place["size_bytes"])
        return Buffer(
            place,
            x,
            round(100 - top, 2),
            round(across.at(last + 1) - x, 2),
            round(top - up.at(place["offset"]), 2),
            f"{place['storage']}: {place['role']}, {place['size_bytes']:,} bytes at "
            f"{place['offset']:,}, {_span(first, last, names)}",
        )

    every = -(-columns // _MOST_STEP_LABELS)
    return PlanChart(
        tuple(
            buffer(place) for place in sorted(plan, key=lambda p: (p["first_step"], p["offset"]))
        ),
        tuple(
            Tick(across.at(step + 0.5), str(step) if step < len(names) else "end")
            for step in range(0, columns, every)
        ),
        up.ticks(lambda size: f"{size:,.0f}", falling=True),
        round(100 - up.at(build.report["lower_bound_bytes"]), 2),
        tuple(dict.fromkeys(place["role"] for place in plan)),
    )


def _span(first: int, last: int, names: list[str]) -> str:
    """The steps by the names of their layers; the one after the last is the caller's reading."""
    ends = [names[step] if step < len(names) else "the end" for step in (first, last)]
    if first == last:
        return f"in step {first} ({ends[0]})"
    return f"steps {first} ({ends[0]}) to {last} ({ends[1]})"
