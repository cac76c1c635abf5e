"""The points of a task: for each of its layers one of the layer's schedules."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ..kernels.knobs import Schedule, Value
from .task import Task

Point = tuple[int, ...]
"""The number of each layer's schedule in its list."""


@dataclass(frozen=True, eq=False)
class Space:
    """All points of a task; point (0, 0, …) has the kernels' own schedules."""

    task: Task

    @cached_property
    def schedules(self) -> tuple[tuple[Schedule, ...], ...]:
        """Of each layer, all."""
        return tuple(tuple(self.task.schedules(layer)) for layer in range(len(self.task.layers)))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Schedules of each layer."""
        return tuple(len(schedules) for schedules in self.schedules)

    def __len__(self) -> int:
        return math.prod(self.sizes)

    def __iter__(self) -> Iterator[Point]:
        return product(*(range(size) for size in self.sizes))

    def at(self, point: Point) -> list[Schedule]:
        """The schedules of a point."""
        return [own[index] for own, index in zip(self.schedules, point, strict=True)]

    def neighbours(self, layer: int, index: int) -> list[int]:
        """The layer's schedules that differ least from one of them: those that answer all but one
        of the questions that both were asked alike."""
        own = self.schedules[layer]
        here = own[index]
        found = [i for i, other in enumerate(own) if i != index and _differences(here, other) == 1]
        return found or [i for i in range(len(own)) if i != index]

    def features(self, point: Point) -> NDArray[np.float64]:
        """What a cost model sees of a point: of each layer's knobs, numbers as their logarithm and
        inverse, words one by one."""
        return np.concatenate(
            [
                _features(own[index], columns)
                for own, index, columns in zip(self.schedules, point, self._columns, strict=True)
            ]
        )

    @cached_property
    def _columns(self) -> tuple[dict[str, list[Value]], ...]:
        """Of each layer, the values of each knob."""
        found = []
        for schedules in self.schedules:
            columns: dict[str, list[Value]] = {}
            for schedule in schedules:
                for name, value in schedule.items():
                    values = columns.setdefault(name, [])
                    values += [] if value in values else [value]
            found.append(columns)
        return tuple(found)


def _differences(a: Schedule, b: Schedule) -> int:
    return sum(a[name] != b[name] for name in a.keys() & b.keys())


def _features(schedule: Schedule, columns: dict[str, list[Value]]) -> NDArray[np.float64]:
    """A row; where a knob is not asked for, zeros."""
    row: list[float] = []
    for name, values in columns.items():
        value = schedule.get(name)
        if all(isinstance(one, int) for one in values):
            number = float(value) if isinstance(value, int) else 0.0
            row += [math.log2(number), 1 / number] if number else [0.0, 0.0]
        row += [float(value == one) for one in values]
    return np.array(row)
