"""Convolutions to packed signs: routines, their twins and plain loops equal the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from one_layer import one_layer_module, routines

from vq_cortexm.build import build_folded
from vq_cortexm.op.sign_conv2d import SignConv2dAttrs

ALL_AROUND, NOWHERE = (1, 1, 1, 1), (0, 0, 0, 0)


@dataclass(frozen=True)
class SignLayer:
    """Windows of `size` on (batch, *plane, depth)."""

    plane: tuple[int, int]
    depth: int
    outputs: int
    size: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (2, 2)
    padding: tuple[int, int, int, int] = ALL_AROUND
    x_dtype: str = "int8"
    zero_point: int = 0
    batch: int = 1
    largest: int = 127

    def module(self, seed: int = 0) -> Any:
        """With drawn weights, and thresholds that both signs occur but for two channels."""
        rng = np.random.default_rng(seed)
        shape = (self.outputs, *self.size, self.depth)
        w = rng.integers(-self.largest, self.largest + 1, shape).astype(np.int8)
        spread = 60 * self.largest * int(np.prod(shape[1:]) ** 0.5)
        threshold = rng.integers(-spread, spread, self.outputs).astype(np.int32)
        threshold[:2] = np.iinfo(np.int32).max, np.iinfo(np.int32).min
        attrs = SignConv2dAttrs(self.strides, self.padding, self.zero_point)
        x_shape = (self.batch, *self.plane, self.depth)
        return one_layer_module("sign_conv2d", x_shape, self.x_dtype, [w, threshold], attrs)

    def samples(self, count: int) -> list[list[Any]]:
        """The first are all least and all largest, which overflow first."""
        rng, info = np.random.default_rng(9), np.iinfo(self.x_dtype)
        shape = (self.batch, *self.plane, self.depth)
        drawn = [rng.integers(info.min, info.max + 1, shape) for _ in range(count - 2)]
        ends = [np.full(shape, info.min), np.full(shape, info.max)]
        return [[x.astype(self.x_dtype)] for x in (*ends, *drawn)]


LAYERS = [
    # two pixels by one channel
    SignLayer((12, 12), 1, 64),
    SignLayer((9, 10), 1, 62, padding=(0, 1, 1, 0), zero_point=-128),
    SignLayer((7, 11), 1, 32, strides=(1, 2), padding=NOWHERE, x_dtype="uint8", zero_point=255),
    SignLayer((5, 9), 1, 30, x_dtype="uint8", zero_point=3, batch=2),
    # four by two
    SignLayer((10, 16), 3, 64),
    SignLayer((6, 15), 3, 60, strides=(1, 1), x_dtype="uint8", zero_point=128),
    SignLayer((7, 8), 1, 32, (5, 5), (1, 1), (2, 2, 2, 2), zero_point=5),
    SignLayer((5, 14), 2, 28, (2, 3), (2, 1), (0, 1, 1, 1), batch=2),
    SignLayer((3, 8), 4, 32, (1, 1), (1, 1), NOWHERE),
    SignLayer((4, 24), 5, 26, (1, 2), (1, 3), NOWHERE, zero_point=-7),
    # loops: few channels, few pixels, many inputs, weights that go in no pairs
    SignLayer((8, 8), 1, 5),
    SignLayer((9, 3), 1, 40, strides=(2, 4)),
    SignLayer((4, 4), 40, 33, zero_point=11),
    SignLayer((6, 8), 3, 64, largest=128),
]
ROUTINES = [["sign_conv_plane"]] * 4 + [["sign_conv"]] * 6 + [[]] * 4


@pytest.mark.parametrize(("layer", "taken"), list(zip(LAYERS, ROUTINES, strict=True)))
def test_layer_on_the_host_equals_the_reference(layer: SignLayer, taken: list[str]) -> None:
    compiled = build_folded(layer.module())
    assert routines(compiled) == taken
    assert compiled.run(layer.samples(6), "host", check=True).bit_exact


@pytest.mark.parametrize("layer", LAYERS[1:12:3])
def test_layer_reads_and_writes_nothing_else(layer: SignLayer) -> None:
    compiled = build_folded(layer.module())
    assert compiled.run(layer.samples(3), "host", check=True, poison=True).bit_exact


@pytest.mark.parametrize("layer", LAYERS[:11])
def test_layer_on_a_core_equals_the_reference(layer: SignLayer) -> None:
    compiled = build_folded(layer.module())
    assert compiled.run(layer.samples(4), "mps2-an386", check=True).bit_exact


@pytest.mark.parametrize(
    ("core", "board"), [("cortex-m0", "microbit"), ("cortex-m3", "mps2-an385")]
)
def test_a_core_without_routines_runs_loops(core: str, board: str) -> None:
    compiled = build_folded(LAYERS[1].module(), f"vq-cortexm/{core}")
    assert routines(compiled) == []
    assert compiled.run(LAYERS[1].samples(3), board, check=True).bit_exact


@pytest.mark.parametrize("seed", range(12))
def test_drawn_layers_equal_the_reference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = tuple(int(n) for n in rng.integers(1, 5, 2))
    dtype = str(rng.choice(["int8", "uint8"]))
    info = np.iinfo(dtype)
    layer = SignLayer(
        (int(rng.integers(5, 12)), int(rng.integers(8, 20))),
        int(rng.integers(1, 6)),
        32 * int(rng.integers(1, 3)) - int(rng.integers(0, 6)),
        (size[0], size[1]),
        (int(rng.integers(1, 4)), int(rng.integers(1, 4))),
        tuple(int(rng.integers(0, n)) for n in (*size, *size)),  # type: ignore[arg-type]
        dtype,
        int(rng.integers(info.min, info.max + 1)),
        int(rng.integers(1, 3)),
    )
    compiled = build_folded(layer.module(seed))
    assert compiled.run(layer.samples(4), "host", check=True, poison=True).bit_exact
    assert compiled.run(layer.samples(2), "mps2-an386", check=True).bit_exact


LIMITS = [(SignLayer((48, 48), 1, 64), 12.0), (SignLayer((32, 32), 3, 64), 29.5)]


@pytest.mark.parametrize(("layer", "cycles_per_output"), LIMITS)
def test_modelled_cycles_stay_below(layer: SignLayer, cycles_per_output: float) -> None:
    compiled = build_folded(layer.module())
    run = compiled.run(layer.samples(3)[2:], "mps2-an386", check=True)
    assert run.bit_exact and run.cycles
    outputs = layer.outputs * int(np.prod(compiled.program.outputs[0].shape[1:3]))
    assert run.cycles / outputs < cycles_per_output


@pytest.mark.parametrize(
    ("layer", "taken"),
    [
        (SignLayer((3, 8), 3, 1920), ["sign_conv"]),
        (SignLayer((3, 5), 1, 3296), ["sign_conv_plane"]),
        (SignLayer((1, 4), 1, 10976, (1, 2), (1, 1), (0, 0, 0, 1)), []),
    ],
)
def test_streams_that_are_longer_than_a_halfword_says(layer: SignLayer, taken: list[str]) -> None:
    """And pixels that lie further apart than a store reaches."""
    compiled = build_folded(layer.module())
    assert routines(compiled) == taken
    assert compiled.run(layer.samples(3), "mps2-an386", check=True).bit_exact
