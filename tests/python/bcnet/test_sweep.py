"""Sweeps, calibration and statistics on drawn answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vq_cortexm.bcnet.answers import Answers
from vq_cortexm.bcnet.calibrate import Goal, calibrate
from vq_cortexm.bcnet.statistics import bootstrap, crossing
from vq_cortexm.bcnet.sweep import PathCycles, Point, operate, sweep, sweep_by_class
from vq_cortexm.errors import BudgetError
from vq_cortexm.op.bc_net import ALWAYS_ESCALATE, NEVER_ESCALATE, BcNetAttrs

CYCLES = PathCycles(10.0, 60.0)


def drawn(seed: int, n: int = 300, classes: int = 4, confidence: str = "margin") -> Answers:
    """The accurate net knows more than the fast one, which knows something."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    signal = 25 * np.eye(classes)[labels]
    fast, accurate = (
        np.clip(strength * signal + rng.normal(0, 20, (n, classes)), -128, 127).astype(np.int8)
        for strength in (1.0, 2.0)
    )
    attrs = BcNetAttrs(confidence, (0,), 0.5, 1.0, 0.1, 0, 0.1, 0, 0.15, 0)
    return Answers(fast, accurate, labels, attrs)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from(["margin", "maximum", "entropy"]))
def test_every_point_of_a_sweep_is_what_its_threshold_gives(seed: int, confidence: str) -> None:
    answers = drawn(seed, 60, confidence=confidence)
    points = sweep(answers, CYCLES)
    assert [p.escalated for p in points] == sorted({p.escalated for p in points})
    assert (points[0].escalated, points[-1].escalated) == (0, 1)
    for point in points:
        assert operate(answers, point.thresholds, CYCLES) == point


def test_a_sweep_holds_every_threshold_there_is() -> None:
    answers = drawn(1)
    points = {p.escalated: p.accuracy for p in sweep(answers, CYCLES)}
    for threshold in (NEVER_ESCALATE, -5, 0, 1, 17, 40, 200, ALWAYS_ESCALATE):
        point = operate(answers, (threshold,), CYCLES)
        assert points[point.escalated] == point.accuracy


def test_thresholds_by_class_are_no_worse_on_their_own_samples() -> None:
    answers = drawn(2)
    by_class = sweep_by_class(answers, CYCLES)
    for price in (0.0, 0.01, 0.1, 0.3):
        worth = [
            max(p.accuracy - price * p.escalated for p in points)
            for points in (by_class, sweep(answers, CYCLES))
        ]
        assert worth[0] >= worth[1] - 1e-3
    assert all(len(p.thresholds) == 4 for p in by_class)


def test_goals_are_met_with_the_best_that_meets_them() -> None:
    points = sweep(drawn(3), CYCLES)
    wanted = calibrate(points, Goal(accuracy=0.8))
    assert wanted.accuracy >= 0.8
    assert all(p.mean_cycles >= wanted.mean_cycles for p in points if p.accuracy >= 0.8)
    cheap = calibrate(points, Goal(mean_cycles=30))
    assert cheap.mean_cycles <= 30
    assert all(p.accuracy <= cheap.accuracy for p in points if p.mean_cycles <= 30)
    best = calibrate(points, Goal())
    assert best.product == min(p.product for p in points)


def test_goals_out_of_reach_say_what_can_be_reached() -> None:
    points = sweep(drawn(3), CYCLES)
    with pytest.raises(BudgetError, match="is the most"):
        calibrate(points, Goal(accuracy=1.0))
    with pytest.raises(BudgetError, match="the fast net alone takes 10"):
        calibrate(points, Goal(mean_cycles=9))


def test_percent_that_are_hit_exactly_are_reached() -> None:
    """90.3 / 100 is above 903 / 1000."""
    for right in range(1, 1001):
        points = [Point((0,), right / 1000, 0.0, 10.0)]
        assert calibrate(points, Goal(accuracy=(right / 10) / 100)) is points[0]
        with pytest.raises(BudgetError):
            calibrate(points, Goal(accuracy=((right + 1) / 10) / 100))


def test_interval_holds_the_truth_and_tightens_with_samples() -> None:
    rng = np.random.default_rng(0)
    few, many = ([rng.normal(0.3, 1, n) for _ in range(3)] for n in (100, 10_000))
    wide, narrow = bootstrap(few), bootstrap(many)
    assert wide.low < 0.3 < wide.high and narrow.low < 0.3 < narrow.high
    assert narrow.high - narrow.low < (wide.high - wide.low) / 4
    assert bootstrap(few) == wide


def test_curves_are_crossed_between_their_points() -> None:
    assert crossing([1, 2, 3], [0.1, 0.3, 0.2], 0.2) == pytest.approx(1.5)
    assert crossing([1, 2, 3], [0.1, 0.3, 0.2], 0.1) == 1
    assert crossing([1, 2, 3], [0.1, 0.3, 0.2], 0.31) is None
