"""Convolutions from lanes: the twins on the host and the assembly in the emulators equal the NumPy
reference, for drawn shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mla_layers import TARGETS, check, draw_constants, draw_quantization
from one_layer import one_layer_module

from vq_cortexm.build import build_folded
from vq_cortexm.compiled_model import CompiledModel
from vq_cortexm.op.conv2d import Conv2dAttrs

FAMILIES = ["lanes_conv", "lanes_pack"]


def attributes(
    rng: np.random.Generator,
    dtype: str,
    strides: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    **given: int,
) -> Conv2dAttrs:
    quantization = draw_quantization(rng, dtype) | given
    return Conv2dAttrs(strides, padding, dilation, groups=1, **quantization)


def splits(compiled: CompiledModel) -> bool:
    """Whether the routine cuts its sums into parts."""
    (kernels,) = compiled.program.micro_kernels.values()
    (convolution,) = (k for k in kernels if k.family == "lanes_conv")
    return bool(convolution.parameters["split"])


def draw(seed: int) -> Any:
    """Half of them are pointwise; all have two output pixels or more."""
    rng = np.random.default_rng(seed)
    kernel = (1, 1) if seed % 2 else tuple(int(k) for k in rng.integers(1, 5, 2))
    padding = tuple(int(rng.integers(0, k)) for k in (*kernel, *kernel))
    strides = tuple(int(s) for s in rng.integers(1, 4, 2))
    dilation = (int(rng.integers(1, 3)), 1)
    channels, depth = (int(n) for n in rng.integers(1, 12, 2))
    dtype = str(rng.choice(["int8", "uint8"]))
    shape = (1 if rng.random() < 0.8 else 2, *(int(n) for n in rng.integers(8, 11, 2)), depth)
    attrs = attributes(rng, dtype, strides, padding, dilation)
    constants = draw_constants(rng, (channels, *kernel, depth), channels)
    return one_layer_module("conv2d", shape, dtype, constants, attrs)


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
def test_the_largest_sums(core: str, board: str) -> None:
    """Sums up to 2^20, of either sign in every lane: they fill the 21 bits of each."""
    depth = 64
    weight = np.repeat(np.array([[127], [-127], [126], [-1]], np.int8), depth, axis=1)
    constants = [
        weight.reshape(4, 1, 1, depth),
        np.zeros(4, np.int32),
        np.full(4, 1e-4, np.float32),
    ]
    attrs = attributes(np.random.default_rng(2), "int8", x_zero_point=0)
    module = one_layer_module("conv2d", (1, 1, 3, depth), "int8", constants, attrs)
    signs = [[1, 1, 1], [-1, -1, -1], [1, -1, 1], [-1, 1, -1], [1, 1, -1], [-1, -1, 1]]
    pixels = np.where(np.array(signs) > 0, 127, -128).astype(np.int8)
    samples = [np.repeat(row, depth).reshape(1, 1, 3, depth) for row in pixels]
    compiled = check(module, core, board, 1, FAMILIES, samples)
    assert not splits(compiled)


@pytest.mark.parametrize(("kernel", "depth"), [((1, 1), 96), ((3, 3), 24), ((2, 1), 81)])
@pytest.mark.parametrize(("core", "board"), TARGETS)
def test_sums_that_overflow_lanes_are_cut_into_parts(
    core: str, board: str, kernel: tuple[int, int], depth: int
) -> None:
    rng = np.random.default_rng(depth)
    weight, bias, scale = draw_constants(rng, (6, *kernel, depth), 6)
    weight[1], weight[2] = 127, -128
    module = one_layer_module(
        "conv2d", (1, 4, 5, depth), "int8", [weight, bias, scale], attributes(rng, "int8")
    )
    assert splits(check(module, core, board, 1, FAMILIES))


def test_sums_that_no_even_cut_shortens_enough_are_left_to_the_semantic_kernel() -> None:
    """A prime number of inputs."""
    constants = [
        np.full((4, 1, 1, 127), 127, np.int8),
        np.zeros(4, np.int32),
        np.full(4, 1e-4, np.float32),
    ]
    attrs = attributes(np.random.default_rng(2), "int8")
    module = one_layer_module("conv2d", (1, 2, 2, 127), "int8", constants, attrs)
    assert not any(build_folded(module, "vq-cortexm/cortex-m3").program.micro_kernels.values())


@pytest.mark.parametrize("width", range(2, 8))
@pytest.mark.parametrize(("depth", "channels"), [(6, 6), (5, 13), (12, 5)])
def test_any_number_of_pixels_over_the_input(width: int, depth: int, channels: int) -> None:
    """One row of a pointwise layer, whose output lies over its input."""
    rng = np.random.default_rng(width)
    constants = draw_constants(rng, (channels, 1, 1, depth), channels)
    attrs = attributes(rng, "int8")
    module = one_layer_module("conv2d", (1, 1, width, depth), "int8", constants, attrs)
    compiled = check(module, "cortex-m3", "host", 1, FAMILIES)
    tensors = width * (depth + channels)
    assert compiled.plan.arena_bytes < tensors + 2 * 8 * depth


@pytest.mark.parametrize(("core", "board"), TARGETS)
def test_a_window_as_large_as_the_input_is_fully_connected(core: str, board: str) -> None:
    rng = np.random.default_rng(3)
    constants = draw_constants(rng, (9, 3, 4, 5), 9)
    module = one_layer_module("conv2d", (2, 3, 4, 5), "int8", constants, attributes(rng, "int8"))
    check(module, core, board, 1, ["dense_fours"])


@pytest.mark.parametrize(("core", "board"), TARGETS)
def test_biases_that_would_leave_int32_are_not_raised(core: str, board: str) -> None:
    """Scales of 0.6 and small weights ask for it; four times the largest bias is 3 * 2^30."""
    ends: dict[str, Any] = {"x_scale": 0.02, "y_scale": 0.1, "y_min": -128, "y_max": 127}
    attrs = Conv2dAttrs(
        (1, 1), (0, 0, 0, 0), (1, 1), groups=1, x_zero_point=0, y_zero_point=0, **ends
    )
    weight = np.random.default_rng(0).integers(-1, 2, (4, 1, 1, 16)).astype(np.int8)
    scales = np.array([3, 3e-7, 3, 3], np.float32)
    constants = [weight, np.array([3, 3 << 28, 5, -7], np.int32), scales]
    check(one_layer_module("conv2d", (1, 4, 4, 16), "int8", constants, attrs), core, board, 1, [])
