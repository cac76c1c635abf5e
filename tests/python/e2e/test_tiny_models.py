"""Tiny models end to end: every board and rounding gives the reference's bits."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from vq_models import TINY_MODELS

from vq_cortexm.build import build_folded
from vq_cortexm.micro.emulator import run_standalone
from vq_cortexm.reference import run_reference
from vq_cortexm.samples import random_samples
from vq_cortexm.target import board_by_name, core_by_name

BOARDS = {
    "mps2-an386": "vq-cortexm",
    "mps2-an385": "vq-cortexm/cortex-m3",
    "microbit": "vq-cortexm/cortex-m0",
    "host": "vq-cortexm",
}
STRICT = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Wundef", "-Werror"]


@pytest.mark.parametrize("io", ["arena", "caller"])
@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("rounding", ["single", "double", "float"])
@pytest.mark.parametrize("name", TINY_MODELS)
def test_bit_exact(name: str, rounding: str, board: str, io: str) -> None:
    compiled = build_folded(TINY_MODELS[name](rounding), BOARDS[board], io=io, name=name)
    samples = random_samples(compiled.program.inputs, 5, seed=1)
    result = compiled.run(samples, board, check=True)
    assert result.bit_exact
    assert len({o[0].tobytes() for o in result.outputs}) > 1


@pytest.mark.parametrize("rounding", ["single", "double", "float"])
@pytest.mark.parametrize("name", TINY_MODELS)
def test_generated_c_is_clean(name: str, rounding: str, tmp_path: Path) -> None:
    folder = build_folded(TINY_MODELS[name](rounding), name=name).export(tmp_path / "model")
    objects = []
    for source in sorted([*folder.glob("*.c"), *folder.glob("*.S")]):
        objects.append(str(source.with_suffix(".o")))
        compiler = ["arm-none-eabi-gcc", *core_by_name("cortex-m4").cflags]
        subprocess.run([*compiler, *STRICT, "-c", str(source), "-o", objects[-1]], check=True)
    merged = str(tmp_path / "merged.o")
    subprocess.run(["arm-none-eabi-ld", "-r", *objects, "-o", merged], check=True)
    listed = subprocess.run(
        ["arm-none-eabi-nm", "-u", merged], check=True, capture_output=True, text=True
    )
    undefined = {line.split()[-1] for line in listed.stdout.splitlines()}
    # libgcc's __aeabi_ helpers belong to the compiler
    assert {n for n in undefined if not n.startswith("__aeabi_")} <= {"memcpy", "memset"}


def test_standalone_image_prints_the_first_sample_of_seed_1(tmp_path: Path) -> None:
    module = TINY_MODELS["tiny_classifier"]()
    compiled = build_folded(module, name="tiny")
    compiled.export(tmp_path)
    elf = compiled.export_firmware(tmp_path, "mps2-an386")
    (sample,) = random_samples(compiled.program.inputs, 1, seed=1)
    expected = tuple(a.tobytes() for a in run_reference(module, sample))
    assert run_standalone(elf, board_by_name("mps2-an386")) == expected


def test_caller_io_leaves_inputs_alone_and_never_needs_more_arena() -> None:
    module = TINY_MODELS["tiny_conv"]()
    own, callers = (build_folded(module, io=io) for io in ("arena", "caller"))
    assert callers.plan.arena_bytes <= own.plan.arena_bytes
    borders = {t.storage for t in (*callers.program.inputs, *callers.program.outputs)}
    assert not borders & {p.storage.name for p in callers.plan.placements}


def test_costs_are_reported_per_layer() -> None:
    compiled = build_folded(TINY_MODELS["tiny_residual"]())
    result = compiled.run(random_samples(compiled.program.inputs, 2, seed=1), "mps2-an386")
    assert [layer.op for layer in result.layers] == [
        "conv2d",
        "depthwise_conv2d",
        "conv2d",
        "add",
        "avg_pool2d",
    ]
    assert all(layer.instructions and layer.cycles for layer in result.layers)
    assert sum(layer.macs for layer in result.layers) == 25 * 16 * 2 + 25 * 36
    assert result.instructions and result.instructions > sum(
        layer.instructions or 0 for layer in result.layers[1:]
    )
    assert result.flash["rodata"] >= sum(c.value.nbytes for c in compiled.program.constants)
    assert 0 < result.ram["stack_peak"] < 1024
    assert np.isclose(result.ram["arena"], compiled.plan.arena_bytes)
