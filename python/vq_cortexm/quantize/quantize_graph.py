"""A float network and calibration data to integers, layer by layer.

Every tensor is known twice: as the float network has it, and as the network does whose layers up
to here are quantized. The first is what a layer is fitted to, the second what it sees.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..transform.vq_config import LayerLevels, VirtualQuantizeConfig
from .activation_scales import SOFTMAX, fitted_scale, quantized
from .evaluate import evaluate
from .graph import MOVES, FloatArray, FloatGraph, Node, Scale
from .layer_fit import QuantizedLayer, fit_layer, measure

BoolArray = NDArray[np.bool_]
Watch = Callable[[str], None]
"""Called with the name of each layer that is done."""


@dataclass(frozen=True, eq=False)
class QuantizedGraph:
    """The network, its layers as integers (by node's name) and every tensor's scale.

    `float_outputs` and `outputs` are what the float and the quantized network make of the
    calibration data.
    """

    graph: FloatGraph
    layers: Mapping[str, QuantizedLayer]
    scales: Mapping[str, Scale]
    float_outputs: tuple[FloatArray, ...]
    outputs: tuple[FloatArray, ...]


def quantize_graph(
    graph: FloatGraph,
    x: FloatArray,
    input_scale: Scale,
    config: VirtualQuantizeConfig,
    watch: Watch = lambda name: None,
    pruned: Mapping[str, BoolArray] = MappingProxyType({}),
) -> QuantizedGraph:
    """Quantizes every layer to the levels of `config`; x (N, ...) is the calibration data.

    `pruned` are the output channels (O,) of layers whose weights and biases become zero; the layers
    behind them are fitted to what is left. UsageError for a name in `config` that is no layer's.
    """
    _check_names(graph, config)
    layers: dict[str, QuantizedLayer] = {}
    scales = {**graph.scales, graph.input: input_scale}
    floats = {graph.input: x}
    integers = {graph.input: quantized(x, input_scale)}
    for node, done in zip(graph.nodes, graph.read_last, strict=True):
        given = [floats[name] for name in node.inputs]
        seen = [integers[name] for name in node.inputs]
        floats[node.output] = evaluate(node, given)
        if node.is_product:
            wanted = before_clamp(node, given[0])
            x_scale = scales[node.inputs[0]].scale
            chosen = config.levels_of(node.name)
            layer = fit_layer(node, measure(node, seen[0], wanted), chosen, x_scale)
            if node.name in pruned:
                layer = layer.without(pruned[node.name])
            layers[node.name] = layer
            node = with_layer(node, layer)
        value = evaluate(node, seen)
        if node.output in graph.scales:  # saturation is part of what an int8 file computes
            floats[node.output] = np.clip(floats[node.output], *graph.scales[node.output].range)
        scales[node.output] = _scale(node, value, scales)
        integers[node.output] = quantized(value, scales[node.output])
        for name in done:
            del floats[name], integers[name]
        watch(node.name)
    pairs = [(floats[name], integers[name]) for name in graph.outputs]
    float_outputs, outputs = zip(*pairs, strict=True)
    return QuantizedGraph(graph, layers, scales, float_outputs, outputs)


def before_clamp(node: Node, x: FloatArray) -> FloatArray:
    """What a node with one input makes of it, not clamped."""
    return evaluate(replace(node, low=-math.inf, high=math.inf), [x])


def with_layer(node: Node, layer: QuantizedLayer) -> Node:
    """The node with the numbers that a layer's integers stand for."""
    return replace(node, weight=layer.real_weight, bias=layer.bias)


def _scale(node: Node, value: FloatArray, scales: Mapping[str, Scale]) -> Scale:
    if node.op not in MOVES and node.output in scales:  # the file's own, at which it saturates
        return scales[node.output]
    chooses = node.op in ("max_pool", "pad", "identity") and not node.has_clamp
    if node.op in MOVES or chooses:  # the values are the input's
        return scales[node.inputs[0]]
    return SOFTMAX if node.op == "softmax" else fitted_scale(value)


def _check_names(graph: FloatGraph, config: VirtualQuantizeConfig) -> None:
    names = [node.name for node in graph.products]
    for pattern in config.layers:
        alone = VirtualQuantizeConfig(layers={pattern: LayerLevels()})
        if all(alone.levels_of(name) is alone for name in names):
            raise UsageError(f"no layer is called {pattern!r}; layers: {', '.join(names)}")
