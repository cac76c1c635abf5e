"""Lines that requantize: where `fit_line` finds one it is the layer's rounding, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vq_cortexm.kernels.line import Line, fit_line, fit_raised, saturation
from vq_cortexm.op.rounding import (
    ROUNDINGS,
    RequantizeConstants,
    requantize,
    requantize_constants,
)

CHANNELS = 7


def bounds(lowest: int, highest: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.full(CHANNELS, lowest), np.full(CHANNELS, highest)


def draw_constants(
    rng: np.random.Generator, rounding: str, smallest: float, largest: float
) -> RequantizeConstants:
    w_scale = 2.0 ** rng.uniform(np.log2(smallest), np.log2(largest), CHANNELS)
    return requantize_constants(1.0, w_scale.astype(np.float32), 1.0, rounding)


def draw_clamp(rng: np.random.Generator) -> tuple[int, int, int]:
    """Zero point, y_min and y_max of an int8 or uint8 output."""
    least = int(rng.choice([-128, 0]))
    low, high = (least + 20, least + 200) if rng.random() < 0.3 else (least, least + 255)
    return int(rng.integers(least, least + 256)), low, high


def assert_equal(
    line: Line, constants: RequantizeConstants, clamp: tuple[int, int, int], acc: NDArray[np.int64]
) -> None:
    zero_point, y_min, y_max = clamp
    sums = np.repeat(acc[:, np.newaxis], CHANNELS, axis=1)
    wanted = np.clip(requantize(sums, constants) + zero_point, y_min, y_max)
    assert np.array_equal(np.clip(line.apply(sums), y_min, y_max), wanted)


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_a_line_is_the_rounding_on_its_whole_interval(rounding: str) -> None:
    found = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        constants, clamp = draw_constants(rng, rounding, 0.003, 0.03), draw_clamp(rng)
        middle, size = int(rng.integers(-20000, 20000)), int(rng.integers(1, 30000))
        line = fit_line(constants, *clamp, *bounds(middle - size, middle + size))
        if line is not None:
            found += 1
            assert_equal(line, constants, clamp, np.arange(middle - size, middle + size + 1))
    # gemmlowp's two roundings are seldom one
    assert found > (30 if rounding != "double" else 0)


@pytest.mark.parametrize("seed", range(20))
def test_realistic_layers_have_a_line_and_it_holds_around_every_step(seed: int) -> None:
    rng = np.random.default_rng(seed)
    largest = 2.0 ** rng.uniform(-12, -4)
    constants, clamp = draw_constants(rng, "single", largest / 32, largest), draw_clamp(rng)
    highest = 1 << 22
    line = fit_line(constants, *clamp, *bounds(-highest, highest))
    assert line is not None
    assert 1 <= line.shift <= 14
    assert abs(256 * line.addend) < 1 << 31
    scale = np.ldexp(constants.multiplier.astype(np.float64), -constants.shift)
    steps = (np.arange(clamp[1] - clamp[0], clamp[2] - clamp[0] + 1) - 0.5)[:, np.newaxis] / scale
    near = np.rint(steps).astype(np.int64).reshape(-1, 1) + np.arange(-2, 3)
    around = np.clip(near.reshape(-1), -highest, highest)
    assert_equal(line, constants, clamp, np.append(around, rng.integers(-highest, highest, 5000)))


@pytest.mark.parametrize("bits", range(1, 9))
def test_a_scaled_sum_needs_a_scaled_addend_and_a_longer_shift(bits: int) -> None:
    rng = np.random.default_rng(bits)
    constants, clamp = draw_constants(rng, "single", 0.003, 0.03), draw_clamp(rng)
    line = fit_line(constants, *clamp, *bounds(-20000, 20000))
    assert line is not None
    scaled = Line(line.multiplier, line.addend << bits, line.shift + bits)
    acc = rng.integers(-20000, 20000, (500, CHANNELS))
    assert np.array_equal(scaled.apply(acc << bits), line.apply(acc))


def test_a_channel_that_is_always_zero_has_a_line() -> None:
    w_scale = np.full(CHANNELS, 0.01, np.float32)
    w_scale[3] = 2.0**-40
    constants = requantize_constants(1.0, w_scale, 1.0, "single")
    line = fit_line(constants, 5, -128, 127, *bounds(-1000, 1000))
    assert line is not None
    assert_equal(line, constants, (5, -128, 127), np.arange(-1000, 1001))


def test_scales_that_leave_no_bit_to_round_have_none() -> None:
    constants = requantize_constants(1.0, np.full(CHANNELS, 0.9, np.float32), 1.0, "single")
    assert fit_line(constants, 0, -128, 127, *bounds(-1000, 1000)) is None
    constants = requantize_constants(1.0, np.full(CHANNELS, 2.0**-40, np.float32), 1.0, "single")
    assert fit_line(constants, 0, -128, 127, *bounds(-1000, 1000)) is None


def test_sums_are_raised_only_as_far_as_int32_goes() -> None:
    """0.6 needs four times the sums."""
    w_scale = np.full(CHANNELS, 1e-12, np.float32)
    w_scale[0] = 0.6
    constants = requantize_constants(1.0, w_scale, 1.0, "single")
    weight = np.ones((CHANNELS, 4), np.int8)
    for largest, bits in ((1000, 2), ((1 << 29) - 1000, 2), (1 << 29, None), (1 << 31, None)):
        lowest, highest = bounds(-1000, 1000)
        highest[1] = largest
        line = fit_raised(weight, constants, (0, -128, 127), (lowest, highest))
        assert (line.bits if line else None) == bits
        mirrored = fit_raised(weight, constants, (0, -128, 127), (-highest, -lowest))
        assert (mirrored.bits if mirrored else None) == bits


def test_saturation_names_only_the_clamps_that_the_type_has_not() -> None:
    assert saturation("int8", -128, 127) == {"unsigned_y": False, "low": None, "high": None}
    assert saturation("uint8", 0, 254) == {"unsigned_y": True, "low": None, "high": 254}
    assert saturation("int8", 0, 127) == {"unsigned_y": False, "low": 0, "high": None}
