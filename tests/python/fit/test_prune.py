"""Fewer channels: the compiler removes them, and what is left is exact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from float_nets import residual_onnx, samples

from vq_cortexm.compat import op_name
from vq_cortexm.fit.bench import Bench, run_on_host
from vq_cortexm.fit.channel_groups import ChannelGroups
from vq_cortexm.fit.prune import (
    Ranking,
    fewest_groups,
    prune_masks,
    rank_groups,
    without_channels,
)
from vq_cortexm.fit.sensitivity import loss_between, tensors
from vq_cortexm.quantize.activation_scales import scale_of_range
from vq_cortexm.quantize.graph import FloatArray, FloatGraph
from vq_cortexm.quantize.quantize_graph import BoolArray, QuantizedGraph, quantize_graph
from vq_cortexm.quantize.read_onnx import read_onnx
from vq_cortexm.samples import random_samples
from vq_cortexm.target import board_by_name
from vq_cortexm.transform.rewriting import bindings_of
from vq_cortexm.transform.virtual_quantize import CHANNEL_AXES, layer_weights
from vq_cortexm.transform.vq_config import VirtualQuantizeConfig

BENCH = Bench(board_by_name("mps2-an386"))
SCALE = scale_of_range(-4, 4)


@dataclass(frozen=True, eq=False)
class Network:
    """A residual network of 8 channels, samples, and the order in which its groups go."""

    graph: FloatGraph
    x: FloatArray
    base: QuantizedGraph
    groups: ChannelGroups
    ranking: Ranking

    def pruned(self, count: int) -> tuple[dict[str, BoolArray], QuantizedGraph]:
        """Without `count` groups, fitted anew."""
        masks = prune_masks(self.groups, self.ranking, count)
        config = VirtualQuantizeConfig()
        return masks, quantize_graph(self.graph, self.x, SCALE, config, pruned=masks)


@pytest.fixture(scope="module")
def network() -> Network:
    graph, x = read_onnx(residual_onnx(), "net"), samples((3, 9, 8), 100)
    base = quantize_graph(graph, x, SCALE, VirtualQuantizeConfig())
    groups, ranking = rank_groups(base, tensors(base, x))
    return Network(graph, x, base, groups, ranking)


def test_compiler_removes_them_and_stays_exact(network: Network) -> None:
    masks, quantized = network.pruned(3)
    assert {int(mask.sum()) for mask in masks.values()} == {3, 0}
    plain, compiled = (BENCH.build(q) for q in (network.base, quantized))
    calls = [call for _, call in bindings_of(compiled.module["main"])]
    counts = [layer_weights(c).weight.size for c in calls if op_name(c) in CHANNEL_AXES]
    # of 8 channels 5 are left
    assert counts == [5 * 27, 5 * 9, 5 * 5, 5 * 5]
    assert compiled.program.macs < plain.program.macs
    drawn = random_samples(compiled.program.inputs, 5, seed=3)
    assert compiled.run(drawn, "mps2-an386", check=True).bit_exact


def test_size_is_known_before_the_fit(network: Network) -> None:
    masks, quantized = network.pruned(2)
    estimated, fitted, whole = (
        [step.weight_bytes for step in BENCH.build(q).program.steps]
        for q in (without_channels(network.base, masks), quantized, network.base)
    )
    assert estimated == fitted
    assert sum(fitted) < sum(whole)


def test_fit_makes_up_for_what_is_gone(network: Network) -> None:
    masks, quantized = network.pruned(3)
    wanted = run_on_host(BENCH.build(network.base), network.x)
    cut, fitted = (
        loss_between(wanted, run_on_host(BENCH.build(q), network.x), is_classifier=False)
        for q in (without_channels(network.base, masks), quantized)
    )
    assert fitted < cut / 2


def test_least_important_goes_first(network: Network) -> None:
    losses = []
    wanted = tensors(network.base, network.x)[network.graph.outputs[0]]
    for group in network.ranking:
        masks = {name: numbers == group for name, numbers in network.groups.written.items()}
        config = VirtualQuantizeConfig()
        quantized = quantize_graph(network.graph, network.x, SCALE, config, pruned=masks)
        losses.append(loss_between(wanted, quantized.outputs[0], is_classifier=False))
    assert len(losses) == 8
    assert np.mean(losses[:4]) < np.mean(losses[4:])


def test_every_layer_keeps_some_channels(network: Network) -> None:
    masks = prune_masks(network.groups, network.ranking, len(network.ranking))
    assert [int((~mask).sum()) for mask in masks.values()] == [1, 1, 1, 5]


def test_fewest_groups_that_fit() -> None:
    assert fewest_groups(10, lambda count: count >= 7) == 7
    assert fewest_groups(10, lambda _: True) == 0
    assert fewest_groups(10, lambda _: False) is None
