"""The memory planner: never an overlap that is not allowed, never below the bound."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vq_cortexm.aot.plan import ALIGNMENT, MemoryPlan, Placement, check_plan, plan_memory
from vq_cortexm.aot.program import Program, Step, Storage
from vq_cortexm.kernels.access_order import ELEMENT_BY_ELEMENT, AccessOrder, by_rows

ORDERS = (
    None,
    ELEMENT_BY_ELEMENT,
    by_rows(8, 8, first_read=-1, stride=1),
    by_rows(8, 16, first_read=2, stride=1),
    AccessOrder(8, 24, backward=True),
    AccessOrder(0, 1, lead_bytes=1000),
)


def step(
    output: str,
    inputs: tuple[str, ...],
    inplace: tuple[str, ...] = (),
    order: AccessOrder | None = None,
) -> Step:
    return Step(output, "op", "f", (), inputs, output, (), dict.fromkeys(inplace, order), 0)


def program(storages: list[Storage], steps: list[Step]) -> Program:
    return Program((), (), (), tuple(steps), tuple(storages), (), {}, {}, {}, {})


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Random straight-line programs: each step reads one or two earlier tensors, may work in
    place on them and may use scratch."""
    count = draw(st.integers(1, 9))
    sizes = draw(st.lists(st.integers(1, 300), min_size=count + 1, max_size=count + 1))
    last = {"t0": 0}
    first = {"t0": 0}
    steps: list[Step] = []
    scratch: list[Storage] = []
    for index in range(count):
        names = list(first)
        inputs = tuple(draw(st.lists(st.sampled_from(names), min_size=1, max_size=2)))
        for name in inputs:
            last[name] = index
        inplace = inputs if draw(st.booleans()) else ()
        output = f"t{index + 1}"
        first[output] = last[output] = index
        steps.append(step(output, inputs, inplace, draw(st.sampled_from(ORDERS))))
        if draw(st.booleans()):
            scratch.append(Storage(f"s{index}", "scratch", draw(st.integers(1, 99)), index, index))
    last[f"t{count}"] = count
    storages = [
        Storage(name, "intermediate", size, first[name], last[name])
        for name, size in zip(first, sizes, strict=True)
    ]
    return program([*storages, *scratch], steps)


