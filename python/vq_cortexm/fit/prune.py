"""The memory-equivalent reading: the 8-bit network without its least important filters.

Its weights are then stored in as many bytes as those of an n-ary network.

Channels are ranked by the share of the variance that the layers behind them lose with them, for
each byte that they free; their means are no loss, for biases take them. A group of channels goes as
a whole (`channel_groups`), so that the compiler removes it (`RemoveConstantChannels`). What is
left is fitted anew to the float network, layer by layer (`quantize_graph`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..quantize.graph import FloatArray
from ..quantize.quantize_graph import BoolArray, QuantizedGraph
from .channel_groups import ChannelGroups, channel_groups, is_mixing

_LEAST_KEPT = 1 / 8
"""Of the channels of every layer."""
Ranking = NDArray[np.int64]
"""Groups, the least important first."""


def rank_groups(
    base: QuantizedGraph, values: Mapping[str, FloatArray]
) -> tuple[ChannelGroups, Ranking]:
    """The groups of the 8-bit network `base` in the order in which they go; `values` are all its
    tensors (N, ...) on some samples."""
    groups = channel_groups(base.graph, {name: v.shape[1:] for name, v in values.items()})
    count = 1 + max(int(numbers.max()) for numbers in groups.written.values())
    lost, freed = np.zeros(count), np.zeros(count)
    for node in base.graph.products:
        weight = base.layers[node.name].real_weight
        np.add.at(freed, groups.written[node.name], weight[0].size)
        if is_mixing(node):
            x = values[node.inputs[0]]
            variance = x.var(axis=(0, *range(2, x.ndim)), dtype=np.float64)
            squares = np.square(weight.reshape(len(weight), -1, len(variance)))
            energy = squares.sum(axis=(0, 1)) * variance
            np.add.at(lost, groups.read[node.name], energy / (energy.sum() or 1.0))
            np.add.at(freed, groups.read[node.name], weight.size // len(variance))
    order = np.argsort(lost / np.maximum(freed, 1.0), kind="stable")
    return groups, order[(order > 0) & (freed[order] > 0)]


def prune_masks(groups: ChannelGroups, ranking: Ranking, count: int) -> dict[str, BoolArray]:
    """The output channels of each layer that are gone when the first `count` groups are, but for
    groups without which a layer would have too few channels left."""
    left = {name: len(numbers) for name, numbers in groups.written.items()}
    least = {name: max(1, round(number * _LEAST_KEPT)) for name, number in left.items()}
    gone: list[int] = []
    for group in ranking[:count]:
        sizes = {name: int((numbers == group).sum()) for name, numbers in groups.written.items()}
        if all(left[name] - size >= least[name] for name, size in sizes.items() if size):
            left = {name: left[name] - size for name, size in sizes.items()}
            gone.append(int(group))
    return {name: np.isin(numbers, gone) for name, numbers in groups.written.items()}


def without_channels(base: QuantizedGraph, masks: Mapping[str, BoolArray]) -> QuantizedGraph:
    """The network with these channels zero and nothing fitted anew: as large as if it were."""
    layers = {name: layer.without(masks[name]) for name, layer in base.layers.items()}
    return replace(base, layers=layers)


def fewest_groups(total: int, fits: Callable[[int], bool]) -> int | None:
    """The least number of groups whose removal makes the network fit; None if no number does."""
    if not fits(total):
        return None
    low, high = -1, total
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high
