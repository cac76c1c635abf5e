"""Schedules that are put on a module: where they go, and that they never change a value."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from tuned_layers import CORE, folded
from two_nets import accurate, fast, samples

from vq_cortexm import bcnet, transform
from vq_cortexm.build import build_folded
from vq_cortexm.errors import UsageError
from vq_cortexm.kernels.layer import Layer
from vq_cortexm.samples import random_samples
from vq_cortexm.transform.lower_to_tir import realisations, schedules
from vq_cortexm.transform.select_schedule import Alternative, Alternatives


def short(layer: Layer) -> list[Alternative]:
    """Four steps at a time, where there is the choice."""
    return [Alternative({"unroll": 4} if layer.op == "vq.conv2d" else {})]


def selected(alternatives: Alternatives, module: Any) -> Any:
    return transform.select_pipeline(CORE, "balanced", alternatives)(module)


def test_the_choice_is_kept_by_layer_and_reaches_the_kernels() -> None:
    module = selected(short, folded("residual"))
    chosen = schedules(module["main"])
    assert chosen and set(map(json.dumps, chosen.values())) == {'{"unroll": 4}'}
    own, other = build_folded(folded("residual")), build_folded(module)
    x = random_samples(own.program.inputs, 2, seed=1)
    runs = [compiled.run(x, "mps2-an386", check=True) for compiled in (own, other)]
    assert all(run.bit_exact for run in runs)
    assert runs[1].flash["text"] < runs[0].flash["text"]
    assert (runs[1].cycles or 0) > (runs[0].cycles or 0)


def test_what_a_kernel_cannot_do_is_refused_with_what_it_can() -> None:
    with pytest.raises(UsageError, match="unroll = 5; possible here: "):
        selected(lambda _layer: [Alternative({"unroll": 5})], folded("residual"))


def test_two_nets_have_a_choice_each() -> None:
    module = bcnet.compose(fast(), accurate())
    module = selected(short, module)
    lowered = transform.LowerBCNet()(module)
    assert set(schedules(lowered["main"])) == {
        f"{net}_{layer}" for net in ("fast", "accurate") for layer in ("first", "second")
    }
    assert build_folded(module).run(samples(3), check=True).bit_exact


def test_a_module_that_was_built_keeps_its_schedules() -> None:
    built = build_folded(selected(short, folded("residual")))
    again = build_folded(built.module)
    assert again.sources == built.sources
    assert schedules(again.module["main"]) == schedules(built.module["main"]) != {}
    other = build_folded(built.module, objective="speed")
    assert schedules(other.module["main"]) == {}


def test_of_several_alternatives_the_objective_takes_what_is_best_together() -> None:
    """Short code pays only where layers share it."""

    def both(layer: Layer) -> list[Alternative]:
        if layer.op != "vq.conv2d":
            return [Alternative({}, 10.0)]
        return [Alternative({}, 100.0), Alternative({"unroll": 4}, 110.0)]

    for objective, count in (("speed", 0), ("size", 4)):
        module = transform.select_pipeline(CORE, objective, both)(folded("residual"))
        assert len(schedules(module["main"])) == count


@pytest.mark.parametrize(("others", "count"), [(0.0, 0), (None, 4)])
def test_layers_that_nobody_measured_are_counted(others: float | None, count: int) -> None:
    """Little is gained where a few convolutions get faster, beside all else that takes time."""

    def alternatives(layer: Layer) -> list[Alternative]:
        if layer.op != "vq.conv2d":
            return [Alternative({}, others)]
        return [Alternative({}, 1.0), Alternative({"unroll": 4}, 2.0)]

    assert len(schedules(selected(alternatives, folded("residual"))["main"])) == count


def test_measured_cycles_decide_how_weights_are_stored() -> None:
    from nary_net import levels_of, nary_net

    module = nary_net(levels_of(9, False, 1), "plain")
    module["main"] = module["main"].without_attr("vq.virtual_quantization")

    def cheap(name: str) -> Any:
        return lambda layer: 1000.0 if layer.realisation == name else 9e9

    for name in ("plain", "bitfield"):
        chosen = transform.SelectRealisation(CORE, "speed", cheap(name))(module)
        assert set(realisations(chosen["main"]).values()) == {name}


def test_the_outputs_are_those_of_the_kernels_own_schedules() -> None:
    own = build_folded(folded("keywords"))
    module = selected(short, folded("keywords"))
    x = random_samples(own.program.inputs, 3, seed=2)
    a, b = (compiled.run(x, "host").outputs for compiled in (own, build_folded(module)))
    assert all(np.array_equal(one[0], other[0]) for one, other in zip(a, b, strict=True))
