"""Fully connected layers from words of four weights: the twins on the host and the assembly in the
emulators equal the NumPy reference, for drawn shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mla_layers import TARGETS, check, draw_constants, draw_quantization
from one_layer import one_layer_module

from vq_cortexm.build import build_folded
from vq_cortexm.op.dense import DenseAttrs

SHAPES = ((1, 4), (7, 5), (8, 8), (9, 12), (33, 13), (100, 10), (150, 31), (600, 6))
"""(inputs, outputs): with and without blocks of inputs, tiles of each size."""


def draw(seed: int) -> Any:
    """All channels share a scale in odd seeds."""
    rng = np.random.default_rng(seed)
    inputs, outputs = SHAPES[seed % len(SHAPES)]
    dtype = str(rng.choice(["int8", "uint8"]))
    constants = draw_constants(rng, (outputs, inputs), outputs, shared=bool(seed % 2))
    attrs = DenseAttrs(**draw_quantization(rng, dtype))
    return one_layer_module("dense", (int(rng.integers(1, 4)), inputs), dtype, constants, attrs)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("core", "board"), TARGETS)
def test_drawn(core: str, board: str, seed: int) -> None:
    check(draw(seed), core, board, seed, ["dense_fours"])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 140))
@pytest.mark.parametrize(("core", "board"), TARGETS)
def test_many(core: str, board: str, seed: int) -> None:
    check(draw(seed), core, board, seed, ["dense_fours"])


@pytest.mark.parametrize(("core", "board"), TARGETS)
def test_the_largest_sums(core: str, board: str) -> None:
    """Sums up to 2^23: they fill the 24 bits of each channel."""
    inputs = 500
    weight = np.repeat(np.array([[127], [-128], [-127], [126], [-1]], np.int8), inputs, axis=1)
    quantization = draw_quantization(np.random.default_rng(5), "int8")
    attrs = DenseAttrs(**quantization | {"x_zero_point": 0})
    constants = [weight, np.zeros(5, np.int32), np.full(5, 1e-4, np.float32)]
    module = one_layer_module("dense", (1, inputs), "int8", constants, attrs)
    samples = [np.full((1, inputs), value, np.int8) for value in (-128, 127)]
    check(module, core, board, 1, ["dense_fours"], samples)


def test_larger_sums_are_left_to_the_semantic_kernel() -> None:
    attrs = DenseAttrs(**draw_quantization(np.random.default_rng(5), "int8"))
    constants = [
        np.full((5, 600), 127, np.int8),
        np.zeros(5, np.int32),
        np.full(5, 1e-4, np.float32),
    ]
    module = one_layer_module("dense", (1, 600), "int8", constants, attrs)
    assert not any(build_folded(module, "vq-cortexm/cortex-m3").program.micro_kernels.values())
