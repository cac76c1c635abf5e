"""Real weights to levels, so that the layer's output on the calibration data changes least.

The error of one output channel is the quadratic form e(q) = (s q - w) H (s q - w)', with H the
covariance of its inputs and s the channel's scale. Its minimum over levels q is sought in three
steps, for several scales at once:

1. Error compensation (GPTQ, Frantar et al. 2022): one weight after the other is rounded, those of
   the largest variance first, and the weights that are left take over its error as H allows.
2. Coordinate descent: every weight in turn moves to its best level with all others fixed, until
   none moves. e(q) never rises.
3. The scale that is best for these levels, in closed form, and step 2 again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]

_DAMPING = 0.01
"""Of the mean variance, added to every input's: data never tells all."""
_SHARES = np.linspace(0.3, 1.1, 33)
"""Scales that are tried, as shares of the one that reaches the largest weight."""
_KEPT = 6
"""Scales for which levels are searched: the best ones by rounding alone."""
_SWEEPS = 20
_REFITS = 3


@dataclass(frozen=True, eq=False)
class RoundedRows:
    """Weights as values[row, k] * scale[row]."""

    values: NDArray[np.int8]
    scale: Float64Array


def uniform_levels(levels: int) -> Float64Array:
    """Small integers in steps of 1; -1 and 1 of two. Of 256 the lowest, -128, is left out, as
    TensorFlow Lite demands of weights."""
    if levels == 2:
        return np.array([-1.0, 1.0])
    lowest = -(levels // 2)
    return np.arange(max(lowest, -127), lowest + levels, dtype=np.float64)


def scales_to_try(weights: Float64Array, table: Float64Array) -> Float64Array:
    """(rows, number of scales), from clipping the most to clipping nothing."""
    reach = np.maximum(weights.max(axis=1) / table[-1], weights.min(axis=1) / table[0])
    return np.asarray(np.where(reach > 0, reach, 1.0)[:, np.newaxis] * _SHARES)


def nearest_rows(
    weights: Float64Array, table: Float64Array, scales: Float64Array | None = None
) -> RoundedRows:
    """Every weight (rows, K) to its nearest level of the ascending `table`, at the scale of each
    row, one of `scales` (rows, number), with the least squared error."""
    scales = scales_to_try(weights, table) if scales is None else scales
    identity = np.eye(weights.shape[1])
    errors = [_error(weights, _nearest(weights, s, table), s, identity) for s in scales.T]
    best = scales[np.arange(len(scales)), np.stack(errors, axis=1).argmin(axis=1)]
    return RoundedRows(_nearest(weights, best, table).astype(np.int8), best)


def compensated_rows(
    weights: Float64Array,
    covariance: Float64Array,
    table: Float64Array,
    scales: Float64Array | None = None,
) -> RoundedRows:
    """Levels of the least e(q) found, beginning from one of `scales`; covariance (K, K)."""
    h = damped(covariance)
    scales = scales_to_try(weights, table) if scales is None else scales
    errors = [_error(weights, _nearest(weights, s, table), s, h) for s in scales.T]
    order = np.argsort(np.stack(errors, axis=1), axis=1, kind="stable")[:, :_KEPT]
    tried = np.take_along_axis(scales, order, axis=1)
    # the kept scales of a row as rows of their own: one walk over K for all
    w, s = np.repeat(weights, tried.shape[1], axis=0), tried.reshape(-1)
    q = _descend(w, _compensate(w, s, h, table), s, h, table)
    for _ in range(_REFITS):
        s = _best_scale(w, q, s, h)
        q = _descend(w, q, s, h, table)
    found = _error(w, q, s, h).reshape(tried.shape)
    best = np.arange(len(weights)) * tried.shape[1] + found.argmin(axis=1)
    return RoundedRows(q[best].astype(np.int8), s[best])


def damped(covariance: Float64Array) -> Float64Array:
    """The covariance with a little of its mean on the diagonal; never singular."""
    mean = float(np.trace(covariance)) / len(covariance)
    return covariance + np.eye(len(covariance)) * (_DAMPING * mean if mean > 0 else 1.0)


def _nearest(weights: Float64Array, scale: Float64Array, table: Float64Array) -> Float64Array:
    return to_table(weights / scale[:, np.newaxis], table)


def to_table(values: Float64Array, table: Float64Array) -> Float64Array:
    """Every number's nearest level of the ascending `table`."""
    middles = (table[1:] + table[:-1]) / 2
    return np.asarray(table[np.searchsorted(middles, values)])


def _error(
    weights: Float64Array, q: Float64Array, scale: Float64Array, h: Float64Array
) -> Float64Array:
    difference = q * scale[:, np.newaxis] - weights
    return np.asarray(((difference @ h) * difference).sum(axis=1))


def _compensate(
    weights: Float64Array, scale: Float64Array, h: Float64Array, table: Float64Array
) -> Float64Array:
    order = np.argsort(-np.diag(h), kind="stable")
    factor = np.linalg.cholesky(np.linalg.inv(h[np.ix_(order, order)])).T
    left, q = weights[:, order], np.empty_like(weights)
    for k, place in enumerate(order):
        q[:, place] = to_table(left[:, k] / scale, table)
        error = (left[:, k] - q[:, place] * scale) / factor[k, k]
        left[:, k:] -= np.outer(error, factor[k, k:])
    return q


def _descend(
    weights: Float64Array,
    q: Float64Array,
    scale: Float64Array,
    h: Float64Array,
    table: Float64Array,
) -> Float64Array:
    q = q.copy()
    slope = (q * scale[:, np.newaxis] - weights) @ h
    for _ in range(_SWEEPS):
        moved = False
        for k in range(len(h)):
            step = to_table(q[:, k] - slope[:, k] / (scale * h[k, k]), table) - q[:, k]
            rows = np.flatnonzero(step)
            if rows.size:
                moved = True
                q[rows, k] += step[rows]
                slope[rows] += np.outer(step[rows] * scale[rows], h[k])
        if not moved:
            break
    return q


def _best_scale(
    weights: Float64Array, q: Float64Array, scale: Float64Array, h: Float64Array
) -> Float64Array:
    """Of each row; the old one where the levels are all zero or want a negative scale."""
    product = q @ h
    above, below = (product * weights).sum(axis=1), (product * q).sum(axis=1)
    usable = (below > 0) & (above > 0)
    return np.where(usable, above / np.where(usable, below, 1.0), scale)
