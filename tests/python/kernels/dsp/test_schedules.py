"""Every schedule of a kernel is exact: twins on the host, assembly in the emulator."""

from __future__ import annotations

from functools import partial

import pytest
from binary_layers import BinaryLayer
from tuned_layers import BOARD, CORE, task

from vq_cortexm.transform.lower_to_tir import kernel_calls, layer_of
from vq_cortexm.tune.image import Cost
from vq_cortexm.tune.measure import Trial, emulate, measure
from vq_cortexm.tune.points import Space
from vq_cortexm.tune.task import Task

LAYERS = [
    ("keywords", "vq.conv2d"),
    ("keywords", "vq.depthwise_conv2d"),
    ("wake_words", "vq.conv2d"),
    ("residual", "vq.dense"),
]


def exact_costs(one: Task) -> list[int]:
    """The cycles of all schedules, none of which fails."""
    space = Space(one)
    trials = [Trial(partial(one.make, space.at(point))) for point in space]
    outcomes = measure(trials, one.exam, emulate(BOARD), batch=64)
    assert [outcome for outcome in outcomes if not isinstance(outcome, Cost)] == []
    return [outcome.cycles or 0 for outcome in outcomes if isinstance(outcome, Cost)]


@pytest.mark.parametrize(("net", "op"), LAYERS)
def test_all_schedules_of_a_layer_are_exact_in_the_emulator(net: str, op: str) -> None:
    cycles = exact_costs(task(net, op))
    assert len(cycles) > 8
    assert len(set(cycles)) > 3


@pytest.mark.parametrize("y_dtype", ["int32", "int8"])
def test_both_ways_to_count_bits_are_exact(y_dtype: str) -> None:
    layer = BinaryLayer((4, 4), 40, 33, 3, padding=(1, 1, 1, 1), y_dtype=y_dtype)
    (call,) = kernel_calls(layer.module()["main"])
    cycles = exact_costs(Task((layer_of(call),), CORE))
    assert len(cycles) == 2
    assert cycles[0] <= cycles[1]
