"""Builds of quantized networks, and what is read from them."""

from __future__ import annotations

import numpy as np
import pytest
from float_nets import chain_onnx, samples

from vq_cortexm.fit.bench import Bench, ram_bytes, run_on_host
from vq_cortexm.fit.problem import Candidate, Plan
from vq_cortexm.fit.sensitivity import tensors
from vq_cortexm.nary.encoding import Realisation
from vq_cortexm.quantize.activation_scales import scale_of_range
from vq_cortexm.quantize.quantize_graph import QuantizedGraph, quantize_graph
from vq_cortexm.quantize.read_onnx import read_onnx
from vq_cortexm.target import board_by_name
from vq_cortexm.transform.vq_config import VirtualQuantizeConfig

BENCH = Bench(board_by_name("mps2-an386"))
X = samples((3, 7, 7), 40)


@pytest.fixture(scope="module")
def base() -> QuantizedGraph:
    config = VirtualQuantizeConfig()
    return quantize_graph(read_onnx(chain_onnx(), "net"), X, scale_of_range(-4, 4), config)


def _plan(network: QuantizedGraph, realisation: Realisation) -> Plan:
    names = [node.name for node in network.graph.products]
    return Plan(tuple(Candidate(name, 256, realisation) for name in names), "size")


def test_plan_is_built_as_it_is(base: QuantizedGraph) -> None:
    plan = _plan(base, "plain")
    compiled, built = BENCH.build_planned(base, plan)
    assert built is plan
    layers = {layer["name"]: layer["realisation"] for layer in compiled.report["layers"]}
    assert {layers[candidate.layer] for candidate in plan.layers} == {"plain"}


def test_realisation_that_does_not_suit_is_given_up(base: QuantizedGraph) -> None:
    compiled, built = BENCH.build_planned(base, _plan(base, "nested"))
    layers = {layer["name"]: layer["realisation"] for layer in compiled.report["layers"]}
    assert built.objective == "size"
    assert all(candidate.realisation == layers[candidate.layer] for candidate in built.layers)
    assert "nested" not in layers.values()


def test_host_gives_real_numbers(base: QuantizedGraph) -> None:
    name = base.graph.outputs[0]
    step = base.scales[name].scale
    got, expected = run_on_host(BENCH.build(base), X), tensors(base, X)[name]
    assert got.dtype == np.float32
    assert np.abs(got - expected).max() < 1.01 * step


def test_ram_of_layers_is_within_the_models(base: QuantizedGraph) -> None:
    compiled = BENCH.build(base)
    run = BENCH.profile(compiled)
    taken = ram_bytes(compiled, run)
    assert list(taken) == [layer.name for layer in run.layers]
    assert max(taken.values()) <= run.ram["total"]
    assert min(taken.values()) > 0
