"""Sums of tensors: the twins on the host and the assembly in the emulator equal the NumPy
reference, for drawn scales and sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
from one_layer import one_layer_module, routines

from vq_cortexm.build import build_folded
from vq_cortexm.kernels.dsp.add import add
from vq_cortexm.kernels.layer import Layer, TensorSpec
from vq_cortexm.op.add import AddAttrs
from vq_cortexm.samples import random_samples

SIZES = (16, 48, 1, 3, 15, 17, 63, 100)
ATTRS = AddAttrs(0.04, -128, 0.1, 4, 0.05, -128, -128, 127)


def draw(seed: int) -> Any:
    """Inputs and outputs are int8 and uint8 by turns."""
    rng = np.random.default_rng(seed)
    dtype, y_dtype = (("int8", "uint8")[seed >> bit & 1] for bit in (0, 1))
    x_info, y_info = np.iinfo(dtype), np.iinfo(y_dtype)
    # b's scale, at least, is not small beside the output's
    scales = [float(np.float32(2.0 ** rng.uniform(low, 0))) for low in (-6, -2, -4)]
    zero_points = [int(rng.integers(x_info.min, x_info.max + 1)) for _ in range(2)]
    margin = 40 if rng.random() < 0.3 else 0
    attrs = AddAttrs(
        scales[0],
        zero_points[0],
        scales[1],
        zero_points[1],
        scales[2],
        int(rng.integers(y_info.min, y_info.max + 1)),
        y_info.min + margin,
        y_info.max - margin,
        rounding=str(rng.choice(["single", "float"])),
        y_dtype=y_dtype,
    )
    return one_layer_module("add", (1, SIZES[seed % len(SIZES)]), dtype, [], attrs, inputs=2)


def check(seed: int, board: str) -> None:
    io: Literal["arena", "caller"] = "caller" if seed % 3 == 0 else "arena"
    compiled = build_folded(draw(seed), io=io, name="layer")
    assert routines(compiled) == ["add"]
    samples = random_samples(compiled.program.inputs, 8, seed)
    result = compiled.run(samples, board, check=True, poison=True)
    assert result.bit_exact, f"seed {seed}, {board}"


@pytest.mark.parametrize("seed", range(10))
def test_on_the_host(seed: int) -> None:
    check(seed, "host")


@pytest.mark.parametrize("seed", range(10, 20))
def test_in_the_emulator(seed: int) -> None:
    check(seed, "mps2-an386")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 150))
def test_many(seed: int) -> None:
    check(seed, "mps2-an386" if seed // 8 % 2 else "host")


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_all_pairs_of_bytes(dtype: str) -> None:
    info = np.iinfo(dtype)
    a, b = np.meshgrid(*[np.arange(info.min, info.max + 1)] * 2)
    module = one_layer_module("add", (1, a.size), dtype, [], ATTRS, inputs=2)
    sample = [side.astype(dtype).reshape(1, -1) for side in (a, b)]
    for board in ("host", "mps2-an386"):
        assert build_folded(module, name="layer").run([sample], board, check=True).bit_exact


def layer_of(attrs: AddAttrs, dtype: str = "int8", b_dtype: str = "int8") -> Layer:
    inputs = (TensorSpec((1, 64), dtype), TensorSpec((1, 64), b_dtype))
    return Layer("vq.add", attrs, inputs, (), TensorSpec((1, 64), attrs.y_dtype))


def test_adds_of_other_scales_share_a_routine() -> None:
    scales = ((0.04, 0.1, 0.05), (0.3, 0.2, 0.35), (0.05, 0.05, 0.06))
    kernels = [add(layer_of(replace(ATTRS, a_scale=a, b_scale=b, y_scale=y))) for a, b, y in scales]
    assert len({kernel.micro[0].symbol for kernel in kernels if kernel}) == 1
    assert all(kernels)


def test_what_the_routine_cannot_add_is_left_to_others() -> None:
    assert add(layer_of(replace(ATTRS, rounding="double"))) is None
    assert add(layer_of(ATTRS, b_dtype="uint8")) is None
    # the shift is so large that the zero point does not fit above it
    assert add(layer_of(replace(ATTRS, a_scale=1e-4, b_scale=1e-4, y_scale=0.5))) is None
