"""Operators on single elements, of drawn shapes that broadcast: under poison the compiled C equals
the reference, on the host and on every kind of core."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from one_layer import one_layer_module, routines

from vq_cortexm.build import build_folded
from vq_cortexm.kernels.elementwise import BroadcastLoop, broadcast_loops
from vq_cortexm.op.add import AddAttrs
from vq_cortexm.op.extremum import KINDS, ExtremumAttrs
from vq_cortexm.op.lookup import LookupAttrs
from vq_cortexm.op.mul import MulAttrs
from vq_cortexm.op.prelu import PreluAttrs
from vq_cortexm.samples import random_samples

ROUNDINGS = ("single", "double", "float")
BOARDS = ("mps2-an386", "mps2-an385", "microbit")
BINARY = {"add": AddAttrs, "mul": MulAttrs, "prelu": PreluAttrs}
NAMES = (*BINARY, "extremum", "lookup")

Shape = tuple[int, ...]


def draw_range(rng: np.random.Generator, dtype: str) -> dict[str, Any]:
    """Output type and clamp."""
    info = np.iinfo(dtype)
    margin = 30 if rng.random() < 0.3 else 0
    return {"y_min": info.min + margin, "y_max": info.max - margin, "y_dtype": dtype}


def draw_binary(rng: np.random.Generator, name: str, dtype: str) -> Any:
    y_dtype = "uint8" if rng.random() < 0.3 else "int8"
    quantization: dict[str, Any] = {}
    for operand, its_type in (("a", dtype), ("b", dtype), ("y", y_dtype)):
        info = np.iinfo(its_type)
        quantization[f"{operand}_scale"] = float(np.float32(rng.uniform(0.01, 0.3)))
        quantization[f"{operand}_zero_point"] = int(rng.integers(info.min, info.max + 1))
    quantization |= {"rounding": str(rng.choice(ROUNDINGS)), **draw_range(rng, y_dtype)}
    if name == "add":
        quantization["negated"] = str(rng.choice(["", "a", "b"]))
    return BINARY[name](**quantization)


def draw_shapes(rng: np.random.Generator, name: str) -> tuple[Shape, Shape]:
    """A whole shape and one that broadcasts to it, or by `add`'s like both to a third."""
    shape = tuple(int(n) for n in rng.integers(1, 7, int(rng.integers(1, 5))))
    first, second = (
        tuple(1 if rng.random() < chance else n for n in shape)
        for chance in (0.0 if name == "prelu" or rng.random() < 0.7 else 0.5, 0.5)
    )
    return first, shape if rng.random() < 0.2 else second[int(rng.integers(0, len(shape))) :]


def draw(name: str, seed: int) -> Any:
    rng = np.random.default_rng([seed, *name.encode()])
    dtype = "uint8" if rng.random() < 0.3 else "int8"
    info = np.iinfo(dtype)
    first, second = draw_shapes(rng, name)
    if name == "lookup":
        y_dtype = "uint8" if rng.random() < 0.3 else "int8"
        table = rng.integers(0, 256, 256).astype(np.uint8).view(y_dtype)
        return one_layer_module(name, first, dtype, [table], LookupAttrs(y_dtype))
    if name == "extremum":
        attrs: Any = ExtremumAttrs(KINDS[seed % 2], **draw_range(rng, dtype))
    else:
        attrs = draw_binary(rng, name, dtype)
    if name == "prelu" or rng.random() < 0.4:
        values = rng.integers(info.min, info.max + 1, second).astype(dtype)
        return one_layer_module(name, first, dtype, [values], attrs)
    return one_layer_module(name, first, dtype, [], attrs, others=[second])


def check(name: str, seed: int, board: str) -> None:
    io: Literal["arena", "caller"] = "caller" if seed % 3 == 0 else "arena"
    target = "vq-cortexm" if board == "host" else f"vq-cortexm/{board}"
    compiled = build_folded(draw(name, seed), target, io=io, name="layer")
    samples = random_samples(compiled.program.inputs, 4, seed)
    result = compiled.run(samples, board, check=True, poison=True)
    assert result.bit_exact, f"{name}, seed {seed}, {board}"


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", NAMES)
def test_on_the_host(name: str, seed: int) -> None:
    check(name, seed, "host")


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("name", NAMES)
def test_in_the_emulator(name: str, board: str) -> None:
    check(name, 100 + len(board), board)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 250))
@pytest.mark.parametrize("name", NAMES)
def test_many(name: str, seed: int) -> None:
    check(name, seed, ("host", *BOARDS)[seed % 4])


@pytest.mark.parametrize("size", [3, 64, 333])
@pytest.mark.parametrize("board", ["mps2-an386", "mps2-an385"])
def test_tables_of_every_byte(size: int, board: str) -> None:
    """By the routine, its rest included."""
    table = np.random.default_rng(size).permutation(256).astype(np.uint8).view(np.int8)
    module = one_layer_module("lookup", (1, size), "int8", [table], LookupAttrs())
    compiled = build_folded(module, f"vq-cortexm/{board}", name="layer")
    assert routines(compiled) == ["lookup"]
    every = np.resize(np.arange(-128, 128), (1, size)).astype(np.int8)
    samples = [[every], *random_samples(compiled.program.inputs, 3, size)]
    assert compiled.run(samples, board, check=True, poison=True).bit_exact


@pytest.mark.parametrize(
    ("shape", "operands", "expected"),
    [
        ((2, 3, 4), [(2, 3, 4), (2, 3, 4)], [(24, (1, 1))]),
        ((2, 3, 4), [(2, 3, 4), (4,)], [(6, (4, 0)), (4, (1, 1))]),
        ((2, 3, 4), [(2, 3, 4), (2, 1, 1)], [(2, (12, 1)), (12, (1, 0))]),
        ((2, 3, 4), [(1, 3, 1), (2, 1, 4)], [(2, (0, 4)), (3, (1, 0)), (4, (0, 1))]),
        ((1, 5, 1), [(5, 1), (1,)], [(5, (1, 0))]),
        ((1, 1), [(1, 1), (1,)], [(1, (0, 0))]),
    ],
)
def test_loops_are_as_few_as_can_be(
    shape: Shape, operands: list[Shape], expected: list[tuple[int, tuple[int, ...]]]
) -> None:
    assert broadcast_loops(shape, operands) == [BroadcastLoop(*each) for each in expected]
