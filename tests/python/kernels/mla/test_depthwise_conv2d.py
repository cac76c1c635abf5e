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
