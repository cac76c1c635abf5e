"""Guided search on a made-up landscape, without an emulator."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from tuned_layers import CORE, layers

from vq_cortexm.tune.guided import guided_search, random_search
from vq_cortexm.tune.points import Point, Space
from vq_cortexm.tune.task import Task

TRIALS = 64
Search = Callable[[Space, int, int, Callable[[list[Point]], list[float]]], None]


@dataclass
class Landscape:
    """Costs that knobs add up to, with a failure here and there."""

    space: Space
    seen: list[Point] = field(default_factory=list)

    def __call__(self, points: list[Point]) -> list[float]:
        self.seen += points
        return [self.cost(point) for point in points]

    def cost(self, point: Point) -> float:
        if sum(point) % 17 == 5:
            return math.inf
        cost = 1000.0
        for schedule in self.space.at(point):
            for name, value in schedule.items():
                distance = abs(math.log2(value / 8)) if isinstance(value, int) else len(value) % 5
                cost += 100 * (1 + len(name) % 3) * distance
        return cost

    def best(self) -> float:
        return min(self.cost(point) for point in self.seen)


@pytest.fixture(scope="module")
def space() -> Space:
    return Space(Task(tuple(layers("wake_words")[:3]), CORE))


def searched(search: Search, space: Space, seed: int) -> Landscape:
    landscape = Landscape(space)
    search(space, TRIALS, seed, landscape)
    assert len(landscape.seen) == len(set(landscape.seen)) == TRIALS
    return landscape


def test_guided_search_beats_random_search_and_repeats_itself(space: Space) -> None:
    assert len(space) > 10_000
    guided = searched(guided_search, space, 1)
    drawn = [searched(random_search, space, seed).best() for seed in range(5)]
    assert guided.best() < sorted(drawn)[2]
    assert searched(guided_search, space, 1).seen == guided.seen


def test_handlers_of_the_loggers_are_left_as_they_were(space: Space) -> None:
    logger = logging.getLogger("tvm.s_tir.meta_schedule")
    own = logging.StreamHandler()
    logger.addHandler(own)
    try:
        before = (logger.level, logger.propagate, list(logger.handlers))
        guided_search(space, 4, 1, Landscape(space))
        assert (logger.level, logger.propagate, list(logger.handlers)) == before
    finally:
        logger.removeHandler(own)
