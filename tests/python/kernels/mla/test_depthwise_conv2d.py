"""Depthwise convolutions from lanes: the twins on the host and the assembly in the emulators equal
the NumPy reference, for drawn shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mla_layers import TARGETS, check, draw_constants, draw_quantization
from one_layer import one_layer_module

from vq_cortexm.op.depthwise_conv2d import DepthwiseConv2dAttrs

FAMILIES = ["lanes_depthwise", "lanes_plane"]


def draw(seed: int) -> Any:
    """Planes up to 12 x 12, two output rows or more, at least one column."""
    rng = np.random.default_rng(seed)
    kernel = tuple(int(k) for k in rng.integers(1, 6, 2))
    strides = tuple(int(s) for s in rng.integers(1, 4, 2))
    padding = tuple(int(rng.integers(0, k)) for k in (*kernel, *kernel))
    channels, multiplier = int(rng.integers(1, 9)), 1 if rng.random() < 0.7 else 2
    height, width = kernel[0] + strides[0] + int(rng.integers(0, 6)), int(rng.integers(5, 13))
    dtype = str(rng.choice(["int8", "uint8"]))
    quantization = draw_quantization(rng, dtype)
    attrs = DepthwiseConv2dAttrs(strides, padding, (1, 1), **quantization)
    outputs = channels * multiplier
    constants = draw_constants(rng, (*kernel, outputs), outputs)
    shape = (1 if rng.random() < 0.8 else 2, height, width, channels)
    return one_layer_module("depthwise_conv2d", shape, dtype, constants, attrs)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("core", "board"), TARGETS)
def test_drawn(core: str, board: str, seed: int) -> None:
    check(draw(seed), core, board, seed, FAMILIES)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 150))
@pytest.mark.parametrize(("core", "board"), TARGETS)
def test_many(core: str, board: str, seed: int) -> None:
    check(draw(seed), core, board, seed, FAMILIES)


@pytest.mark.parametrize(("core", "board"), TARGETS)
@pytest.mark.parametrize("channels", [1, 300])
def test_a_plane_of_many_channels_or_one(core: str, board: str, channels: int) -> None:
    """300: more than the step of a store, in a tensor that is larger than the lanes."""
    rng = np.random.default_rng(channels)
    attrs = DepthwiseConv2dAttrs((1, 1), (1, 1, 1, 1), (1, 1), **draw_quantization(rng, "int8"))
    constants = draw_constants(rng, (3, 3, channels), channels)
    module = one_layer_module("depthwise_conv2d", (1, 4, 3, channels), "int8", constants, attrs)
    compiled = check(module, core, board, 1, FAMILIES)
    assert compiled.plan.arena_bytes < 2 * 12 * channels + 1024


def layer_of(
    shape: tuple[int, int, int],
    kernel: tuple[int, int],
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    strides: tuple[int, int] = (1, 1),
    largest: int = 31,
) -> Any:
    """Weights that are small enough for the sums of many taps."""
    rng = np.random.default_rng(1)
    attrs = DepthwiseConv2dAttrs(strides, padding, (1, 1), **draw_quantization(rng, "int8"))
    _, *others = draw_constants(rng, (*kernel, shape[2]), shape[2])
    weight = rng.integers(-largest, largest + 1, (*kernel, shape[2])).astype(np.int8)
    return one_layer_module("depthwise_conv2d", (1, *shape), "int8", [weight, *others], attrs)


@pytest.mark.parametrize(
    ("shape", "kernel", "padding"),
    [
        ((6, 300, 12), (3, 3), (1, 1, 1, 1)),
        ((30, 260, 16), (3, 3), (0, 0, 0, 0)),
        ((30, 131, 16), (5, 5), (0, 0, 0, 0)),
    ],
)
def test_rows_that_are_no_immediate_apart(
    shape: tuple[int, int, int], kernel: tuple[int, int], padding: tuple[int, int, int, int]
) -> None:
    """From a window's end back to where the next one starts."""
    check(layer_of(shape, kernel, padding), "cortex-m3", "mps2-an385", 1, FAMILIES)


@pytest.mark.parametrize(
    ("side", "core", "board", "taken"),
    [
        (7, "cortex-m0", "microbit", FAMILIES),
        (8, "cortex-m0", "microbit", FAMILIES),
        (9, "cortex-m0", "microbit", FAMILIES),
        (11, "cortex-m0", "microbit", FAMILIES),
        (12, "cortex-m0", "microbit", []),
        (9, "cortex-m3", "mps2-an385", FAMILIES),
        (10, "cortex-m3", "mps2-an385", FAMILIES),
        (12, "cortex-m3", "mps2-an385", FAMILIES),
    ],
)
def test_large_kernels(side: int, core: str, board: str, taken: list[str]) -> None:
    """Constants lie in front of code that is too long for a pool behind it; code that a branch does
    not reach over is not made."""
    module = layer_of((side + 2, side + 2, 18), (side, side))
    check(module, core, board, 1, taken)


def test_weights_out_of_reach_go_in_loops() -> None:
    module = layer_of((65, 64, 16), (64, 64), largest=1)
    check(module, "cortex-m3", "mps2-an385", 1, [])


@pytest.mark.parametrize(
    "module",
    [
        layer_of((2, 257, 8), (1, 3), strides=(1, 3)),
        layer_of((2, 20, 9), (1, 65), padding=(0, 32, 0, 32)),
    ],
    ids=["row", "padding"],
)
def test_numbers_that_no_immediate_of_armv6m_has(module: Any) -> None:
    check(module, "cortex-m0", "microbit", 1, FAMILIES)
