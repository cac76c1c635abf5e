"""Post-training quantization: levels, least error, biases."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from vq_cortexm.nary import detect
from vq_cortexm.nary.quantize import Weights, quantize_codebook, quantize_uniform, rescale_bias

LEVELS = range(2, 257)


def draw(shape: tuple[int, ...], axis: int, seed: int) -> Weights:
    """Bell-shaped weights whose channels have spreads of their own."""
    rng = np.random.default_rng(seed)
    channels = shape[axis]
    spread = np.expand_dims(rng.uniform(10, 50, channels), tuple(range(1, len(shape))))
    weight = np.moveaxis(rng.normal(0, 1, shape), axis, 0) * spread
    weight = np.clip(np.rint(np.moveaxis(weight, 0, axis)), -127, 127).astype(np.int8)
    bias = rng.integers(-9999, 9999, channels).astype(np.int32)
    return Weights(weight, bias, rng.uniform(0.001, 0.01, channels).astype(np.float32))


def real(weights: Weights, axis: int) -> npt.NDArray[Any]:
    shape = [-1 if i == axis else 1 for i in range(weights.weight.ndim)]
    return weights.weight * weights.w_scale.astype(np.float64).reshape(shape)


def error(given: Weights, other: Weights, axis: int) -> npt.NDArray[Any]:
    """Squared error of each channel in units of its given scale."""
    difference = np.moveaxis(real(given, axis) - real(other, axis), axis, 0)
    squares = np.square(difference.reshape(difference.shape[0], -1)).sum(axis=1)
    return np.asarray(squares / np.square(given.w_scale.astype(np.float64)))


@pytest.mark.parametrize("levels", LEVELS)
def test_uniform_weights_are_small_integers(levels: int) -> None:
    given = draw((6, 3, 3, 40), 0, seed=levels)
    new = quantize_uniform(given, levels, 0)
    held = np.unique(new.weight)
    lowest = -(levels // 2)
    allowed = [-1, 1] if levels == 2 else range(lowest, lowest + levels)
    assert set(held.tolist()) <= set(allowed)
    assert (new.weight.dtype, new.weight.shape) == (np.int8, given.weight.shape)
    assert (new.bias.dtype, new.w_scale.dtype) == (np.int32, np.float32)
    assert np.all(new.w_scale >= given.w_scale)


@pytest.mark.parametrize("axis", [0, 2])
@pytest.mark.parametrize("levels", [2, 3, 4, 5, 11, 16, 100])
def test_uniform_steps_are_the_best(levels: int, axis: int) -> None:
    """No step of a fine grid has a smaller error over a channel."""
    given = draw((7, 9, 8), axis, seed=levels)
    found = error(given, quantize_uniform(given, levels, axis), axis)
    lowest = -(levels // 2)
    table = np.array([-1, 1] if levels == 2 else range(lowest, lowest + levels))
    for row, got in zip(np.moveaxis(given.weight, axis, 0), found, strict=True):
        values = row.reshape(-1, 1).astype(np.float64)
        errors = [
            np.square(np.abs(values - step * table).min(axis=1)).sum()
            for step in np.linspace(1, 130, 2000)
        ]
        assert got <= (1 + 1e-6) * min(errors) + 1e-6


@pytest.mark.parametrize("quantize", [quantize_uniform, quantize_codebook])
def test_more_levels_lose_less(quantize: Any) -> None:
    given = draw((12, 5, 5, 9), 0, seed=1)
    losses = [error(given, quantize(given, n, 0), 0).sum() for n in (2, 3, 5, 8, 16, 40, 120)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] / 100


@pytest.mark.parametrize("levels", [3, 4, 16, 200])
def test_weights_that_fit_are_not_changed(levels: int) -> None:
    """Small integers already: the step is 1."""
    rng = np.random.default_rng(levels)
    weight = rng.integers(-(levels // 2), levels - levels // 2, (5, 60)).astype(np.int8)
    given = Weights(weight, np.arange(5, dtype=np.int32), np.full(5, 0.01, np.float32))
    new = quantize_uniform(given, levels, 0)
    np.testing.assert_array_equal(new.weight, given.weight)
    np.testing.assert_array_equal(new.bias, given.bias)
    np.testing.assert_array_equal(new.w_scale, given.w_scale)


def test_channel_of_zeros_stays_zero() -> None:
    given = draw((4, 30), 0, seed=3)
    given.weight[1] = 0
    for levels in (3, 16):
        new = quantize_uniform(given, levels, 0)
        assert not new.weight[1].any()
        assert (new.bias[1], new.w_scale[1]) == (given.bias[1], given.w_scale[1])


@pytest.mark.parametrize("levels", [2, 3, 5, 16, 100, 200])
def test_biases_keep_their_real_values(levels: int) -> None:
    given = draw((20, 3, 3, 4), 0, seed=levels)
    new = quantize_uniform(given, levels, 0)
    before, after = (w.bias * w.w_scale.astype(np.float64) for w in (given, new))
    assert np.all(np.abs(after - before) <= 0.5001 * new.w_scale)


@pytest.mark.parametrize("levels", LEVELS)
def test_codebook_holds_that_many_int8_values(levels: int) -> None:
    given = draw((8, 3, 3, 60), 0, seed=5)
    new = quantize_codebook(given, levels, 0)
    assert detect(new.weight).levels == min(levels, len(np.unique(given.weight)))
    assert new.w_scale is given.w_scale
    assert new.bias is given.bias


@pytest.mark.parametrize("levels", [2, 3, 4])
def test_codebook_is_optimal(levels: int) -> None:
    """Against every choice of values between the smallest and the largest weight."""
    rng = np.random.default_rng(levels)
    weight = rng.integers(-6, 10, (2, 30)).astype(np.int8)
    given = Weights(weight, np.zeros(2, np.int32), np.array([0.02, 0.005], np.float32))
    best = min(
        np.square(
            np.abs(weight[..., np.newaxis] - table).min(axis=2) * given.w_scale[:, None]
        ).sum()
        for table in itertools.combinations(range(-6, 10), levels)
    )
    difference = real(given, 0) - real(quantize_codebook(given, levels, 0), 0)
    assert np.square(difference).sum() == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("quantize", [quantize_uniform, quantize_codebook])
def test_channel_axis_does_not_matter(quantize: Any) -> None:
    first = draw((6, 3, 4), 0, seed=9)
    last = Weights(np.moveaxis(first.weight, 0, 2), first.bias, first.w_scale)
    a, b = quantize(first, 5, 0), quantize(last, 5, 2)
    np.testing.assert_array_equal(a.weight, np.moveaxis(b.weight, 2, 0))
    np.testing.assert_array_equal(a.bias, b.bias)
    np.testing.assert_array_equal(a.w_scale, b.w_scale)


def test_rescaled_bias_is_checked() -> None:
    one, half = np.ones(2, np.float32), np.full(2, 0.5, np.float32)
    bias = np.array([-(1 << 30), (1 << 30) - 1], np.int32)
    assert rescale_bias(bias, one, half).tolist() == [-(1 << 31), (1 << 31) - 2]
    with pytest.raises(ValueError, match="int32"):
        rescale_bias(bias + 1, one, half)
