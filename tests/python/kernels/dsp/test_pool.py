"""Average and maximum pooling: the twins on the host and the assembly in the emulator equal the
NumPy reference, for drawn shapes."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from one_layer import one_layer_module, routines

from vq_cortexm.build import build_folded
from vq_cortexm.op.avg_pool2d import AvgPool2dAttrs
from vq_cortexm.op.max_pool2d import MaxPool2dAttrs
from vq_cortexm.samples import random_samples

Pair = tuple[int, int]


def draw_pair(rng: np.random.Generator, low: int, high: int) -> Pair:
    rows, columns = rng.integers(low, high + 1, 2)
    return int(rows), int(columns)


def draw_average(seed: int) -> Any:
    """Global in every third seed."""
    rng = np.random.default_rng(seed)
    dtype = ("int8", "uint8")[seed % 2]
    info = np.iinfo(dtype)
    plane, channels = draw_pair(rng, 4, 19), int(rng.integers(4, 25))
    pool, strides, padding = draw_pair(rng, 3, 4), draw_pair(rng, 1, 3), (0, 0, 0, 0)
    if rng.random() < 0.5:
        padding = tuple(int(rng.integers(0, k)) for k in (*pool, *pool))
    if seed % 3 == 0:
        pool, strides, padding = plane, plane, (0, 0, 0, 0)
    x_scale, x_zero_point = 0.05, int(rng.integers(info.min, info.max + 1))
    rescales = rng.random() < 0.5
    attrs = AvgPool2dAttrs(
        pool,
        strides,
        padding,
        x_scale,
        x_zero_point,
        y_scale=0.03 if rescales else x_scale,
        y_zero_point=0 if rescales else x_zero_point,
        y_min=info.min,
        y_max=info.max - 20,
        rounding=str(rng.choice(["single", "double", "float"])),
        y_dtype=dtype,
        mean=bool(rng.random() < 0.3),
    )
    shape = (int(rng.integers(1, 3)), *plane, channels)
    return one_layer_module("avg_pool2d", shape, dtype, [], attrs)


def draw_maximum(seed: int) -> Any:
    """Windows overlap, touch or have gaps."""
    rng = np.random.default_rng(seed)
    dtype = ("int8", "uint8")[seed % 2]
    info = np.iinfo(dtype)
    channels = int(rng.choice([4, 8, 16, *range(5, 24)]))
    margin = 30 if rng.random() < 0.3 else 0
    attrs = MaxPool2dAttrs(
        (int(rng.integers(1, 5)), int(rng.integers(1, 8))),
        draw_pair(rng, 1, 4),
        (0, 0, 0, 0),
        0.1,
        0,
        0.1,
        0,
        y_min=info.min + margin,
        y_max=info.max - margin,
        y_dtype=dtype,
    )
    shape = (int(rng.integers(1, 3)), *draw_pair(rng, 7, 12), channels)
    return one_layer_module("max_pool2d", shape, dtype, [], attrs)


DRAWN = {"avg_pool": draw_average, "max_pool": draw_maximum}


def check(family: str, seed: int, board: str) -> None:
    io: Literal["arena", "caller"] = "caller" if seed % 5 == 0 else "arena"
    compiled = build_folded(DRAWN[family](seed), io=io, name="layer")
    assert routines(compiled) == [family]
    samples = random_samples(compiled.program.inputs, 3, seed)
    result = compiled.run(samples, board, check=True, poison=True)
    assert result.bit_exact, f"{family}, seed {seed}, {board}"


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("family", DRAWN)
def test_on_the_host(family: str, seed: int) -> None:
    check(family, seed, "host")


@pytest.mark.parametrize("seed", range(6, 11))
@pytest.mark.parametrize("family", DRAWN)
def test_in_the_emulator(family: str, seed: int) -> None:
    check(family, seed, "mps2-an386")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 150))
@pytest.mark.parametrize("family", DRAWN)
def test_many(family: str, seed: int) -> None:
    check(family, seed, "mps2-an386" if seed // 2 % 2 else "host")


@pytest.mark.parametrize("strides", [(1, 1), (1, 3)])
def test_the_output_takes_the_place_of_the_input(strides: Pair) -> None:
    shape = (2, 6, 6, 8)
    known = ((3, 3), strides, (0, 0, 0, 0), 0.1, 0, 0.1, 0, -128, 127)
    for attrs, scratch_bytes in ((AvgPool2dAttrs(*known), 4 * 8), (MaxPool2dAttrs(*known), 0)):
        op = "avg_pool2d" if scratch_bytes else "max_pool2d"
        compiled = build_folded(one_layer_module(op, shape, "int8", [], attrs), name="layer")
        assert compiled.plan.arena_bytes == 2 * 6 * 6 * 8 + scratch_bytes
        samples = random_samples(compiled.program.inputs, 3, 1)
        assert compiled.run(samples, "host", check=True, poison=True).bit_exact


def test_the_longest_row_does_not_overflow_its_halfword() -> None:
    attrs = AvgPool2dAttrs((2, 256), (1, 1), (0, 0, 0, 0), 0.1, 0, 0.1, 0, -128, 127)
    module = one_layer_module("avg_pool2d", (1, 2, 256, 4), "int8", [], attrs)
    compiled = build_folded(module, name="layer")
    assert routines(compiled) == ["avg_pool"]
    samples = [[np.full((1, 2, 256, 4), extreme, np.int8)] for extreme in (-128, 127)]
    assert compiled.run(samples, "mps2-an386", check=True).bit_exact


def test_few_channels_and_rows_that_do_not_pay_or_overflow_are_left_to_others() -> None:
    for shape, pool in (
        ((1, 4, 4, 3), (3, 3)),
        ((1, 4, 4, 4), (4, 2)),
        ((1, 1, 257, 4), (1, 257)),
    ):
        attrs = AvgPool2dAttrs(pool, (1, 1), (0, 0, 0, 0), 0.1, 0, 0.1, 0, -128, 127)
        module = one_layer_module("avg_pool2d", shape, "int8", [], attrs)
        assert routines(build_folded(module, name="layer")) == []
    padded = MaxPool2dAttrs((2, 2), (1, 1), (1, 0, 0, 0), 0.1, 0, 0.1, 0, -128, 127)
    module = one_layer_module("max_pool2d", (1, 4, 4, 4), "int8", [], padded)
    assert routines(build_folded(module, name="layer")) == []


def test_more_groups_of_channels_than_an_immediate_counts() -> None:
    """257, the last of which is not whole."""
    clamp: dict[str, Any] = {"y_min": -128, "y_max": 127, "y_dtype": "int8"}
    attrs = MaxPool2dAttrs((2, 2), (1, 2), (0, 0, 0, 0), 0.1, 0, 0.1, 0, **clamp)
    compiled = build_folded(one_layer_module("max_pool2d", (1, 3, 4, 1027), "int8", [], attrs))
    assert routines(compiled) == ["max_pool"]
    samples = random_samples(compiled.program.inputs, 2, 1)
    assert compiled.run(samples, "mps2-an386", check=True).bit_exact