@settings(max_examples=150, deadline=None)
@given(programs())
def test_random_programs(drawn: Program) -> None:
    plan = plan_memory(drawn)
    check_plan(plan, drawn)
    assert all(p.offset % ALIGNMENT == 0 for p in plan.placements)
    assert plan.arena_bytes >= plan.lower_bound_bytes
    assert plan.arena_bytes == max(-(-p.end // ALIGNMENT) * ALIGNMENT for p in plan.placements)
    for p in plan.placements:
        for q in plan.placements:
            together = p.storage.first <= q.storage.last and q.storage.first <= p.storage.last
            if p is q or not together or p.end <= q.offset or q.end <= p.offset:
                continue
            (order,) = [
                s.inplace[x.storage.name]
                for x, y in ((p, q), (q, p))
                for s in drawn.steps
                if s.output == y.storage.name and x.storage.name in s.inplace
            ]
            assert order is not None or p.offset == q.offset
            # exact: tests/python/kernels/test_access_order.py


def test_plan_is_deterministic() -> None:
    storages = [Storage(f"t{i}", "intermediate", 40 * i % 70 + 5, i, i + 2) for i in range(12)]
    drawn = program(storages, [])
    assert plan_memory(drawn) == plan_memory(drawn)


def test_chain_meets_the_bound() -> None:
    storages = [
        Storage("x", "input", 100, 0, 0),
        Storage("a", "intermediate", 60, 0, 1),
        Storage("b", "intermediate", 80, 1, 2),
        Storage("y", "output", 10, 2, 3),
    ]
    drawn = program(storages, [step("a", ("x",)), step("b", ("a",)), step("y", ("b",))])
    plan = plan_memory(drawn)
    assert plan.arena_bytes == plan.lower_bound_bytes == 160


def test_inplace_step_costs_no_second_buffer() -> None:
    storages = [Storage("x", "input", 100, 0, 0), Storage("y", "output", 100, 0, 1)]
    apart = program(storages, [step("y", ("x",))])
    inplace = program(storages, [step("y", ("x",), ("x",))])
    assert plan_memory(apart).arena_bytes == 200
    assert plan_memory(inplace).arena_bytes == 100


def test_input_that_is_read_later_is_not_overwritten() -> None:
    storages = [
        Storage("x", "input", 100, 0, 1),
        Storage("a", "intermediate", 100, 0, 1),
        Storage("y", "output", 100, 1, 2),
    ]
    drawn = program(storages, [step("a", ("x",), ("x",)), step("y", ("a", "x"), ("a",))])
    assert plan_memory(drawn).arena_bytes == 200


def test_check_finds_a_forbidden_overlap() -> None:
    a = Storage("a", "intermediate", 8, 0, 1)
    b = Storage("b", "intermediate", 8, 1, 2)
    plan = MemoryPlan((Placement(a, 0), Placement(b, 4)), 12, 16)
    with pytest.raises(ValueError, match="b overlaps a"):
        check_plan(plan, program([a, b], [step("b", ("a",), ("a",))]))


def _pair(order: AccessOrder | None, output_offset: int, input_bytes: int = 64) -> None:
    """Checks x at 64 and y, made from it and as large, at `output_offset`."""
    x = Storage("x", "intermediate", input_bytes, 0, 1)
    y = Storage("y", "intermediate", 64, 1, 2)
    plan = MemoryPlan((Placement(x, 64), Placement(y, output_offset)), 200, 64)
    check_plan(plan, program([x, y], [step("x", ()), step("y", ("x",), ("x",), order)]))


@pytest.mark.parametrize(
    ("order", "first", "last"),
    [
        (None, 64, 64),
        (ELEMENT_BY_ELEMENT, 0, 64),
        (by_rows(8, 8, first_read=-1, stride=1), 0, 48),
        (by_rows(8, 8, first_read=2, stride=1), 0, 72),
        (AccessOrder(8, 8, backward=True), 64, 128),
    ],
)
def test_check_holds_each_distance_against_the_access_order(
    order: AccessOrder | None, first: int, last: int
) -> None:
    apart = {0, *range(128, 137)}
    for offset in range(137):
        if first <= offset <= last or offset in apart:
            _pair(order, offset)
        else:
            with pytest.raises(ValueError, match="y overlaps x"):
                _pair(order, offset)


def test_input_that_lives_on_is_not_overwritten_whatever_the_order() -> None:
    x = Storage("x", "intermediate", 8, 0, 2)
    y = Storage("y", "intermediate", 8, 1, 2)
    drawn = program([x, y], [step("x", ()), step("y", ("x",), ("x",), ELEMENT_BY_ELEMENT)])
    with pytest.raises(ValueError, match="y overlaps x"):
        check_plan(MemoryPlan((Placement(x, 0), Placement(y, 0)), 8, 8), drawn)


def test_output_starts_in_front_of_its_input() -> None:
    order = by_rows(8, 8, first_read=-1, stride=1)
    storages = [Storage("x", "input", 64, 0, 0), Storage("y", "output", 64, 0, 1)]
    plan = plan_memory(program(storages, [step("y", ("x",), ("x",), order)]))
    assert (plan.offset("x"), plan.offset("y")) == (16, 0)
    assert plan.arena_bytes == plan.lower_bound_bytes == 80


def test_growing_output_costs_nothing_but_itself() -> None:
    order = by_rows(8, 16, first_read=2, stride=1)
    storages = [Storage("x", "input", 64, 0, 0), Storage("y", "output", 128, 0, 1)]
    plan = plan_memory(program(storages, [step("y", ("x",), ("x",), order)]))
    assert plan.arena_bytes == plan.lower_bound_bytes == 128


def test_chain_of_convolutions_steps_down() -> None:
    order = by_rows(8, 8, first_read=-1, stride=1)
    storages = [Storage(f"t{i}", "intermediate", 64, i, i + 1) for i in range(4)]
    steps = [
        step("t0", ()),
        *(step(f"t{i}", (f"t{i - 1}",), (f"t{i - 1}",), order) for i in (1, 2, 3)),
    ]
    plan = plan_memory(program(storages, steps))
    check_plan(plan, program(storages, steps))
    assert plan.arena_bytes <= 112
