"""Fully connected layers of one row: the twins on the host and the assembly in the emulator equal
the NumPy reference, for drawn shapes."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from one_layer import one_layer_module, routines

from vq_cortexm.build import build_folded
from vq_cortexm.op.dense import DenseAttrs
from vq_cortexm.samples import random_samples

SHAPES = ((8, 128), (128, 8), (200, 60), (130, 66), (640, 13), (1, 1), (3, 2), (5, 7))
"""(inputs, outputs): tall and wide ones, both unrolled runs, entered early and late, all tails."""


def draw_attrs(rng: np.random.Generator, dtype: str, rounding: str) -> DenseAttrs:
    y_dtype = str(rng.choice(["int8", "uint8"]))
    x_info, y_info = np.iinfo(dtype), np.iinfo(y_dtype)
    margin = 40 if rng.random() < 0.4 else 0
    return DenseAttrs(
        x_scale=float(np.float32(rng.uniform(0.01, 0.1))),
        x_zero_point=int(rng.integers(x_info.min, x_info.max + 1)),
        y_scale=float(np.float32(rng.uniform(0.05, 0.3))),
        y_zero_point=int(rng.integers(y_info.min, y_info.max + 1)),
        y_min=y_info.min + margin,
        y_max=y_info.max - margin,
        rounding=rounding,
        y_dtype=y_dtype,
    )


def draw(seed: int, rows: int = 1) -> Any:
    """All channels share a scale in odd seeds."""
    rounding = ("single", "single", "double", "float")[seed % 4]
    rng = np.random.default_rng(seed)
    inputs, outputs = (int(n) for n in (rng.integers(1, 150), rng.integers(1, 20)))
    if rng.random() < 0.4:
        inputs, outputs = SHAPES[int(rng.integers(len(SHAPES)))]
    dtype = str(rng.choice(["int8", "uint8"]))
    weight = rng.integers(-127, 128, (outputs, inputs)).astype(np.int8)
    bias = rng.integers(-3000, 3000, outputs).astype(np.int32)
    scale = rng.uniform(0.2, 1.0, outputs) / (20 * np.sqrt(inputs))
    scale = scale[:1].repeat(outputs) if seed % 2 else scale
    constants = [weight, bias, scale.astype(np.float32)]
    attrs = draw_attrs(rng, dtype, rounding)
    return one_layer_module("dense", (rows, inputs), dtype, constants, attrs)


def check(seed: int, board: str) -> None:
    io: Literal["arena", "caller"] = "caller" if seed % 3 == 0 else "arena"
    compiled = build_folded(draw(seed), io=io, name="layer")
    assert routines(compiled) == ["dense"]
    samples = random_samples(compiled.program.inputs, 3, seed)
    result = compiled.run(samples, board, check=True, poison=True)
    assert result.bit_exact, f"seed {seed}, {board}"


@pytest.mark.parametrize("seed", range(12))
def test_on_the_host(seed: int) -> None:
    check(seed, "host")


@pytest.mark.parametrize("seed", range(12, 24))
def test_in_the_emulator(seed: int) -> None:
    check(seed, "mps2-an386")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 200))
def test_many(seed: int) -> None:
    check(seed, "mps2-an386" if seed % 2 else "host")


@pytest.mark.parametrize("board", ["host", "mps2-an386"])
def test_several_rows_and_weights_that_overflow_a_pair_are_convolutions(board: str) -> None:
    attrs = draw_attrs(np.random.default_rng(1), "int8", "single")
    weight = np.full((2, 10), -128, np.int8)
    constants = [weight, np.zeros(2, np.int32), np.full(2, 0.003, np.float32)]
    for module in (
        draw(1, rows=3),
        one_layer_module("dense", (1, 10), "int8", constants, attrs),
    ):
        compiled = build_folded(module, name="layer")
        assert routines(compiled) == ["conv_rows", "widen"]
        samples = random_samples(compiled.program.inputs, 3, 1)
        assert compiled.run(samples, board, check=True).bit_exact


def test_layers_of_other_shapes_and_scales_share_a_routine() -> None:
    symbols = set()
    for inputs, outputs, scale in ((128, 128, 0.0005), (640, 128, 0.0001), (200, 64, 0.002)):
        rng = np.random.default_rng(inputs)
        weight = rng.integers(-127, 128, (outputs, inputs)).astype(np.int8)
        constants = [weight, np.zeros(outputs, np.int32), np.full(outputs, scale, np.float32)]
        attrs = DenseAttrs(1.0, 0, 1.0, -128, -128, 127)
        module = one_layer_module("dense", (1, inputs), "int8", constants, attrs)
        program = build_folded(module, name="layer").program
        symbols |= {k.symbol for kernels in program.micro_kernels.values() for k in kernels}
    assert len(symbols) == 1


@pytest.mark.parametrize("board", ["host", "mps2-an386"])
def test_biases_that_would_leave_int32_are_not_raised(board: str) -> None:
    """Scales of 0.6 and small weights ask for it; four times the largest bias is 3 * 2^30."""
    attrs = DenseAttrs(0.02, 0, 0.1, 0, -128, 127)
    weight = np.random.default_rng(0).integers(-1, 2, (4, 16)).astype(np.int8)
    scales = np.array([3, 3e-7, 3, 3], np.float32)
    module = one_layer_module(
        "dense", (1, 16), "int8", [weight, np.array([3, 3 << 28, 5, -7], np.int32), scales], attrs
    )
    compiled = build_folded(module, name="layer")
    samples = random_samples(compiled.program.inputs, 2, 1)
    assert compiled.run(samples, board, check=True).bit_exact
