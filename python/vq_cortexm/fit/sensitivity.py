"""What it costs in accuracy to give one layer fewer levels, all others kept at 8 bits.

Every layer is fitted at every number of levels to what it does in the 8-bit network, on the same
calibration data as the quantizer uses. The loss is how far the network's result then moves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..nary.types import LARGEST_LEVELS
from ..quantize.activation_scales import quantized
from ..quantize.evaluate import evaluate
from ..quantize.graph import FloatArray, FloatGraph, Node
from ..quantize.layer_fit import QuantizedLayer, fit_layer, measure
from ..quantize.quantize_graph import QuantizedGraph, Watch, before_clamp, with_layer
from ..transform.vq_config import LayerLevels

LayerLevel = tuple[str, int]
"""A layer's name and a number of levels."""
_SAMPLES = 256
"""Of the calibration data, on which losses are measured."""


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """Loss and integers of every layer at every number of levels, alone in the 8-bit network."""

    losses: Mapping[LayerLevel, float]
    layers: Mapping[LayerLevel, QuantizedLayer]


def result_tensor(graph: FloatGraph) -> str:
    """The tensor that losses look at: the first output, or what its softmax reads."""
    name = graph.outputs[0]
    return next((n.inputs[0] for n in graph.nodes if n.output == name and n.op == "softmax"), name)


def loss_between(reference: FloatArray, result: FloatArray, is_classifier: bool) -> float:
    """Of logits (N, classes) the mean Kullback-Leibler divergence of their probabilities; of other
    tensors the mean squared error by the reference's variance."""
    if not is_classifier:
        error = float(np.square(result - reference).mean(dtype=np.float64))
        return error / (float(reference.var(dtype=np.float64)) or 1.0)
    expected, got = _log_softmax(reference), _log_softmax(result)
    return float((np.exp(expected) * (expected - got)).sum(axis=1).mean())


def measure_sensitivity(
    base: QuantizedGraph,
    x: FloatArray,
    levels: Sequence[int],
    is_classifier: bool,
    watch: Watch = lambda name: None,
) -> Sensitivity:
    """Of the 8-bit network `base`; x (N, ...) is the calibration data, `levels` ascending."""
    graph = base.graph
    nodes, name = _nodes(base), result_tensor(graph)
    reference = tensors(base, x)[name]
    losses: dict[LayerLevel, float] = {}
    layers: dict[LayerLevel, QuantizedLayer] = {}
    values = {graph.input: quantized(x, base.scales[graph.input])}
    for index, (node, done) in enumerate(zip(nodes, graph.read_last, strict=True)):
        if node.is_product:
            seen = values[node.inputs[0]]
            moments = measure(node, seen, before_clamp(node, seen))
            x_scale = base.scales[node.inputs[0]].scale
            live = {key: value[:_SAMPLES] for key, value in values.items()}
            for count in levels:
                key = (node.name, count)
                if count == LARGEST_LEVELS:
                    layers[key], losses[key] = base.layers[node.name], 0.0
                    continue
                layers[key] = fit_layer(node, moments, LayerLevels(count), x_scale)
                changed = [with_layer(node, layers[key]), *nodes[index + 1 :]]
                losses[key] = loss_between(
                    reference, _run(changed, live, base)[name], is_classifier
                )
            watch(node.name)
        values |= _run([node], values, base)
        for dead in done:
            del values[dead]
    return Sensitivity(losses, layers)


def tensors(base: QuantizedGraph, x: FloatArray) -> dict[str, FloatArray]:
    """All tensors of the network, on the first samples of x (N, ...)."""
    start = {base.graph.input: quantized(x[:_SAMPLES], base.scales[base.graph.input])}
    return _run(_nodes(base), start, base)


def with_levels(base: QuantizedGraph, sensitivity: Sensitivity, levels: int) -> QuantizedGraph:
    """The network whose layers all have `levels`, each fitted by itself."""
    layers = {node.name: sensitivity.layers[node.name, levels] for node in base.graph.products}
    return replace(base, layers=layers)


def _nodes(base: QuantizedGraph) -> list[Node]:
    """With the numbers that the integers stand for."""
    layers = base.layers
    return [with_layer(n, layers[n.name]) if n.is_product else n for n in base.graph.nodes]


def _run(
    nodes: Sequence[Node], given: Mapping[str, FloatArray], base: QuantizedGraph
) -> dict[str, FloatArray]:
    """The given tensors and those that the nodes write, rounded to their scales."""
    values = dict(given)
    for node in nodes:
        value = evaluate(node, [values[name] for name in node.inputs])
        values[node.output] = quantized(value, base.scales[node.output])
    return values


def _log_softmax(logits: FloatArray) -> FloatArray:
    shifted = (logits - logits.max(axis=1, keepdims=True)).astype(np.float64)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
