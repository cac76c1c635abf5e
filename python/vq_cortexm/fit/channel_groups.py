"""Which channels of a network belong together: one can go only with all of its group.

A sum, a depthwise convolution or a pool keeps channels apart, so what it reads and what it writes
are one group. The input, the outputs and all that no rule is known for stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..quantize.graph import FloatGraph, Node

Groups = NDArray[np.int64]
_KEPT = 0
"""The group of what cannot go."""


@dataclass(frozen=True, eq=False)
class ChannelGroups:
    """The group of each output channel (O,) of the layers with weights, and of each channel that
    they read, (I,); a dense layer reads one element a channel. Group 0 is never removed."""

    written: Mapping[str, Groups]
    read: Mapping[str, Groups]


def is_mixing(node: Node) -> bool:
    """Whether every output channel reads all input channels."""
    return node.is_product and node.groups == 1


def channel_groups(graph: FloatGraph, shapes: Mapping[str, tuple[int, ...]]) -> ChannelGroups:
    """The groups of a network; `shapes` are those of all tensors, behind the batch."""
    return _Walk(graph, shapes).run()


class _Walk:
    """Every element of every tensor has the number of a channel; equal ones are joined (a forest
    of parents)."""

    def __init__(self, graph: FloatGraph, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.graph = graph
        self.shapes = shapes
        self.parents = [_KEPT]
        self.numbers: dict[str, Groups] = {
            graph.input: np.full(shapes[graph.input], _KEPT, np.int64)
        }

    def run(self) -> ChannelGroups:
        written: dict[str, Groups] = {}
        read: dict[str, Groups] = {}
        for node in self.graph.nodes:
            numbers = self._numbers(node)
            self.numbers[node.output] = numbers
            if node.is_product:
                written[node.name] = _of_channels(numbers)
                read[node.name] = _of_channels(self.numbers[node.inputs[0]])
        for name in self.graph.outputs:
            self._keep(self.numbers[name])
        return ChannelGroups(
            {name: self._roots(numbers) for name, numbers in written.items()},
            {name: self._roots(numbers) for name, numbers in read.items()},
        )

    def _numbers(self, node: Node) -> Groups:
        inputs, shape = [self.numbers[name] for name in node.inputs], self.shapes[node.output]
        if is_mixing(node):
            first = len(self.parents)
            self.parents += range(first, first + shape[0])
            return _along(np.arange(first, first + shape[0]), shape)
        if node.op == "conv" and node.weight is not None and node.weight.shape[-1] == 1:
            channels = _of_channels(inputs[0])
            return _along(np.repeat(channels, shape[0] // len(channels)), shape)
        if node.op == "add":
            for a, b in zip(inputs[0].flat, inputs[1].flat, strict=True):
                self._join(int(a), int(b))
            return inputs[0]
        if node.op == "concat":
            return np.concatenate(inputs)
        if node.op == "reshape":
            return inputs[0].reshape(shape)
        if node.op == "identity":
            return inputs[0]
        if node.op == "transpose":
            return inputs[0].transpose([axis - 1 for axis in node.numbers[1:]])
        if node.op in ("avg_pool", "max_pool", "mean", "pad"):
            return _along(_of_channels(inputs[0]), shape)
        for numbers in inputs:
            self._keep(numbers)
        return np.full(shape, _KEPT, np.int64)

    def _keep(self, numbers: Groups) -> None:
        for number in np.unique(numbers):
            self._join(_KEPT, int(number))

    def _join(self, a: int, b: int) -> None:
        """The lower root is the parent, so group 0 stays 0."""
        low, high = sorted((self._root(a), self._root(b)))
        self.parents[high] = low

    def _root(self, number: int) -> int:
        while self.parents[number] != number:
            self.parents[number] = self.parents[self.parents[number]]
            number = self.parents[number]
        return number

    def _roots(self, numbers: Iterable[int]) -> Groups:
        return np.array([self._root(int(number)) for number in numbers], np.int64)


def _of_channels(numbers: Groups) -> Groups:
    """Of (C, ...), all positions of a channel alike: (C,)."""
    return numbers.reshape(len(numbers), -1)[:, 0]


def _along(channels: Groups, shape: tuple[int, ...]) -> Groups:
    return np.broadcast_to(channels.reshape(-1, *[1] * (len(shape) - 1)), shape)
