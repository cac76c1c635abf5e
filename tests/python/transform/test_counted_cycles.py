"""Counted cycles beside those of the emulator's model, for layers as nobody measured them."""

from __future__ import annotations

from functools import partial

import pytest
from nary_net import levels_of, nary_net
from tuned_layers import CORE
from two_nets import fast

from vq_cortexm.build import build_folded
from vq_cortexm.compat import IRModule, op_name
from vq_cortexm.kernels import realise
from vq_cortexm.op.registry import count_macs
from vq_cortexm.samples import random_samples
from vq_cortexm.transform import select_pipeline
from vq_cortexm.transform.counted_cycles import counted_cycles
from vq_cortexm.transform.lower_to_tir import layer_of, realisations
from vq_cortexm.transform.rewriting import bindings_of


def counted(module: IRModule) -> dict[str, float]:
    """By layer, of those with products."""
    stored = realisations(module["main"])
    result = {}
    for var, call in bindings_of(module["main"]):
        if op_name(call).startswith("vq.") and count_macs(call):
            name = str(var.name)
            kernel = realise(layer_of(call, False, stored.get(name, "plain")), CORE)
            result[name] = counted_cycles(kernel, call)
    return result


@pytest.mark.parametrize(
    "net",
    [fast, *(partial(nary_net, levels_of(n, False, n), "plain") for n in (4, 11))],
    ids=["binary", "4 levels", "11 levels"],
)
def test_of_the_order_of_the_model(net: object) -> None:
    module = select_pipeline(CORE)(net())  # type: ignore[operator]
    compiled = build_folded(module)
    samples = random_samples(compiled.program.inputs, 1, seed=1)
    run = compiled.run(samples, "mps2-an386")
    modelled = {layer.name: layer.cycles or 0 for layer in run.layers}
    found = counted(module)
    assert found
    for name, cycles in found.items():
        assert modelled[name] / 3 < cycles < modelled[name]
