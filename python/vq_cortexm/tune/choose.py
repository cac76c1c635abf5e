"""From databases to the schedule of a layer: of an equal layer, else of the most similar one.

Of an equal layer all that was measured is known, so the best point for the build's objective is
taken that needs no more RAM than the kernel's own schedule. A similar layer, of the same operator,
attributes and storage but of other sizes, gives what it was worth to answer otherwise than the
kernel itself, as far as that is not about sizes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from ..errors import UsageError
from ..kernels import realise
from ..kernels.knobs import Knobs, Schedule
from ..kernels.layer import Layer
from ..resources import SHIPPED_SCHEDULES
from ..target import Core
from ..transform.lower_to_tir import Objective
from .database import Database, Record, figures, load_database, pareto
from .task import describe, digest, layer_key

_SIZELESS = ("routine", "unroll", "weights")
"""Knobs whose values suit other sizes, and which take no scratch."""
_FARTHEST = math.log(2) * 3
"""The sum over all sizes of their ratios' logarithms, up to which layers are similar."""

_Cost = Callable[[Record], tuple[float, ...]]


def _size(record: Record) -> tuple[float, ...]:
    cycles, flash, ram = figures(record.outcome)
    return (flash, cycles, ram)


def _balanced(record: Record) -> tuple[float, ...]:
    cycles, flash, ram = figures(record.outcome)
    return (flash * cycles**2, cycles, ram)


def _speed(record: Record) -> tuple[float, ...]:
    return figures(record.outcome)


_COSTS: dict[Objective, _Cost] = {"size": _size, "balanced": _balanced, "speed": _speed}
"""What a layer's schedule makes small; as `SelectRealisation` has it, layer by layer."""


@dataclass(frozen=True, eq=False)
class Schedules:
    """Databases, the first that knows a layer deciding."""

    databases: tuple[Database, ...]

    def of(self, layer: Layer, core: Core, objective: Objective) -> Schedule:
        """What to answer otherwise than the kernel by itself; possible for this layer."""
        task = digest(layer_key(layer, core))
        own = _answers(layer, core, {})
        for database in self.databases:
            records = list(database.known(task))
            if records:
                chosen = _best(records, own, objective).schedule
                return _changes(chosen, own) if _is_possible(layer, core, chosen) else {}
        similar = self._similar(describe(layer, core))
        if similar is None:
            return {}
        wanted = {name: value for name, value in similar.items() if name in own}
        return wanted if _is_possible(layer, core, wanted) else {}

    def _similar(self, layer: Mapping[str, Any]) -> Schedule | None:
        """What the most similar layer answers otherwise than its kernel, about anything but sizes;
        by cycles, as code is as large for any size."""
        nearest: tuple[float, list[Record]] = (_FARTHEST, [])
        for database in self.databases:
            for task, other in database.layers.items():
                far = _distance(layer, other)
                records = list(database.known(task)) if far < nearest[0] else []
                if records:
                    nearest = far, records
        records = nearest[1]
        if not records:
            return None
        # a kernel's own schedule is measured first
        own = records[0].schedule
        changes = _changes(_best(records, own, "balanced").schedule, own)
        return {name: value for name, value in changes.items() if name in _SIZELESS}


@cache
def shipped() -> Database:
    """What comes with the package."""
    return load_database(SHIPPED_SCHEDULES)


def schedules(databases: Sequence[Database] = ()) -> Schedules:
    """Of these databases, then of those that come with the package."""
    return Schedules((*databases, shipped()))


def _best(records: Iterable[Record], own: Schedule, objective: Objective) -> Record:
    """Of those that take no more RAM than the kernel's own schedule, if that was measured."""
    records = list(records)
    of_own = [figures(r.outcome)[2] for r in records if dict(r.schedule) == dict(own)]
    most = min(of_own, default=math.inf)
    fitting = [r for r in records if figures(r.outcome)[2] <= most]
    return min(pareto(fitting or records), key=_COSTS[objective])


def _changes(schedule: Schedule, own: Schedule) -> Schedule:
    return {name: value for name, value in schedule.items() if own.get(name) != value}


def _answers(layer: Layer, core: Core, schedule: Schedule) -> Schedule:
    knobs = Knobs(schedule)
    realise(replace(layer, knobs=knobs), core)
    return knobs.answers


def _is_possible(layer: Layer, core: Core, schedule: Schedule) -> bool:
    """Whether the kernel takes it; layers of equal keys may differ in what their weights allow."""
    try:
        answers = _answers(layer, core, schedule)
    except UsageError:
        return False
    return schedule.items() <= answers.items()


def _distance(a: Mapping[str, Any], b: Mapping[str, Any]) -> float:
    """Infinite but for layers that are alike in all but their sizes."""
    if any(a[name] != b[name] for name in ("op", "core", "attrs", "realisation")):
        return math.inf
    shapes = [[*side["inputs"], side["output"], *side["constants"]] for side in (a, b)]
    if [len(s) for s in shapes[0]] != [len(s) for s in shapes[1]]:
        return math.inf
    far = 0.0
    for one, other in zip(*shapes, strict=True):
        for m, n in zip(one, other, strict=True):
            if isinstance(m, str):
                far += 0.0 if m == n else math.inf
            else:
                far += abs(math.log(m / n))
    return far
