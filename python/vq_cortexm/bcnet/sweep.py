"""All thresholds of a composed model on labelled samples: accuracy against mean cycles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .answers import Answers

Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class PathCycles:
    """Of an inference; `accurate` counts both nets."""

    fast: float
    accurate: float

    def mean(self, escalated: float) -> float:
        """With this share of samples on the accurate path."""
        return self.fast + escalated * (self.accurate - self.fast)


@dataclass(frozen=True)
class Point:
    """A model at its thresholds: shares (0 to 1) of right answers and of escalated samples."""

    thresholds: tuple[int, ...]
    accuracy: float
    escalated: float
    mean_cycles: float

    def for_classes(self, classes: int) -> Point:
        """The same, its one threshold given for each class."""
        return replace(self, thresholds=self.thresholds * (classes // len(self.thresholds)))

    @property
    def product(self) -> float:
        """Share of wrong answers times mean cycles; less is better."""
        return (1 - self.accuracy) * self.mean_cycles


def operate(answers: Answers, thresholds: Sequence[int], cycles: PathCycles) -> Point:
    """The point at given thresholds."""
    escalated = float(answers.escalated(thresholds).mean())
    accuracy = float(answers.right(thresholds).mean())
    return Point(tuple(thresholds), accuracy, escalated, cycles.mean(escalated))


def sweep(answers: Answers, cycles: PathCycles) -> list[Point]:
    """One threshold for all classes: a point for each share of samples that can escalate, from
    none to all."""
    confidence = answers.confidence
    order = np.argsort(confidence, kind="stable")
    gain = answers.accurate_right[order].astype(np.int64) - answers.fast_right[order]
    right = answers.fast_right.sum() + np.concatenate([[0], np.cumsum(gain)])
    values, counts = np.unique(confidence, return_counts=True)
    ends = np.concatenate([[0], np.cumsum(counts)])
    limits = [int(values[0]), *(int(v) + 1 for v in values)]
    total = len(confidence)
    return [
        Point((limit,), float(right[end] / total), end / total, cycles.mean(end / total))
        for limit, end in zip(limits, ends.tolist(), strict=True)
    ]


def sweep_by_class(answers: Answers, cycles: PathCycles, prices: int = 64) -> list[Point]:
    """Thresholds for every class that the fast net may answer, for so many prices of escalating.

    For a price, in right answers, the best thresholds are found class by class: the samples that
    escalate are those of least confidence for which the right answers gained, less the price, are
    most. So all points are on the convex hull of what thresholds by class can reach.
    """
    worth = [0.0, *np.geomspace(1e-3, 1.0, prices - 1).tolist()]
    found = {operate(answers, _thresholds(answers, price), cycles) for price in worth}
    return sorted(found, key=lambda point: point.mean_cycles)


def _thresholds(answers: Answers, price: float) -> tuple[int, ...]:
    """Best for a price of an escalation in right answers."""
    classes = answers.fast.shape[1]
    gain = answers.accurate_right.astype(np.float64) - answers.fast_right - price
    return tuple(
        _best_limit(answers.confidence[own], gain[own])
        for own in (answers.fast_class == c for c in range(classes))
    )


def _best_limit(confidence: NDArray[np.int64], gain: Float64Array) -> int:
    """The threshold below which the sum of gains is largest; of equal ones the lowest."""
    if not confidence.size:
        return 0
    values, place = np.unique(confidence, return_inverse=True)
    sums = np.concatenate([[0.0], np.cumsum(np.bincount(place, gain))])
    best = int(sums.argmax())
    return int(values[0]) if best == 0 else int(values[best - 1]) + 1
