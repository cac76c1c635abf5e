"""Geometry of the page's charts: positions are percentages of the plot, so that they fit any width.

Text keeps its size on a phone that way; only curves are stretched (`Curve.points` lie in a square
of 100 x 100, whose strokes do not scale).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile


@dataclass(frozen=True)
class Tick:
    """Where an axis has a line, in percent from the left or from the top, and its label."""

    at: float
    label: str


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high` over 0 to 100 %."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """Percent, to a hundredth."""
        return round(100 * (value - self.low) / (self.high - self.low), 2)

    def ticks(self, label: Callable[[float], str], falling: bool = False) -> tuple[Tick, ...]:
        """At round numbers, about five; `falling`: percents count from the top."""
        step = _round_step((self.high - self.low) / 5)
        first = math.ceil(self.low / step - 1e-9)
        numbers = (step * n for n in range(first, first + 12))
        shown = list(takewhile(lambda number: number <= self.high + step * 1e-9, numbers))
        return tuple(
            Tick(100 - self.at(n) if falling else self.at(n), label(round(n, 9))) for n in shown
        )


def axis_of(values: Iterable[float], from_zero: bool = False) -> Axis:
    """With a margin on both sides, unless it starts at 0."""
    known = list(values)
    low, high = (0.0, max(known)) if from_zero else (min(known), max(known))
    margin = 0.06 * (high - low) or abs(high) * 0.06 or 1.0
    return Axis(low if from_zero else low - margin, high + margin)


@dataclass(frozen=True)
class Spot:
    """A value of a scatter chart; `shape` is "dot", "ring" or "square", `series` picks the colour,
    `label` says what it is."""

    x: float
    y: float
    series: int
    shape: str
    label: str


@dataclass(frozen=True)
class Line:
    """A curve through values in ascending x, with its name; `series` picks the colour."""

    series: int
    name: str
    values: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Curve:
    """A line as it is drawn: "x,y x,y ...", both from 0 to 100, y downwards."""

    series: int
    name: str
    points: str


@dataclass(frozen=True)
class Scatter:
    """Two quantities against each other: all positions in percent, y downwards."""

    identifier: str
    title: str
    x_label: str
    y_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    curves: tuple[Curve, ...]
    spots: tuple[Spot, ...]
    limit: Tick | None


def scatter(
    identifier: str,
    title: str,
    labels: tuple[str, str],
    lines: Sequence[Line],
    spots: Sequence[Spot],
    limit: tuple[float, str] | None = None,
) -> Scatter:
    """A chart of lines and single spots, with a dashed line at an x that must not be exceeded."""
    xs = [s.x for s in spots] + [x for line in lines for x, _ in line.values]
    ys = [s.y for s in spots] + [y for line in lines for _, y in line.values]
    x_axis = axis_of(xs if limit is None else [*xs, limit[0]], from_zero=True)
    y_axis = axis_of(ys)

    def place(x: float, y: float) -> tuple[float, float]:
        return x_axis.at(x), round(100 - y_axis.at(y), 2)

    return Scatter(
        identifier,
        title,
        *labels,
        x_axis.ticks(_plain),
        y_axis.ticks(_plain, falling=True),
        tuple(
            Curve(line.series, line.name, _polyline([place(*v) for v in line.values]))
            for line in lines
        ),
        tuple(Spot(*place(s.x, s.y), s.series, s.shape, s.label) for s in spots),
        None if limit is None else Tick(x_axis.at(limit[0]), limit[1]),
    )


def _polyline(places: Sequence[tuple[float, float]]) -> str:
    """A long curve keeps what is seen: one place for each tenth of a percent."""
    seen = {(round(x, 1), round(y, 1)): None for x, y in places}
    return " ".join(f"{x:g},{y:g}" for x, y in seen)


def _round_step(least: float) -> float:
    """The least of 1, 2, 5, 10, 20, ... (and of their decimals) that is no less."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * n for n in (1, 2, 5, 10) if power * n >= least * (1 - 1e-9))


def _plain(number: float) -> str:
    return f"{number:,.10g}"
