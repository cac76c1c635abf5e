"""The integer program against all choices, one by one."""

from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from vq_cortexm.fit.integer_program import choose, choose_nearest, excess_share, total
from vq_cortexm.fit.problem import Budgets, Candidate, Choice, Cost, Costs

LAYERS = ("first", "second", "third")
LEVELS = (4, 16, 256)
ROUTINES = {"four": 30, "sixteen": 50, "all": 20}
_SIZE = st.integers(0, 200)

Problem = tuple[dict[Candidate, float], Costs, Budgets]


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Three layers of two or three candidates, shared code, and any budgets."""
    losses: dict[Candidate, float] = {}
    layers: dict[Candidate, Cost] = {}
    for layer in LAYERS:
        for levels in LEVELS[draw(st.integers(0, 1)) :]:
            routines = frozenset(draw(st.sets(st.sampled_from(sorted(ROUTINES)))))
            for realisation in draw(st.sampled_from([("plain",), ("plain", "radix")])):
                candidate = Candidate(layer, levels, realisation)
                layers[candidate] = Cost(*(draw(_SIZE) for _ in range(4)), routines)
                losses[candidate] = draw(st.floats(0, 10))
    costs = Costs(layers, ROUTINES, 10, 5, 1)
    limit = st.none() | st.integers(1, 700)
    return losses, costs, Budgets(*(draw(limit) for _ in range(4)))


def _all_choices(costs: Costs) -> list[Choice]:
    return [{c.layer: c for c in chosen} for chosen in product(*costs.choices.values())]


def _loss(losses: dict[Candidate, float], choice: Choice) -> float:
    return sum(losses[candidate] for candidate in choice.values())


def _is_close(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-5 * max(1.0, abs(b))


@settings(max_examples=150, deadline=None)
@given(problems())
def test_choice_is_the_best_of_all(problem: Problem) -> None:
    losses, costs, budgets = problem
    allowed = [c for c in _all_choices(costs) if not budgets.excess(total(costs, c))]
    found = choose(losses, costs, budgets)
    assert (found is None) == (not allowed)
    if found is not None:
        assert found in allowed
        assert _is_close(_loss(losses, found), min(_loss(losses, c) for c in allowed))


@settings(max_examples=150, deadline=None)
@given(problems())
def test_nearest_exceeds_budgets_the_least(problem: Problem) -> None:
    losses, costs, budgets = problem
    found = choose_nearest(losses, costs, budgets)
    least = min(max(0.0, excess_share(costs, c, budgets)) for c in _all_choices(costs))
    # the solver's tolerance, far from a unit of any of these budgets
    assert excess_share(costs, found, budgets) <= least + 1e-5


def test_shared_code_counts_once() -> None:
    cost = Cost(10, 20, 5, 100, frozenset({"all"}))
    layers = {Candidate(layer, 16, "plain"): cost for layer in LAYERS}
    costs = Costs(layers, ROUTINES, 1, 2, 3)
    assert total(costs, {c.layer: c for c in layers}) == {
        "flash_bytes": 1 + 3 * 20 + ROUTINES["all"],
        "ram_bytes": 5,
        "cycles": 3 + 300,
        "weight_bytes": 30,
    }


def test_no_budget_is_no_matter() -> None:
    few, some, all_levels = (Candidate("first", levels, "plain") for levels in LEVELS)
    layers = {c: Cost(c.levels, c.levels, c.levels, c.levels) for c in (few, some, all_levels)}
    losses = {c: 1 / c.levels for c in layers}
    costs = Costs(layers, {}, 0, 0, 0)
    assert choose(losses, costs, Budgets()) == {"first": all_levels}
    assert choose(losses, costs, Budgets(ram_bytes=20)) == {"first": some}
    assert choose(losses, costs, Budgets(weight_bytes=3)) is None
    assert choose_nearest(losses, costs, Budgets(weight_bytes=3)) == {"first": few}
