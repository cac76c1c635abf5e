"""A float network as a list of nodes with ONNX's meaning: batch first, channels second.

Readers make it, the quantizer walks it, and the export writes it. Weights are float32: (O, KH, KW,
I) of a convolution, I per group, (O, I) of a dense layer.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError

FloatArray = NDArray[np.float32]

PRODUCTS = ("conv", "dense")
"""Nodes with weights."""
MOVES = ("reshape", "transpose")
"""Nodes that only move values: they act on integers as they are."""


@dataclass(frozen=True)
class Window:
    """What a convolution or pool looks at; padding is (top, left, bottom, right)."""

    size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)


@dataclass(frozen=True)
class Scale:
    """real = scale * (q - zero_point), q int8, for the whole tensor."""

    scale: float
    zero_point: int

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and largest real number."""
        return (-128 - self.zero_point) * self.scale, (127 - self.zero_point) * self.scale


@dataclass(frozen=True, eq=False)
class Node:
    """One operator; its result is clamped to [low, high].

    `op` is conv, dense, add, avg_pool, max_pool, mean (over rows and columns, kept as 1x1),
    softmax (last axis), concat (channels), pad (`numbers`: top, left, bottom, right, of zeros),
    reshape (`numbers`: the shape behind the batch), transpose (`numbers`: axes) or identity.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    output: str
    weight: FloatArray | None = None
    bias: FloatArray | None = None
    window: Window | None = None
    groups: int = 1
    numbers: tuple[int, ...] = ()
    low: float = -math.inf
    high: float = math.inf

    @property
    def is_product(self) -> bool:
        """Whether it has weights."""
        return self.op in PRODUCTS

    @property
    def has_clamp(self) -> bool:
        """Whether [low, high] cuts anything."""
        return self.low > -math.inf or self.high < math.inf


@dataclass(frozen=True, eq=False)
class FloatGraph:
    """Nodes in execution order; one input of `input_shape` (behind the batch).

    `channel_axis` is where the input has its channels, in `input_shape`. `scales` are those of
    activations that the file itself quantizes.
    """

    input: str
    input_shape: tuple[int, ...]
    channel_axis: int
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    scales: Mapping[str, Scale] = field(default_factory=dict)

    @property
    def products(self) -> tuple[Node, ...]:
        """The layers with weights."""
        return tuple(node for node in self.nodes if node.is_product)

    @property
    def read_last(self) -> tuple[tuple[str, ...], ...]:
        """For each node the tensors that nothing needs after it."""
        seen, last = set(self.outputs), []
        for node in reversed(self.nodes):
            last.append(tuple(name for name in dict.fromkeys(node.inputs) if name not in seen))
            seen.update(node.inputs)
        return tuple(reversed(last))


@dataclass(frozen=True)
class LayerSummary:
    """A layer with weights: `levels` is how many values they hold."""

    name: str
    op: str
    weights: int
    levels: int


def simplify(graph: FloatGraph) -> FloatGraph:
    """Without nodes that no output needs or that change nothing; activations joined to the node
    before them, where nothing else reads it. ModelError if no layer with weights is left."""
    nodes = _changing(_needed(list(graph.nodes), graph.outputs), graph)
    users = Counter(name for node in nodes for name in node.inputs)
    users.update(graph.outputs)
    by_output: dict[str, int] = {}
    kept: list[Node] = []
    for node in nodes:
        source = by_output.get(node.inputs[0])
        if source is not None and users[node.inputs[0]] == 1 and _joins(node, kept[source], graph):
            before = kept[source]
            low, high = np.clip([before.low, before.high], node.low, node.high)
            kept[source] = replace(before, output=node.output, low=float(low), high=float(high))
            by_output[node.output] = source
            continue
        by_output[node.output] = len(kept)
        kept.append(node)
    if not any(node.is_product for node in kept):
        raise ModelError("the model has no convolution or fully connected layer to quantize")
    return replace(graph, nodes=tuple(kept))


def _joins(node: Node, before: Node, graph: FloatGraph) -> bool:
    """Whether `before` can do what an activation does; a move of integers clamps nothing."""
    is_moved = node.has_clamp and before.op in MOVES
    return node.op == "identity" and not is_moved and not _rescales(node, graph)


def _rescales(node: Node, graph: FloatGraph) -> bool:
    """Whether the file quantizes the result with another scale, which saturates elsewhere."""
    before, after = graph.scales.get(node.inputs[0]), graph.scales.get(node.output)
    return before is not None and after is not None and before != after


def _changing(nodes: list[Node], graph: FloatGraph) -> list[Node]:
    """Without identities that do not clamp; their readers read what they read."""
    renamed: dict[str, str] = {}
    kept = []
    for node in nodes:
        node = replace(node, inputs=tuple(renamed.get(name, name) for name in node.inputs))
        does_something = node.has_clamp or node.output in graph.outputs or _rescales(node, graph)
        if node.op == "identity" and not does_something:
            renamed[node.output] = node.inputs[0]
        else:
            kept.append(node)
    return kept


def _needed(nodes: list[Node], outputs: tuple[str, ...]) -> list[Node]:
    wanted = set(outputs)
    kept = []
    for node in reversed(nodes):
        if node.output in wanted:
            wanted.update(node.inputs)
            kept.append(node)
    return kept[::-1]
