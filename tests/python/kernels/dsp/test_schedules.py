"""Every schedule of a kernel is exact: twins on the host, assembly in the emulator."""

from __future__ import annotations

import pytest
from tuned_layers import BOARD, task

from vq_cortexm.tune.image import Cost
from vq_cortexm.tune.measure import Trial, emulate, measure
from vq_cortexm.tune.points import Space

LAYERS = [
    ("keywords", "vq.conv2d"),
    ("keywords", "vq.depthwise_conv2d"),
    ("wake_words", "vq.conv2d"),
    ("residual", "vq.dense"),
]


@pytest.mark.parametrize(("net", "op"), LAYERS)
def test_all_schedules_of_a_layer_are_exact_in_the_emulator(net: str, op: str) -> None:
    one = task(net, op)
    space = Space(one)
    trials = [Trial(lambda point=point: one.make(space.at(point))) for point in space]
    outcomes = measure(trials, one.exam, emulate(BOARD), batch=64)
    assert len(outcomes) > 8
    assert [outcome for outcome in outcomes if not isinstance(outcome, Cost)] == []
    assert len({outcome.cycles for outcome in outcomes if isinstance(outcome, Cost)}) > 3
