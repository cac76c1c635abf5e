"""From a database to a layer's schedule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from one_layer import one_layer_module
from tuned_layers import CORE, layers

from vq_cortexm.build import build_folded
from vq_cortexm.codegen.micro_kernel import code_bytes
from vq_cortexm.kernels.layer import Layer, TensorSpec
from vq_cortexm.op.conv2d import Conv2dAttrs
from vq_cortexm.transform.select_schedule import Alternative
from vq_cortexm.tune.choose import Schedules
from vq_cortexm.tune.database import Database, Record
from vq_cortexm.tune.image import Cost
from vq_cortexm.tune.points import Space
from vq_cortexm.tune.task import Task, describe, digest, layer_key


def dense() -> Layer:
    return next(layer for layer in layers("autoencoder") if layer.op == "vq.dense")


def database(layer: Layer, costs: dict[int, Cost]) -> Database:
    """With costs by the number of a schedule."""
    schedules = Space(Task((layer,), CORE)).schedules[0]
    found = Database()
    for number, cost in costs.items():
        task = digest(layer_key(layer, CORE))
        is_own = number == 0
        found.add(describe(layer, CORE), Record(task, "c", schedules[number], cost, is_own))
    return found


def schedules(layer: Layer, costs: dict[int, Cost], objective: Any = "balanced") -> list[Any]:
    known = Schedules((database(layer, costs),), CORE, objective)
    return [(dict(one.schedule), one.cycles) for one in known.alternatives(layer)]


def test_what_is_better_in_cycles_or_flash_is_offered() -> None:
    costs = {
        0: Cost(100, 1, 1000, 50),
        1: Cost(90, 1, 1500, 50),
        2: Cost(120, 1, 900, 50),
        3: Cost(130, 1, 950, 50),
    }
    changed = [one for _, one in sorted(_changes(dense()).items())]
    fast, own, small = (changed[1], 90), ({}, 100), (changed[2], 120)
    assert schedules(dense(), costs, "speed") == [fast, own]
    assert schedules(dense(), costs, "balanced") == [fast, own]
    assert schedules(dense(), costs, "size") == [fast, own, small]


def _changes(layer: Layer) -> dict[int, dict[str, Any]]:
    """What each schedule answers otherwise than the first, by number."""
    own, *others = Space(Task((layer,), CORE)).schedules[0]
    changes = [{k: v for k, v in one.items() if own.get(k) != v} for one in others]
    return dict(enumerate([{}, *changes]))


def test_no_schedule_is_offered_that_needs_more_ram_than_the_kernels_own() -> None:
    costs = {0: Cost(100, 1, 1000, 50), 1: Cost(50, 1, 1000, 51)}
    assert schedules(dense(), costs, "speed") == [({}, 100)]


def test_what_is_not_known_is_left_to_the_kernel() -> None:
    none = Schedules((Database(),), CORE, "balanced")
    assert none.alternatives(dense()) == [Alternative({})]
    assert none.cycles(dense()) is None


def test_a_layer_of_other_sizes_takes_what_was_won_but_nothing_about_sizes() -> None:
    layer = dense()
    weight, bias, scale = layer.constants
    wider = replace(
        layer,
        inputs=(TensorSpec((1, 2 * weight.shape[1]), layer.inputs[0].dtype),),
        constants=(np.concatenate([weight, weight], axis=1), bias, scale),
    )
    schedules = Space(Task((layer,), CORE)).schedules[0]
    better = next(n for n, one in enumerate(schedules) if one.get("unroll") == 16)
    smaller = next(n for n, one in enumerate(schedules) if one.get("unroll") == 8)
    costs = {0: Cost(100, 1, 9, 9), better: Cost(60, 1, 19, 9), smaller: Cost(160, 1, 8, 9)}
    known = database(layer, costs)
    own, fast, small = (
        Alternative({}, 200.0),
        Alternative({"unroll": 16}, 120.0),
        Alternative({"unroll": 8}, 320.0),
    )
    assert Schedules((known,), CORE, "speed").alternatives(wider) == [own, fast]
    assert Schedules((known,), CORE, "size").alternatives(wider) == [own, fast, small]
    other_core = replace(CORE, name="cortex-m7")
    assert Schedules((known,), other_core, "speed").alternatives(wider) == [Alternative({})]


def test_a_schedule_that_the_weights_do_not_allow_is_not_taken() -> None:
    """Layers of one key may differ in what their weights allow."""
    layer = next(one for one in layers("wake_words") if one.op == "vq.conv2d")
    space = Space(Task((layer,), CORE))
    pairs = next(n for n, one in enumerate(space.schedules[0]) if one["weights"] == "pairs" and n)
    known = database(layer, {0: Cost(100, 1, 9, 9), pairs: Cost(60, 1, 9, 9)})
    weight, bias, scale = layer.constants
    extreme = np.where(weight >= 0, 127, -128).astype(np.int8)
    heavy = replace(layer, constants=(extreme, bias, scale))
    assert layer_key(heavy, CORE) == layer_key(layer, CORE)
    for one in Schedules((known,), CORE, "speed").alternatives(heavy):
        assert one.schedule.get("weights") != "pairs"
        Task((heavy,), CORE).make([one.schedule])


@pytest.mark.parametrize("depth", [13, 27])
def test_builds_follow_the_objective_where_no_layer_was_measured(depth: int) -> None:
    """The layers most like it won by long routines."""
    rng = np.random.default_rng(depth)
    weight = rng.integers(-127, 128, (11, 3, 3, depth)).astype(np.int8)
    scales = rng.uniform(1e-3, 2e-3, 11).astype(np.float32)
    attrs = Conv2dAttrs(
        strides=(1, 1),
        padding=(1, 1, 1, 1),
        dilation=(1, 1),
        groups=1,
        x_scale=0.05,
        x_zero_point=-128,
        y_scale=0.1,
        y_zero_point=-128,
        y_min=-128,
        y_max=127,
        rounding="single",
    )
    shape = (1, 16, 16, depth)
    module = one_layer_module(
        "conv2d", shape, "int8", [weight, np.zeros(11, np.int32), scales], attrs
    )
    code = {}
    for objective in ("size", "balanced", "speed"):
        program = build_folded(module, "vq-cortexm/mps2-an386", objective=objective).program
        code[objective] = sum(
            code_bytes(m) for each in program.micro_kernels.values() for m in each
        )
    assert code["size"] <= code["balanced"] <= code["speed"]
    assert 3 * code["size"] < 2 * code["speed"]
