"""Thresholds of a composed model for what its user wants, chosen on held-out samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import BudgetError
from .sweep import Point

_TOLERANCE = 1e-9
"""Of accuracies: 90.3 % in real numbers may be above 903 of 1,000, which is what is meant."""


@dataclass(frozen=True)
class Goal:
    """One of: a least accuracy (0 to 1), with the fewest mean cycles; most mean cycles, with the
    highest accuracy; neither, for the least product of wrong answers and mean cycles."""

    accuracy: float | None = None
    mean_cycles: float | None = None

    def __post_init__(self) -> None:
        if self.accuracy is not None and self.mean_cycles is not None:
            raise ValueError("an accuracy or mean cycles, not both")


def calibrate(points: Sequence[Point], goal: Goal) -> Point:
    """The best of the points (`sweep`, `sweep_by_class`). Raises BudgetError with what can be
    reached if none is good enough."""
    if goal.accuracy is not None:
        good = [point for point in points if point.accuracy >= goal.accuracy - _TOLERANCE]
        if not good:
            best = max(point.accuracy for point in points)
            raise BudgetError(
                f"an accuracy of {goal.accuracy:.2%} is out of reach on these samples; {best:.2%} "
                "is the most"
            )
        return min(good, key=lambda point: (point.mean_cycles, -point.accuracy))
    if goal.mean_cycles is not None:
        good = [point for point in points if point.mean_cycles <= goal.mean_cycles]
        if not good:
            least = min(point.mean_cycles for point in points)
            raise BudgetError(
                f"{goal.mean_cycles:,.0f} mean cycles are out of reach; the fast net alone takes "
                f"{least:,.0f}"
            )
        return min(good, key=lambda point: (-point.accuracy, point.mean_cycles))
    return min(points, key=lambda point: (point.product, point.mean_cycles))
