"""Post-training quantization of int8 weights to L levels, uniform or a codebook.

Both reach the least mean squared error of the real weights. Uniform levels are small integers with
a step for each output channel, which its w_scale takes in:

    L = 3   -1  0  1        L = 5   -2 -1  0  1  2        L = 2   -1     1
    L = 4   -2 -1  0  1     L = 16  -8 … 7                (no zero: it would be half of the levels)

A codebook has L of the 256 int8 numbers, the same for the whole tensor, and keeps every w_scale.
The results are the same on every computer: sums are of integers, exact in any order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]

_LEAST_STEP = 1.0
"""Below it int8 weights gain nothing (two levels: a channel of zeros becomes one of -1)."""
_INT8_VALUES = np.arange(-128, 128)


@dataclass(frozen=True, eq=False)
class Weights:
    """A layer's weights: int8 with output channels along some axis, bias (O,) int32 at
    x_scale * w_scale, w_scale (O,) float32."""

    weight: NDArray[np.int8]
    bias: NDArray[np.int32]
    w_scale: NDArray[np.float32]


def quantize_uniform(given: Weights, levels: int, axis: int) -> Weights:
    """Weights of `levels` (2 to 256) uniform levels, a step for each index along `axis`.

    No step is below 1, so scales grow and biases shrink.
    """
    rows = np.moveaxis(given.weight, axis, 0)
    flat = rows.reshape(rows.shape[0], -1).astype(np.int64)
    steps = _best_steps(flat, levels)
    moved = _to_levels(flat, steps, levels).astype(np.int8).reshape(rows.shape)
    w_scale = (given.w_scale.astype(np.float64) * steps).astype(np.float32)
    bias = rescale_bias(given.bias, given.w_scale, w_scale)
    return Weights(np.ascontiguousarray(np.moveaxis(moved, 0, axis)), bias, w_scale)


def quantize_codebook(given: Weights, levels: int, axis: int) -> Weights:
    """Weights of the `levels` int8 values that are nearest to all weights: optimal k-means on one
    dimension, each weight's error counted in real units."""
    rows = np.moveaxis(given.weight, axis, 0)
    flat = rows.reshape(rows.shape[0], -1)
    relative = (given.w_scale / given.w_scale.max()).astype(np.float64)
    counts = np.stack([np.bincount(row + 128, minlength=256) for row in flat.astype(np.int64)])
    nearest = _optimal_clusters((counts * np.square(relative)[:, np.newaxis]).sum(axis=0), levels)
    return Weights(nearest[given.weight.astype(np.int64) + 128], given.bias, given.w_scale)


def rescale_bias(
    bias: NDArray[np.int32], old: NDArray[np.float32], new: NDArray[np.float32]
) -> NDArray[np.int32]:
    """A bias at the scale `old` as one at `new`; ValueError if it leaves int32."""
    scaled = np.rint(bias * (old.astype(np.float64) / new.astype(np.float64)))
    if scaled.size and (scaled.min() < -(1 << 31) or scaled.max() >= 1 << 31):
        raise ValueError("a bias at the scale of the quantized weights exceeds int32")
    return scaled.astype(np.int32)


def _best_steps(rows: NDArray[np.int64], levels: int) -> Float64Array:
    """The step of least squared error of each row, no less than _LEAST_STEP."""
    if levels == 2:
        return np.asarray(np.maximum(np.abs(rows).mean(axis=1), _LEAST_STEP))
    values, changes = _level_changes(levels)
    return np.array([_best_step(row, values, changes) for row in rows])


def _level_changes(levels: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """As the step shrinks, the int8 values that get the next level outwards: which value, and by
    how much the square of its level grows. Value v leaves level n at the step |v| / (n + 1/2)."""
    first, last = _outer_levels(levels)
    value, level = (grid.reshape(-1) for grid in np.meshgrid(_INT8_VALUES, np.arange(-first)))
    step = np.abs(value) / (level + 0.5)
    is_there = (step >= _LEAST_STEP) & (level < np.where(value > 0, last, -first))
    order = np.argsort(-step[is_there], kind="stable")
    return value[is_there][order], (2 * level + 1)[is_there][order]


def _best_step(
    row: NDArray[np.int64], values: NDArray[np.int64], changes: NDArray[np.int64]
) -> float:
    """All that weights w can become is tried, change by change: with their levels v, the best step
    is sum(w v) / sum(v v), and the error sum(w w) - 2 step sum(w v) + step² sum(v v)."""
    counts = np.bincount(row + 128, minlength=256)[values + 128]
    products = np.cumsum(counts * np.abs(values))
    squares = np.cumsum(counts * changes)
    steps = np.maximum(products / np.maximum(squares, 1), _LEAST_STEP)
    return float(steps[np.argmin(steps * (steps * squares - 2 * products))])


def _to_levels(rows: NDArray[np.int64], steps: Float64Array, levels: int) -> Float64Array:
    if levels == 2:
        return np.where(rows > 0, 1.0, -1.0)
    return np.clip(np.rint(rows / steps[:, np.newaxis]), *_outer_levels(levels))


def _outer_levels(levels: int) -> tuple[int, int]:
    return -(levels // 2), levels - 1 - levels // 2


def _optimal_clusters(weights: Float64Array, count: int) -> NDArray[np.int8]:
    """nearest[v + 128]: the centre of the cluster that int8 value v belongs to.

    weights[v + 128] is what an error at v counts. Dynamic programming over intervals of values:
    cost[i, j] is that of values i … j around their mean, rounded (the best integer for a parabola).
    """
    points = np.flatnonzero(weights)
    values, weight = _INT8_VALUES[points].astype(np.float64), weights[points]
    sums = [np.concatenate([[0.0], np.cumsum(weight * values**k)]) for k in range(3)]
    zeroth, first, second = (s[np.newaxis, 1:] - s[:-1, np.newaxis] for s in sums)
    is_interval = np.triu(np.ones(zeroth.shape, np.bool_))
    centre = np.rint(np.divide(first, zeroth, out=np.zeros_like(first), where=is_interval))
    cost = np.where(is_interval, second + centre * (centre * zeroth - 2 * first), np.inf)
    best, starts = cost[0], [np.zeros(len(points), np.int64)]
    for _ in range(min(count, len(points)) - 1):
        # the last interval begins at value i, all others end before it
        total = np.concatenate([[np.inf], best[:-1]])[:, np.newaxis] + cost
        starts.append(np.argmin(total, axis=0))
        best = np.minimum.reduce(total, axis=0)
    nearest, end = np.zeros(256, np.int8), len(points)
    for start in reversed(starts):
        begin = int(start[end - 1])
        nearest[points[begin:end]] = int(centre[begin, end - 1])
        end = begin
    return nearest
