"""Weights to levels: error compensation against rounding, and against every other choice."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
import pytest

from vq_cortexm.quantize.rounding import (
    compensated_rows,
    damped,
    nearest_rows,
    uniform_levels,
)

Float64Array = npt.NDArray[np.float64]


def _drawn(rows: int, size: int, seed: int) -> tuple[Float64Array, Float64Array]:
    """Weights (rows, size) and the covariance of inputs that depend on each other."""
    rng = np.random.default_rng(seed)
    mixed = rng.standard_normal((4 * size, size)) @ rng.standard_normal((size, size))
    return rng.standard_normal((rows, size)), mixed.T @ mixed / len(mixed)


def _error(weights: Float64Array, real: Float64Array, covariance: Float64Array) -> Float64Array:
    difference = real - weights
    return np.einsum("rk,kl,rl->r", difference, damped(covariance), difference)


@pytest.mark.parametrize(
    ("levels", "first", "last", "count"),
    [(2, -1, 1, 2), (3, -1, 1, 3), (4, -2, 1, 4), (11, -5, 5, 11), (16, -8, 7, 16)],
)
def test_uniform_levels(levels: int, first: int, last: int, count: int) -> None:
    table = uniform_levels(levels)
    assert (table[0], table[-1], len(table)) == (first, last, count)


def test_the_lowest_int8_is_no_level() -> None:
    assert (uniform_levels(256)[0], uniform_levels(256)[-1]) == (-127, 127)


@pytest.mark.parametrize("levels", [2, 3, 5, 16, 100, 256])
def test_compensation_has_less_error_than_rounding(levels: int) -> None:
    weights, covariance = _drawn(20, 24, seed=levels)
    table = uniform_levels(levels)
    errors = []
    for rows in (nearest_rows(weights, table), compensated_rows(weights, covariance, table)):
        assert set(np.unique(rows.values)) <= set(table)
        assert (rows.scale > 0).all()
        errors.append(_error(weights, rows.values * rows.scale[:, np.newaxis], covariance))
    assert (errors[1] <= errors[0]).mean() > 0.9
    assert errors[1].sum() < 0.8 * errors[0].sum()


@pytest.mark.parametrize("levels", [3, 4])
def test_no_single_weight_and_no_scale_could_be_better(levels: int) -> None:
    weights, covariance = _drawn(10, 12, seed=levels)
    table = uniform_levels(levels)
    found = compensated_rows(weights, covariance, table)
    real = found.values * found.scale[:, np.newaxis]
    error = _error(weights, real, covariance)
    for k, level in product(range(weights.shape[1]), table):
        moved = real.copy()
        moved[:, k] = level * found.scale
        assert (_error(weights, moved, covariance) >= error * (1 - 1e-9)).all()
    for factor in (0.99, 1.01):
        assert (_error(weights, real * factor, covariance) >= error * 0.999).all()


def test_error_is_near_the_best_of_all_choices() -> None:
    weights, covariance = _drawn(8, 5, seed=7)
    table = uniform_levels(3)
    found = compensated_rows(weights, covariance, table)
    error = _error(weights, found.values * found.scale[:, np.newaxis], covariance)
    h = damped(covariance)
    choices = np.array([q for q in product(table, repeat=5) if any(q)])
    wanted = weights @ h @ choices.T
    # the best scale of each choice in closed form
    best = (np.einsum("rk,kl,rl->r", weights, h, weights)[:, np.newaxis]) - np.where(
        wanted > 0, wanted**2 / np.einsum("ck,kl,cl->c", choices, h, choices), 0.0
    )
    assert (error >= best.min(axis=1) * (1 - 1e-9)).all()
    assert (error <= best.min(axis=1) * 1.3).mean() >= 0.75


def test_inputs_that_never_change_are_no_obstacle() -> None:
    weights, _ = _drawn(3, 6, seed=1)
    table = uniform_levels(4)
    silent = compensated_rows(weights, np.zeros((6, 6)), table)
    np.testing.assert_array_equal(silent.values, nearest_rows(weights, table).values)


def test_zero_weights_stay_zero() -> None:
    found = compensated_rows(np.zeros((2, 3)), np.eye(3), uniform_levels(5))
    assert not found.values.any()
    assert (found.scale > 0).all()
