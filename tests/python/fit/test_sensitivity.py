"""Losses of single layers, and the layers they belong to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from float_nets import residual_onnx, samples, small_tflite

from vq_cortexm.fit.sensitivity import (
    Sensitivity,
    loss_between,
    measure_sensitivity,
    result_tensor,
    tensors,
    with_levels,
)
from vq_cortexm.quantize.activation_scales import scale_of_range
from vq_cortexm.quantize.graph import FloatArray
from vq_cortexm.quantize.quantize_graph import QuantizedGraph, quantize_graph
from vq_cortexm.quantize.read_onnx import read_onnx
from vq_cortexm.quantize.read_tflite import read_tflite
from vq_cortexm.transform.vq_config import VirtualQuantizeConfig

LEVELS = (2, 16, 256)
Measured = tuple[QuantizedGraph, FloatArray, Sensitivity]


@pytest.fixture(scope="module", params=["residual", "softmax"])
def measured(request: pytest.FixtureRequest) -> Measured:
    """An 8-bit network, samples, and what fewer levels do to it."""
    if request.param == "residual":
        graph, x = read_onnx(residual_onnx(), "net"), samples((3, 9, 8), 60)
    else:
        graph, x = read_tflite(small_tflite(), "net"), samples((8, 7, 3), 60)
    base = quantize_graph(graph, x, scale_of_range(-4, 4), VirtualQuantizeConfig())
    return base, x, measure_sensitivity(base, x, LEVELS, request.param == "softmax")


def test_loss_is_the_changed_networks(measured: Measured) -> None:
    base, x, found = measured
    name = result_tensor(base.graph)
    is_classifier = name != base.graph.outputs[0]
    assert len(found.losses) == len(LEVELS) * len(base.graph.products)
    for (layer, levels), loss in found.losses.items():
        changed = replace(base, layers={**base.layers, layer: found.layers[layer, levels]})
        expected = loss_between(tensors(base, x)[name], tensors(changed, x)[name], is_classifier)
        assert loss == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_8_bits_lose_nothing_and_few_levels_much(measured: Measured) -> None:
    base, _, found = measured
    for node in base.graph.products:
        losses = [found.losses[node.name, levels] for levels in LEVELS]
        assert losses[2] == 0.0
        assert losses[0] > losses[1] > 0.0
        assert len(np.unique(found.layers[node.name, 2].weight)) <= 2
        assert found.layers[node.name, 256] is base.layers[node.name]


def test_network_of_few_levels_has_them_everywhere(measured: Measured) -> None:
    base, _, found = measured
    few = with_levels(base, found, 16)
    assert all(len(np.unique(layer.weight)) <= 16 for layer in few.layers.values())
    assert few.scales is base.scales


def test_divergence_of_probabilities() -> None:
    reference = np.log(np.array([[0.5, 0.5], [0.9, 0.1]], np.float32))
    shifted = reference + np.float32(3)
    assert loss_between(reference, shifted, is_classifier=True) == pytest.approx(0.0, abs=1e-6)
    other = np.log(np.array([[0.5, 0.5], [0.1, 0.9]], np.float32))
    assert loss_between(reference, other, is_classifier=True) == pytest.approx(
        (0.9 * np.log(9) - 0.1 * np.log(9)) / 2, rel=1e-5
    )


def test_error_of_other_results_is_by_their_variance() -> None:
    reference = np.array([[0.0, 2.0]], np.float32)
    assert loss_between(reference, reference + 1, is_classifier=False) == pytest.approx(1.0)
    assert loss_between(np.ones((2, 2), np.float32), np.ones((2, 2), np.float32), False) == 0.0
