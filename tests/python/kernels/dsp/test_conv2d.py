"""Convolutions from byte pairs: the twins on the host and the assembly in the emulator equal the
NumPy reference, for drawn shapes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
from one_layer import one_layer_module, routines

from vq_cortexm.build import build_folded
from vq_cortexm.kernels.dsp import conv_weights, pairs
from vq_cortexm.op.conv2d import Conv2dAttrs
from vq_cortexm.samples import random_samples
from vq_cortexm.transform.vq_config import VirtualQuantizeConfig


def draw_attrs(rng: np.random.Generator, kernel: tuple[int, int]) -> Conv2dAttrs:
    y_dtype = str(rng.choice(["int8", "uint8"]))
    info = np.iinfo(y_dtype)
    clamped = rng.random() < 0.3
    return Conv2dAttrs(
        strides=tuple(int(s) for s in rng.integers(1, 4, 2)),
        padding=tuple(int(rng.integers(0, k)) for k in (*kernel, *kernel)),
        dilation=(int(rng.integers(1, 3)), 1),
        groups=1,
        x_scale=float(np.float32(rng.uniform(0.01, 0.1))),
        x_zero_point=0,
        y_scale=float(np.float32(rng.uniform(0.05, 0.3))),
        y_zero_point=int(rng.integers(info.min, info.max + 1)),
        y_min=info.min + 30 if clamped else info.min,
        y_max=info.max - 30 if clamped else info.max,
        rounding=str(rng.choice(["single", "single", "double", "float"])),
        y_dtype=y_dtype,
    )


def draw(seed: int, limit: int = 127, gain: float = 1.0) -> Any:
    rng = np.random.default_rng(seed)
    pointwise = rng.random() < 0.4
    kernel = (1, 1) if pointwise else tuple(int(k) for k in rng.integers(1, 6, 2))
    channels = int(rng.integers(1, 20))
    depth = int(rng.choice([1, 2, 3, 4, 8, *range(5, 24), 96]))
    height, width = (int(n) for n in rng.integers(9, 16, 2))
    dtype = str(rng.choice(["int8", "uint8"]))
    info = np.iinfo(dtype)
    attrs = replace(draw_attrs(rng, kernel), x_zero_point=int(rng.integers(info.min, info.max + 1)))
    weight = rng.integers(-limit, limit + 1, (channels, *kernel, depth)).astype(np.int8)
    bias = rng.integers(-3000, 3000, channels).astype(np.int32)
    scale = rng.uniform(0.2, 1.0, channels) / (20 * np.sqrt(weight[0].size)) * gain
    shape = (1 if rng.random() < 0.8 else 2, height, width, depth)
    return one_layer_module("conv2d", shape, dtype, [weight, bias, scale.astype(np.float32)], attrs)


def stored(compiled: Any) -> list[Any]:
    """How the weights of `conv_rows` are stored."""
    kernels = [k for each in compiled.program.micro_kernels.values() for k in each]
    return [k.parameters["weights"] for k in kernels if k.family == "conv_rows"]


def check(seed: int, board: str, limit: int = 127, gain: float = 1.0) -> None:
    io: Literal["arena", "caller"] = "caller" if seed % 3 == 0 else "arena"
    compiled = build_folded(draw(seed, limit, gain), io=io, name="layer")
    assert {"conv_rows", "widen"} <= set(routines(compiled))
    samples = random_samples(compiled.program.inputs, 3, seed)
    assert compiled.run(samples, board, check=True).bit_exact, f"seed {seed}, {board}"


@pytest.mark.parametrize("seed", range(24))
def test_on_the_host(seed: int) -> None:
    check(seed, "host")


@pytest.mark.parametrize("seed", range(24, 36))
def test_in_the_emulator(seed: int) -> None:
    check(seed, "mps2-an386")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 200))
def test_many(seed: int) -> None:
    check(seed, "mps2-an386" if seed % 2 else "host")


@pytest.mark.parametrize("board", ["host", "mps2-an386"])
def test_weights_that_overflow_a_pair_are_packed_singly(board: str) -> None:
    """-128 beside a negative weight does not fit the halves of a pair."""
    rng = np.random.default_rng(1)
    attrs = replace(draw_attrs(rng, (1, 1)), strides=(1, 1), padding=(0, 0, 0, 0))
    weight = rng.integers(-128, -100, (7, 1, 1, 10)).astype(np.int8)
    weight[:2] = -128
    constants = [weight, np.zeros(7, np.int32), np.full(7, 0.003, np.float32)]
    module = one_layer_module("conv2d", (1, 5, 5, 10), "int8", constants, attrs)
    compiled = build_folded(module, name="layer")
    assert stored(compiled) == ["singles"]
    samples = random_samples(compiled.program.inputs, 3, 1)
    assert compiled.run(samples, board, check=True).bit_exact


@pytest.mark.parametrize(("seed", "board"), [(i, ("host", "mps2-an386")[i % 2]) for i in range(8)])
def test_single_weights_of_drawn_shapes(
    seed: int, board: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "fits_pairs", lambda *_: False)
    check(seed, board)


@pytest.mark.parametrize(("seed", "board"), [(i, ("host", "mps2-an386")[i % 2]) for i in range(24)])
def test_weights_of_four_bits(seed: int, board: str) -> None:
    check(seed, board, limit=7, gain=1.0 if seed % 3 else 20.0)


@pytest.mark.parametrize(("seed", "board"), [(i, ("host", "mps2-an386")[i % 2]) for i in range(24)])
def test_weights_of_two_bits(seed: int, board: str) -> None:
    check(seed, board, limit=1, gain=1.0 if seed % 3 else 100.0)


@pytest.mark.parametrize("limit", [1, 7, 127])
@pytest.mark.parametrize("board", ["host", "mps2-an386"])
def test_scales_of_a_quarter_and_more_raise_the_sums(limit: int, board: str) -> None:
    attrs = replace(
        draw_attrs(np.random.default_rng(5), (1, 1)),
        strides=(1, 1),
        padding=(0, 0, 0, 0),
        y_zero_point=3,
        x_scale=1.0,
        y_scale=1.0,
        rounding="single",
    )
    rng = np.random.default_rng(limit)
    weight = rng.integers(-limit, limit + 1, (7, 1, 1, 6)).astype(np.int8)
    constants = [weight, np.zeros(7, np.int32), np.linspace(0.2, 0.7, 7, dtype=np.float32)]
    module = one_layer_module("conv2d", (1, 5, 5, 6), "int8", constants, attrs)
    compiled = build_folded(module, name="layer")
    kernels = [k for each in compiled.program.micro_kernels.values() for k in each]
    assert [k.parameters["least"] for k in kernels if k.family == "conv_rows"] == [8]
    samples = random_samples(compiled.program.inputs, 3, 1)
    assert compiled.run(samples, board, check=True).bit_exact


@pytest.mark.parametrize(
    ("kernel", "strides", "padding", "shape", "taken"),
    [
        ((3, 3), (2, 2), (0, 0, 0, 0), (1, 3, 5, 515), "conv_rows"),
        ((1, 1), (1, 4), (0, 0, 0, 0), (1, 1, 5, 1401), "widen"),
        ((1, 1), (1, 13), (1, 0, 0, 0), (1, 1, 27, 168), "copy_segments"),
    ],
)
def test_steps_of_a_pointer_that_are_no_immediate(
    kernel: tuple[int, int],
    strides: tuple[int, int],
    padding: tuple[int, int, int, int],
    shape: tuple[int, int, int, int],
    taken: str,
) -> None:
    """From one pixel's inputs to the next one's: 4120 bytes, 4203 and 4368."""
    rng = np.random.default_rng(1)
    drawn = replace(draw_attrs(rng, kernel), strides=strides, padding=padding, dilation=(1, 1))
    weight = rng.integers(-127, 128, (5, *kernel, shape[3])).astype(np.int8)
    scale = rng.uniform(0.2, 1.0, 5) / (20 * np.sqrt(weight[0].size))
    constants = [weight, rng.integers(-3000, 3000, 5).astype(np.int32), scale.astype(np.float32)]
    compiled = build_folded(one_layer_module("conv2d", shape, "int8", constants, drawn))
    assert taken in routines(compiled)
    samples = random_samples(compiled.program.inputs, 3, 1)
    assert compiled.run(samples, "mps2-an386", check=True).bit_exact


def test_more_rows_than_a_stack_pointer_reaches_go_in_loops() -> None:
    rng = np.random.default_rng(1)
    attrs = replace(draw_attrs(rng, (1, 1)), strides=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1))
    weight = rng.integers(-127, 128, (1, 500, 1, 4)).astype(np.int8)
    constants = [weight, np.zeros(1, np.int32), np.full(1, 0.001, np.float32)]
    compiled = build_folded(one_layer_module("conv2d", (1, 501, 2, 4), "int8", constants, attrs))
    assert "conv_rows" not in routines(compiled)
    samples = random_samples(compiled.program.inputs, 1, 1)
    assert compiled.run(samples, "mps2-an386", check=True).bit_exact


def pointwise(
    shape: tuple[int, int, int, int],
    weight: Any,
    scales: Any,
    strides: tuple[int, int] = (1, 1),
    realisation: Literal["plain", "nested"] = "plain",
) -> Any:
    """A module of a pointwise layer without biases, of inputs without a zero point."""
    drawn = draw_attrs(np.random.default_rng(1), (1, 1))
    changes: dict[str, Any] = {"strides": strides, "padding": (0, 0, 0, 0), "dilation": (1, 1)}
    attrs = replace(drawn, **changes, rounding="single")
    constants = [weight, np.zeros(len(weight), np.int32), np.asarray(scales, np.float32)]
    module = one_layer_module("conv2d", shape, "int8", constants, attrs)
    asked = VirtualQuantizeConfig(realisation=realisation).to_json()
    module["main"] = module["main"].with_attr("vq.virtual_quantization", json.dumps(asked))
    return module


@pytest.mark.parametrize(
    ("shape", "strides"),
    [((1, 5, 5, 10), (1, 2)), ((2, 5, 5, 10), (2, 2)), ((1, 3, 9, 33), (1, 4))],
)
def test_pixels_that_lie_words_apart_in_rows_that_do_not(
    shape: tuple[int, int, int, int], strides: tuple[int, int]
) -> None:
    """20 bytes, in rows of 50: LDM would fault."""
    weight = np.random.default_rng(1).integers(-127, 128, (4, 1, 1, shape[3])).astype(np.int8)
    compiled = build_folded(pointwise(shape, weight, np.full(4, 0.01), strides))
    assert "widen" in routines(compiled)
    samples = random_samples(compiled.program.inputs, 2, 1)
    assert compiled.run(samples, "mps2-an386", check=True).bit_exact


@pytest.mark.parametrize("unroll", [4, 8, 12, 18, 24, 36])
def test_blocks_of_two_bits_add_up_no_more_than_was_proved(
    unroll: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """32 inputs at a time have digits that sum up to 64, but not those 24 to 47."""
    monkeypatch.setattr(conv_weights, "UNROLL", unroll)
    weight = np.full((4, 1, 1, 64), -1, np.int8)
    weight[:, :, :, 16:48] = 1
    weight[0] = np.random.default_rng(0).integers(-2, 2, 64)
    compiled = build_folded(
        pointwise((1, 2, 2, 64), weight, np.full(4, 0.02), realisation="nested")
    )
    assert stored(compiled) == ["twos"]
    samples = [[np.full((1, 2, 2, 64), end, np.int8)] for end in (-128, 127)]
    assert compiled.run(samples, "mps2-an386", check=True).bit_exact
