"""From databases to the schedules that a layer may have: an equal layer's, else what the most
similar one won.

Of an equal layer all that was measured is known: the schedules that need no more RAM than the
kernel's own and have the fewest cycles, or bytes of flash, or some of both. Of a similar layer, of
the same operator, attributes and storage but of other sizes, it is known what is gained where it
answers otherwise than the kernel itself; what of that is not about sizes is offered beside the
kernel's own answers, with cycles in proportion to the work.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
from ..transform.select_schedule import Alternative
from .database import Database, Record, figures, load_database
from .task import describe, digest, layer_key

_SIZELESS = ("routine", "unroll", "weights")
"""Knobs whose values suit other sizes, and which take no scratch."""
_FARTHEST = math.log(2) * 3
"""The sum over all sizes of their ratios' logarithms, up to which layers are similar."""


@dataclass(frozen=True, eq=False)
class Schedules:
    """Databases for the layers of a build, the first that knows a layer deciding."""

    databases: tuple[Database, ...]
    core: Core
    objective: Objective

    def alternatives(self, layer: Layer) -> list[Alternative]:
        """What to answer otherwise than the kernel by itself, all of it possible for this layer;
        one at least."""
        own = _answers(layer, self.core, {})
        records = self._records(layer)
        if records:
            return [Alternative(_changes(r.schedule, own), figures(r.outcome)[0]) for r in records]
        return self._of_similar(layer, own)

    def cycles(self, layer: Layer) -> float | None:
        """The fewest of the alternatives; None if no equal layer was measured."""
        return min((figures(r.outcome)[0] for r in self._records(layer)), default=None)

    def _records(self, layer: Layer) -> list[Record]:
        """What was measured of an equal layer and this one can have; of all that are not worse in
        everything than another."""
        task = digest(layer_key(layer, self.core))
        for database in self.databases:
            records = list(database.known(task))
            if records:
                useful = _useful(records, self.objective)
                return [r for r in useful if _is_possible(layer, self.core, r.schedule)]
        return []

    def _of_similar(self, layer: Layer, own: Schedule) -> list[Alternative]:
        """What the most similar layer offers, the kernel's own answers first."""
        described = describe(layer, self.core)
        records, work = self._nearest(described)
        its_own = _own(records)
        if its_own is None:
            return [Alternative({})]
        found: dict[str, Alternative] = {}
        for record in (its_own, *_useful(records, self.objective)):
            changes = _changes(record.schedule, its_own.schedule)
            wanted = {n: v for n, v in changes.items() if n in _SIZELESS and n in own}
            cycles = figures(record.outcome)[0] * _work(described) / work
            if _is_possible(layer, self.core, wanted):
                found.setdefault(str(sorted(wanted.items())), Alternative(wanted, cycles))
        return list(found.values())

    def _nearest(self, layer: Mapping[str, Any]) -> tuple[list[Record], float]:
        """Of the most similar layer, what was measured and its work."""
        nearest: tuple[list[Record], float] = [], 1.0
        least = _FARTHEST
        for database in self.databases:
            for task, other in database.layers.items():
                far = _distance(layer, other)
                records = list(database.known(task)) if far < least else []
                if records:
                    nearest, least = (records, _work(other)), far
        return nearest


@cache
def shipped() -> Database:
    """What comes with the package."""
    return load_database(SHIPPED_SCHEDULES)


def schedules(core: Core, objective: Objective, databases: Sequence[Database] = ()) -> Schedules:
    """Of these databases, then of what comes with the package."""
    return Schedules((*databases, shipped()), core, objective)


def _useful(records: Sequence[Record], objective: Objective) -> list[Record]:
    """The front of cycles and flash, by cycles, of those that take no more RAM than the kernel's
    own schedule; but for `size` none is slower than it."""
    own = _own(records)
    cycles, _, ram = figures(own.outcome) if own else (math.inf,) * 3
    fitting = [r for r in records if figures(r.outcome)[2] <= ram]
    if objective != "size":
        fitting = [r for r in fitting if figures(r.outcome)[0] <= cycles]
    front: list[Record] = []
    for record in sorted(fitting, key=lambda one: figures(one.outcome)):
        if not front or figures(record.outcome)[1] < figures(front[-1].outcome)[1]:
            front.append(record)
    return front


def _own(records: Sequence[Record]) -> Record | None:
    return next((record for record in records if record.is_own), None)


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


def _work(layer: Mapping[str, Any]) -> float:
    """Products of a layer with weights, elements of others."""
    *shape, _ = layer["output"]
    weights = layer["constants"][0] if layer["constants"] else shape[-1:]
    return float(math.prod(shape) * math.prod(weights) / shape[-1])
