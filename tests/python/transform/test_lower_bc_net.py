"""Two nets become one function with a branch; nothing that was known of their layers is lost."""

from __future__ import annotations

from tvm import relax
from two_nets import BOTH, accurate, fast

from vq_cortexm import target
from vq_cortexm.bcnet import Policy, compose
from vq_cortexm.compat import IRModule, op_name
from vq_cortexm.transform import LowerBCNet, RemoveConstantChannels
from vq_cortexm.transform.lower_to_tir import realisations
from vq_cortexm.transform.pipeline import select_pipeline
from vq_cortexm.transform.rewriting import bindings_of

NET = ["first", "second", "flat", "logits"]


def names(module: IRModule) -> list[str]:
    return [str(v.name) for v, call in bindings_of(module["main"]) if op_name(call)]


def test_one_function_whose_fast_path_is_a_prefix() -> None:
    lowered = LowerBCNet()(compose(fast(), accurate(), Policy(**BOTH)))
    assert [str(v.name_hint) for v in lowered.functions] == ["main"]
    every = [*(f"fast_{n}" for n in NET), "answer", "decision"]
    every += [*(f"accurate_{n}" for n in NET), "combination"]
    assert names(lowered) == every
    (condition,) = [v for _, v in bindings_of(lowered["main"]) if isinstance(v, relax.If)]
    assert str(condition.cond.name) == "decision"
    assert str(condition.false_branch.body.name) == "answer"
    assert str(condition.true_branch.body.name) == "combination"


def test_a_combination_of_one_net_needs_no_sum() -> None:
    lowered = LowerBCNet()(compose(fast(), accurate()))
    ops = {str(v.name): op_name(call) for v, call in bindings_of(lowered["main"])}
    assert ops["combination"] == "vq.requantize"


def test_a_single_net_stays_as_it_is() -> None:
    module = fast()
    assert LowerBCNet()(module).same_as(module)


def test_facts_of_layers_have_the_nets_name() -> None:
    remove = RemoveConstantChannels()
    module = compose(remove(fast()), remove(accurate()))
    selected = select_pipeline(target.CORES["cortex-m4"], "size")(module)
    lowered = LowerBCNet()(selected)
    layers = [f"{net}_{n}" for net in ("fast", "accurate") for n in NET if n != "flat"]
    assert list(realisations(lowered["main"])) == layers
    attrs = lowered["main"].attrs
    before = [int(selected[n].attrs["vq.removed"]["macs_before"]) for n in ("fast", "accurate")]
    assert int(attrs["vq.removed"]["macs_before"]) == sum(before) > 0
    assert str(attrs["vq.objective"]) == "size"
