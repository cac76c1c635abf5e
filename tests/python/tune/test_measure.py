"""Candidates that fail take nothing from those beside them."""

from __future__ import annotations

from functools import partial

import pytest
from tuned_layers import BOARD, hanging, task, wrong

from vq_cortexm.errors import UsageError
from vq_cortexm.tune.image import Cost, Made
from vq_cortexm.tune.measure import Failure, Trial, emulate, measure
from vq_cortexm.tune.points import Point, Space


def make(space: Space, number: int, point: Point) -> Made:
    """As the point says; every 7th crashes, every 11th hangs, every 13th is wrong."""
    made = space.task.make(space.at(point))
    if number % 7 == 0:
        raise RuntimeError("the builder crashes")
    if number % 11 == 0:
        return hanging(made)
    return wrong(made) if number % 13 == 0 else made


def test_faulty_candidates_leave_the_result_as_good_as_without() -> None:
    one = task("residual", "vq.dense")
    space = Space(one)
    points = list(space)
    run = emulate(BOARD)
    whole = measure(
        [Trial(partial(one.make, space.at(point))) for point in points], one.exam, run, jobs=2
    )
    numbered = list(enumerate(points, 1))
    faulty = [Trial(partial(make, space, number, point)) for number, point in numbered]
    found = measure(faulty, one.exam, run, jobs=2)
    for (number, _), with_faults, without in zip(numbered, found, whole, strict=True):
        if number % 7 == 0:
            assert with_faults == Failure("RuntimeError: the builder crashes")
        elif number % 11 == 0:
            assert isinstance(with_faults, Failure)
            assert "instructions" in with_faults.reason
        elif number % 13 == 0:
            assert with_faults == Failure("wrong outputs")
        else:
            assert isinstance(without, Cost)
            assert isinstance(with_faults, Cost)
            assert with_faults.flash_bytes == without.flash_bytes
            # what calls a kernel depends on where it and its tensors lie
            assert with_faults.cycles == pytest.approx(without.cycles, rel=0.005, abs=16)


def test_what_cannot_be_made_is_a_failure_that_says_why() -> None:
    one = task("residual", "vq.dense")

    def refuse() -> Made:
        raise UsageError("the schedule says tile = 3")

    def never(*_: object) -> None:
        raise AssertionError("nothing is to be run")

    assert measure([Trial(refuse)], one.exam, never) == [Failure("the schedule says tile = 3")]


def test_an_image_that_does_not_build_is_each_candidates_own_failure() -> None:
    one = task("residual", "vq.dense")
    calls = []

    def fail(image: object, samples: object, instructions: int) -> None:
        calls.append(image)
        raise UsageError("no compiler")

    trials = [Trial(partial(one.make, [{}]))] * 3
    assert measure(trials, one.exam, fail) == [Failure("no compiler")] * 3
    assert len(calls) == 1 + 3
