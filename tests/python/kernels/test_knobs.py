"""Knobs and the schedules that asking them gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vq_cortexm.errors import UsageError
from vq_cortexm.kernels.knobs import Knobs, every_schedule


def conditional(knobs: Knobs) -> str:
    way = knobs.choose("way", "rows", ["rows", "pixels"])
    unroll = knobs.number("unroll", 8, [4, 8])
    return f"{way}{unroll}" + (str(knobs.number("tile", 2, [2, 4, 8])) if way == "pixels" else "")


def test_all_schedules_are_kernels_and_none_is_there_twice() -> None:
    found = list(every_schedule(conditional))
    made = {conditional(Knobs(schedule)) for schedule in found}
    assert len(found) == len(made) == 2 + 2 * 3
    assert found[0] == {"way": "rows", "unroll": 8}
    assert {"way": "rows", "unroll": 4} in found
    assert {"way": "pixels", "unroll": 4, "tile": 8} in found


def test_without_a_schedule_a_kernel_has_its_own_values() -> None:
    knobs = Knobs()
    assert conditional(knobs) == "rows8"
    assert knobs.answers == {"way": "rows", "unroll": 8}


def test_a_value_that_is_not_possible_is_refused() -> None:
    with pytest.raises(UsageError, match="unroll = 5; possible here: 8, 4"):
        conditional(Knobs({"unroll": 5}))


@given(st.lists(st.integers(1, 4), min_size=0, max_size=4))
def test_as_many_as_the_knobs_values_multiply_to(sizes: list[int]) -> None:
    def make(knobs: Knobs) -> tuple[int, ...]:
        return tuple(knobs.number(f"k{i}", 0, range(size)) for i, size in enumerate(sizes))

    found = [make(Knobs(schedule)) for schedule in every_schedule(make)]
    expected = 1
    for size in sizes:
        expected *= size
    assert len(found) == len(set(found)) == expected
