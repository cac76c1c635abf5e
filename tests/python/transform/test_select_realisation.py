"""How weights are stored: what each objective chooses, and that it never changes a value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tvm
from nary_net import LAYERS, levels_of, nary_net
from vq_models import TINY_MODELS

from vq_cortexm import transform
from vq_cortexm.build import build_folded
from vq_cortexm.errors import UsageError
from vq_cortexm.reference import run_reference
from vq_cortexm.samples import random_samples
from vq_cortexm.tags import core_of_target
from vq_cortexm.transform.lower_to_tir import built_for, realisations

CORE = core_of_target("vq-cortexm")
NO_DSP = core_of_target("vq-cortexm/cortex-m3")
OBJECTIVES: tuple[Any, ...] = ("size", "balanced", "speed")


def free_net(levels: int, codebook: bool = False) -> Any:
    """Layers that may be stored in any way."""
    module = nary_net(levels_of(levels, codebook, 1), "plain")
    module["main"] = module["main"].without_attr("vq.virtual_quantization")
    return module


def test_weights_of_eight_bits_stay_plain() -> None:
    for make in TINY_MODELS.values():
        chosen = transform.SelectRealisation(CORE)(make())
        assert set(realisations(chosen["main"]).values()) == {"plain"}


@pytest.mark.parametrize("core", [CORE, NO_DSP])
@pytest.mark.parametrize("levels", [2, 3, 9, 16, 21, 200])
def test_objectives_are_ordered(levels: int, core: Any) -> None:
    target = f"vq-cortexm/{core.name}"
    for codebook in (False, True):
        builds = [
            build_folded(free_net(levels, codebook), target, objective=objective, name="net")
            for objective in OBJECTIVES
        ]
        samples = random_samples(builds[0].program.inputs, 1, 1)
        runs = [
            one.run(samples, "mps2-an385" if core is NO_DSP else "mps2-an386") for one in builds
        ]
        size, balanced, speed = (run.flash["total"] for run in runs)
        # code is counted in rough bytes
        assert size <= 1.03 * min(balanced, speed)
        costs = [run.cycles or run.instructions for run in runs]
        assert None not in costs
        assert costs[2] <= 1.05 * min(c for c in costs if c is not None)
        assert all(np.array_equal(run.outputs[0][0], runs[0].outputs[0][0]) for run in runs)


def test_the_pass_changes_no_value() -> None:
    module = free_net(7)
    chosen = transform.SelectRealisation(CORE, "size")(module)
    x = np.random.default_rng(0).integers(-128, 128, (1, 7, 7, 5)).astype(np.int8)
    before, after = run_reference(module, [x]), run_reference(chosen, [x])
    np.testing.assert_array_equal(before[0], after[0])
    assert set(realisations(chosen["main"])) == set(LAYERS)
    assert (built_for(module), built_for(chosen)) == ("balanced", "size")


def test_passes_work_alone_in_a_sequence() -> None:
    passes = [transform.SelectRealisation(CORE, "size"), transform.LowerToTIR(CORE)]
    lowered = tvm.ir.transform.Sequential(passes)(free_net(9))
    stored = {
        name: facts["realisation"] for name, facts in lowered["main"].attrs["vq.layers"].items()
    }
    chosen = realisations(transform.select_pipeline(CORE, "size")(free_net(9))["main"])
    assert stored == chosen and set(stored) == set(LAYERS)


def test_a_folder_keeps_its_objective() -> None:
    compiled = build_folded(free_net(5), objective="size", name="net")
    again = build_folded(compiled.module, name="net")
    assert again.sources == compiled.sources


def test_what_a_kernel_does_not_have_is_refused_with_what_it_has() -> None:
    module = nary_net(levels_of(200, False, 1), "bitfield")
    with pytest.raises(UsageError, match="spatial cannot be stored as bitfield; possible: plain, "):
        build_folded(module, name="net")


def test_an_unknown_objective_is_refused() -> None:
    objective: Any = "fast"
    with pytest.raises(UsageError, match="objective 'fast' is unknown; known: size, balanced, "):
        build_folded(free_net(3), objective=objective)


def test_a_decoder_has_to_save_more_than_its_code() -> None:
    compiled = build_folded(free_net(100), objective="size", name="net")
    assert {step.realisation for step in compiled.program.steps} == {"plain"}
