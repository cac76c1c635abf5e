"""How long a client waits."""

from __future__ import annotations

from itertools import islice

import pytest

from vq_cortexm.micro.pace import Pace, growing_waits


def first_wait(pace: Pace) -> float:
    return next(pace.waits(100.0))


def test_it_follows_the_answers_down_to_a_floor():
    pace = Pace(0.1, 40.0)
    assert first_wait(pace) == 0.1
    pace.answered(0.04)
    assert first_wait(pace) == pytest.approx(0.08)
    for _ in range(10):
        pace.answered(0.0)
    assert first_wait(pace) == pytest.approx(0.01)


def test_late_answers_make_it_patient_up_to_a_limit():
    pace = Pace(0.1, 40.0)
    for _ in range(3):
        pace.late()
    assert first_wait(pace) == pytest.approx(0.8)
    for _ in range(30):
        pace.late()
    assert first_wait(pace) == 2.0
    pace.answered(9.0)
    assert first_wait(pace) == 2.0


def test_it_comes_down_step_by_step():
    pace = Pace(1.6, 40.0)
    for _ in range(4):
        pace.answered(0.001)
    assert first_wait(pace) == pytest.approx(0.1)


def test_waits_grow_up_to_a_share_of_the_limit():
    waits = list(islice(Pace(0.1, 40.0).waits(100.0, expected_seconds=0.4), 12))
    assert waits[0] == pytest.approx(0.7)
    assert waits[1] == pytest.approx(0.91)
    assert waits[-1] == 5.0


def test_the_last_wait_ends_with_the_limit():
    assert next(growing_waits(5.0, 10.0, 0.5)) == pytest.approx(0.5, abs=0.1)
    assert list(growing_waits(1.0, 1.0, 0.0)) == []
