"""Weights and bias of one layer as integers, fitted to the layer's float output.

The layer sees the inputs that the quantized layers before it give it, and is to give the output
that it has in the float network: so it corrects errors of the layers before it where it can. That
is a least squares problem in its weights, whose solution is then rounded to levels (`rounding`).
The bias makes the mean of every output channel right to half of its own step (bias correction).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..nary.quantize import Weights, quantize_codebook
from ..nary.types import LARGEST_LEVELS
from ..transform.vq_config import LayerLevels
from .evaluate import patches
from .graph import FloatArray, Node
from .rounding import (
    Float64Array,
    RoundedRows,
    compensated_rows,
    damped,
    nearest_rows,
    to_table,
    uniform_levels,
)

_LARGEST_BIAS = 2.0**24
"""As an integer: products still fit an int32 beside it, and float32 holds it."""
_LARGEST_RATIO = 2.0**40
"""Of the rows' scales: less than that part of the largest row is nothing in 8 bits."""
_LEAST_COUNTED = 1 / 1024
"""Of the largest row's scale, for a row in the search for a codebook."""


@dataclass(frozen=True, eq=False)
class QuantizedLayer:
    """weight[o] * w_scale[o] + bias[o]: int8 in the float layer's shape, float32 (O,) both."""

    weight: NDArray[np.int8]
    w_scale: FloatArray
    bias: FloatArray

    @property
    def real_weight(self) -> FloatArray:
        """The weights as real numbers."""
        along = (-1, *[1] * (self.weight.ndim - 1))
        return np.asarray(self.weight * self.w_scale.reshape(along), np.float32)

    def without(self, channels: NDArray[np.bool_]) -> QuantizedLayer:
        """The layer whose output channels of the mask (O,) are zero."""
        weight, bias = self.weight.copy(), self.bias.copy()
        weight[channels], bias[channels] = 0, 0
        return QuantizedLayer(weight, self.w_scale, bias)


@dataclass(frozen=True, eq=False)
class Moments:
    """Of a layer's inputs x (groups, K) and wanted outputs y (O,): means and covariances."""

    x_mean: Float64Array
    y_mean: Float64Array
    xx: Float64Array
    yx: Float64Array


def measure(node: Node, x: FloatArray, wanted: FloatArray) -> Moments:
    """The moments over all samples and positions; `wanted` is the output before its clamp."""
    assert node.weight is not None
    groups, outputs, size = node.groups, len(node.weight), node.weight[0].size
    y = (wanted.transpose(0, 2, 3, 1) if wanted.ndim == 4 else wanted).reshape(-1, outputs)
    y_mean = y.mean(axis=0, dtype=np.float64)
    centred = (y - y_mean).astype(np.float32)
    x_mean = np.zeros((groups, size))
    for columns in patches(node, x):
        x_mean += columns.sum(axis=1, dtype=np.float64) / len(y)
    # centred before they are multiplied: squares of a large mean leave float32 no digits
    middle = x_mean[:, np.newaxis].astype(np.float32)
    xx, yx, first = np.zeros((groups, size, size)), np.zeros((outputs, size)), 0
    for columns in patches(node, x):
        columns = columns - middle
        rows = centred[first : first + columns.shape[1]]
        first += len(rows)
        xx += columns.transpose(0, 2, 1) @ columns
        yx += (rows.reshape(len(rows), groups, -1).transpose(1, 2, 0) @ columns).reshape(yx.shape)
    return Moments(x_mean, y_mean, xx / len(y), yx / len(y))


def fit_layer(node: Node, moments: Moments, chosen: LayerLevels, x_scale: float) -> QuantizedLayer:
    """The layer with the levels that `chosen` asks for, behind an input of `x_scale`."""
    assert node.weight is not None
    weights = node.weight.reshape(node.groups, -1, node.weight[0].size).astype(np.float64)
    table, scales = uniform_levels(chosen.levels), None
    if chosen.codebook and chosen.levels < LARGEST_LEVELS:
        table, scales = _codebook(weights, chosen.levels)
    yx = moments.yx.reshape(weights.shape)
    rounded = [
        _fit_group(weights[g], moments.xx[g], yx[g], table, None if scales is None else scales[g])
        for g in range(node.groups)
    ]
    values = np.concatenate([rows.values for rows in rounded])
    w_scale = np.concatenate([rows.scale for rows in rounded])
    least = _least_scales(_bias(values, w_scale, moments), w_scale, x_scale)
    small = w_scale < least
    values[small] = to_table(values[small] * (w_scale / least)[small, np.newaxis], table)
    stored = np.where(small, least, w_scale).astype(np.float32)
    # the bias as the file will hold it
    step = np.float32(x_scale) * stored
    bias = np.rint(_bias(values, stored.astype(np.float64), moments) / step) * step
    return QuantizedLayer(values.reshape(node.weight.shape), stored, bias.astype(np.float32))


def _bias(values: NDArray[np.int8], w_scale: Float64Array, moments: Moments) -> Float64Array:
    """What makes the means of the outputs right."""
    real = (values * w_scale[:, np.newaxis]).reshape(len(moments.x_mean), -1, values.shape[1])
    seen = np.einsum("gok,gk->go", real, moments.x_mean).reshape(-1)
    return np.asarray(moments.y_mean - seen)


def _least_scales(bias: Float64Array, w_scale: Float64Array, x_scale: float) -> Float64Array:
    """Of each row; below it the bias is too large for an int32, or the row too small to matter."""
    least = np.maximum(np.abs(bias) / x_scale / _LARGEST_BIAS, w_scale.max() / _LARGEST_RATIO)
    # products of scales are float32 numbers too
    return np.asarray(np.maximum(least, np.finfo(np.float32).tiny / min(x_scale, 1.0)))


def _fit_group(
    weights: Float64Array,
    xx: Float64Array,
    yx: Float64Array,
    table: Float64Array,
    scales: Float64Array | None,
) -> RoundedRows:
    """The least squares solution, held to the given weights by the damping, as levels. Rows of
    zeros have the scale 0: any would do."""
    best = weights + np.linalg.solve(damped(xx), (yx - weights @ xx).T).T
    rows = compensated_rows(best, xx, table, scales)
    is_zero = ~best.any(axis=1) | ~rows.values.any(axis=1)
    return RoundedRows(rows.values, np.where(is_zero, 0.0, rows.scale))


def _codebook(weights: Float64Array, levels: int) -> tuple[Float64Array, Float64Array]:
    """A table of int8 levels for the whole tensor, and the scale of each row, (groups, rows, 1)."""
    rows = weights.reshape(-1, weights.shape[2])
    fine = nearest_rows(rows, uniform_levels(LARGEST_LEVELS))
    # what a row counts: one of next to nothing would be lost in sums with the others
    counted = np.where(fine.values.any(axis=1), fine.scale, 0.0)
    counted = np.maximum(counted, counted.max() * _LEAST_COUNTED or 1.0).astype(np.float32)
    given = Weights(fine.values, np.zeros(len(rows), np.int32), counted)
    coarse = quantize_codebook(given, levels, axis=0)
    return np.unique(coarse.weight).astype(np.float64), fine.scale.reshape(*weights.shape[:2], 1)
