"""Confidence intervals of accuracies and of their differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_RESAMPLES = 2000
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean and its bootstrapped 95 % interval."""

    mean: float
    low: float
    high: float


def bootstrap(values: Sequence[NDArray[np.floating]], seed: int = 0) -> Interval:
    """Of the mean of per-sample values, (N,) for each seed of a training.

    Both are drawn anew: trainings, and test samples, which all trainings share. For a paired
    difference the values are those of one model less those of the other.
    """
    table = np.stack([np.asarray(v, np.float64) for v in values])
    rng = np.random.default_rng(seed)
    trainings, samples = table.shape
    means = np.empty(_RESAMPLES)
    for i in range(_RESAMPLES):
        weight = np.bincount(rng.integers(0, samples, samples), minlength=samples)
        chosen = rng.integers(0, trainings, trainings)
        means[i] = (table @ weight)[chosen].mean() / samples
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(table.mean()), float(low), float(high))


def crossing(cycles: Sequence[float], accuracy: Sequence[float], wanted: float) -> float | None:
    """The fewest mean cycles at which a curve reaches an accuracy, between points by a straight
    line; None if it never does. Points go from the fewest cycles to the most."""
    previous: tuple[float, float] | None = None
    for cost, value in zip(cycles, accuracy, strict=True):
        if value >= wanted:
            if previous is None or value == previous[1]:
                return cost
            part = (wanted - previous[1]) / (value - previous[1])
            return previous[0] + part * (cost - previous[0])
        previous = (cost, value)
    return None
