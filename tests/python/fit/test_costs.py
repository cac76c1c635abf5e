"""Costs of layers, and the bytes that their weights are stored in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest
from float_nets import OnnxNet, samples

from vq_cortexm.compiled_model import CompiledModel
from vq_cortexm.fit.bench import Bench, run_on_host
from vq_cortexm.fit.costs import measure_costs
from vq_cortexm.fit.model import HeldOut, verify
from vq_cortexm.fit.problem import Candidate, Costs
from vq_cortexm.fit.sensitivity import measure_sensitivity, with_levels
from vq_cortexm.nary.encoding import Realisation
from vq_cortexm.quantize.activation_scales import scale_of_range
from vq_cortexm.quantize.quantize_graph import quantize_graph
from vq_cortexm.quantize.read_onnx import read_onnx
from vq_cortexm.target import board_by_name
from vq_cortexm.transform.lower_to_tir import Objective
from vq_cortexm.transform.vq_config import VirtualQuantizeConfig

BENCH = Bench(board_by_name("mps2-an386"))
LEVELS = (16, 256)
CHANNELS = 128
X = samples((4, 4, 4), 40)


@dataclass(frozen=True, eq=False)
class Measured:
    """Costs, and builds for size by number of levels."""

    costs: dict[Objective, Costs]
    builds: dict[int, CompiledModel]

    def weight_bytes(self, levels: int) -> list[int]:
        """Of the layers of a build, by the costs."""
        layers = self.builds[levels].report["layers"]
        candidates = (
            Candidate(x["name"], levels, cast(Realisation, x["realisation"])) for x in layers
        )
        costs = self.costs["size"].layers
        return [costs[c].weight_bytes for c in candidates if c in costs]


@pytest.fixture(scope="module")
def measured() -> Measured:
    """1×1, depthwise, 1×1: most weights are the depthwise layer's."""
    net = OnnxNet(X.shape[1:])
    stem = net.conv("x", CHANNELS, 4, 1, 1)
    deep = net.conv(stem, CHANNELS, 1, 3, 3, group=CHANNELS, pads=[1, 1, 1, 1])
    graph = read_onnx(net.file(net.conv(deep, 4, CHANNELS, 1, 1)), "net")
    base = quantize_graph(graph, X, scale_of_range(-4, 4), VirtualQuantizeConfig())
    sensitivity = measure_sensitivity(base, X, LEVELS, is_classifier=False)
    networks = {levels: with_levels(base, sensitivity, levels) for levels in LEVELS}
    builds = {levels: BENCH.build(network, "size") for levels, network in networks.items()}
    return Measured(measure_costs(base, sensitivity, LEVELS, BENCH), builds)


def test_weights_cost_what_is_stored(measured: Measured) -> None:
    plain, few = measured.weight_bytes(256), measured.weight_bytes(16)
    # a depthwise channel has 9 taps; plain, they take three words
    assert plain == [4 * CHANNELS, 12 * CHANNELS, 4 * CHANNELS]
    assert few == [2 * CHANNELS, 9 * CHANNELS // 2, 4 * CHANNELS]
    before, after = (
        sum(constant.value.nbytes for constant in measured.builds[levels].program.constants)
        for levels in (256, 16)
    )
    assert before - after == sum(plain) - sum(few)


def test_model_stores_what_its_layers_do(measured: Measured) -> None:
    reference = run_on_host(measured.builds[256], X)
    held_out = HeldOut(X, None, is_classifier=False)
    figures, _ = verify(measured.builds[16], held_out, reference, BENCH)
    assert figures.weight_bytes == sum(measured.weight_bytes(16))
