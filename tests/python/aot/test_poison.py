"""Debug builds: right models pass, and each way to misuse memory is found and named."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from one_layer import one_layer_module
from vq_models import TINY_MODELS

import vq_cortexm
from vq_cortexm import kernels
from vq_cortexm.aot.library import LibraryOptions, render_library
from vq_cortexm.aot.plan import MemoryPlan
from vq_cortexm.build import build_folded
from vq_cortexm.cli import cli
from vq_cortexm.compiled_model import CompiledModel
from vq_cortexm.errors import DeviceError
from vq_cortexm.frontend import load
from vq_cortexm.kernels.layer import Kernel, Layer
from vq_cortexm.kernels.tir import FunctionBuilder, Scalar, int32, loop, scratch, store, widen
from vq_cortexm.micro.host import HostModel, build_host_library, sanitizer_environment
from vq_cortexm.op.requantize import RequantizeAttrs
from vq_cortexm.run_result import RunResult
from vq_cortexm.samples import random_samples

DIGITS = Path(__file__).parents[3] / "examples" / "digits" / "digits_int8.onnx"
ONE_LAYER = ("requantize", (1, 60), "int8", [], RequantizeAttrs(0.1, 0, 0.1, 0, -128, 127))
M0 = "vq-cortexm/cortex-m0"


def run(compiled: CompiledModel, board: str = "host") -> RunResult:
    samples = random_samples(compiled.program.inputs, 3, seed=1)
    return compiled.run(samples, board, check=True, poison=True)


@pytest.fixture
def semantic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers have their semantic kernels, on every core."""
    realise = "vq_cortexm.transform.lower_to_tir.realise"
    monkeypatch.setattr(realise, lambda layer, _core: kernels.KERNELS[layer.op](layer))


@pytest.mark.parametrize("io", ["arena", "caller"])
@pytest.mark.parametrize("name", TINY_MODELS)
def test_right_models_pass(name: str, io: Any) -> None:
    result = run(build_folded(TINY_MODELS[name](), io=io, name=name))
    assert result.bit_exact


@pytest.mark.parametrize("io", ["arena", "caller"])
def test_right_model_passes_in_the_emulator_and_nothing_is_measured(io: Any) -> None:
    result = run(build_folded(TINY_MODELS["tiny_residual"](), io=io), "mps2-an386")
    assert result.bit_exact
    assert result.cycles is result.instructions is None
    assert result.flash["total"] == 0


@pytest.mark.parametrize("io", ["arena", "caller"])
@pytest.mark.parametrize("board", ["host", "mps2-an386"])
def test_whole_model_passes(board: str, io: Any) -> None:
    assert run(vq_cortexm.build(load(DIGITS), io=io), board).bit_exact


@pytest.mark.usefixtures("semantic")
def test_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(build_folded(one_layer_module(*ONE_LAYER), M0, name="one").export(tmp_path))
    arguments = ["run", folder, "--board", "host", "--target", M0, "--poison", "--check", "--json"]
    result = CliRunner().invoke(cli, arguments)
    assert json.loads(result.stdout)["bit_exact"] is True
    monkeypatch.setitem(kernels.KERNELS, "vq.requantize", adds_to_its_output)
    result = CliRunner().invoke(cli, arguments)
    assert isinstance(result.exception, DeviceError)
    assert result.exception.status == 4


# ------------------------------------------------------------------ kernels that are wrong


def ends(builder: FunctionBuilder, size: int = 60) -> tuple[Any, Any]:
    return builder.parameter("x", (size,), "int8"), builder.parameter("y", (size,), "int8")


def reverses_in_place(_: Layer) -> Kernel:
    """Writes the end of its input before it reads it."""
    with FunctionBuilder("wrong") as builder:
        x, y = ends(builder)
        with loop("i", 60) as i:
            store(y, [59 - i], widen(x[i]))
    return Kernel(builder.function, (), inplace=(0,))


def reads_what_it_did_not_write(_: Layer) -> Kernel:
    with FunctionBuilder("wrong") as builder:
        x, y = ends(builder)
        old = scratch("old", (60,), "int8")
        with loop("i", 60) as i:
            store(old, [59 - i], int32(0))
            store(y, [i], widen(x[i]) + widen(old[i]))
    return Kernel(builder.function, ())


def adds_to_its_output(_: Layer) -> Kernel:
    with FunctionBuilder("wrong") as builder:
        x, y = ends(builder)
        with loop("i", 60) as i:
            store(y, [i], widen(x[i]) + widen(y[i]))
    return Kernel(builder.function, ())


def leaves_an_element_out(_: Layer) -> Kernel:
    with FunctionBuilder("wrong") as builder:
        x, y = ends(builder)
        with loop("i", 59) as i:
            store(y, [i], widen(x[i]))
    return Kernel(builder.function, ())


def writes_an_element_too_many(_: Layer) -> Kernel:
    with FunctionBuilder("wrong") as builder:
        x, y = ends(builder, 61)
        total = Scalar("total", int32(0))
        with loop("i", 60) as i:
            total.add(widen(x[i]))
            store(y, [i], widen(x[i]))
        store(y, [60], total.get() + 1)
    return Kernel(builder.function, ())


def overruns_its_scratch(_: Layer) -> Kernel:
    with FunctionBuilder("wrong") as builder:
        x, y = ends(builder)
        rows = scratch("rows", (60,), "int8")
        with loop("i", 90) as i:
            store(rows, [i], i)
        with loop("i", 60) as i:
            store(y, [i], widen(x[i]))
    return Kernel(builder.function, ())


WRONG = {
    reads_what_it_did_not_write: "reads memory that holds nothing",
    adds_to_its_output: "reads memory that holds nothing",
    leaves_an_element_out: "reads memory that holds nothing",
    writes_an_element_too_many: "writes outside",
    overruns_its_scratch: "writes outside",
}


@pytest.mark.usefixtures("semantic")
@pytest.mark.parametrize("io", ["arena", "caller"])
@pytest.mark.parametrize("wrong", WRONG, ids=lambda f: f.__name__)
def test_wrong_kernel_is_named(wrong: Any, io: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(kernels.KERNELS, "vq.requantize", wrong)
    module = one_layer_module(*ONE_LAYER)
    compiled = build_folded(module, M0, io=io, name="wrong")
    with pytest.raises(DeviceError, match=f"^host: wrong: layer 'layer' .*{WRONG[wrong]}") as error:
        run(compiled)
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("semantic")
@pytest.mark.parametrize("board", ["host", "microbit"])
def test_kernel_that_overwrites_what_it_reads_later(
    board: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(kernels.KERNELS, "vq.requantize", reverses_in_place)
    module = one_layer_module(*ONE_LAYER)
    with pytest.raises(DeviceError, match=f"^{board}: model: layer 'layer' .*overwritten$"):
        run(build_folded(module, M0), board)


# ------------------------------------------------------------------ plans that are wrong


def _moved(compiled: CompiledModel, storage: str, offset: int) -> CompiledModel:
    """The model with one storage somewhere else."""
    placements = tuple(
        replace(p, offset=offset) if p.storage.name == storage else p
        for p in compiled.plan.placements
    )
    plan = MemoryPlan(placements, compiled.plan.arena_bytes + 1000, 0)
    options = LibraryOptions(compiled.name, compiled.options.io == "caller", "moved")
    sources = render_library(compiled.program, plan, options)
    return CompiledModel(compiled.options, compiled.module, compiled.program, plan, sources)


@pytest.mark.usefixtures("semantic")
@pytest.mark.parametrize(
    ("moved", "onto", "shift_bytes", "named"),
    [
        ("pointwise", "first", 0, "layer 'pointwise' .* writes outside"),
        ("depthwise", "first", 99, "layer 'depthwise' .* writes outside"),
        ("depthwise_rows", "first", 0, "layer 'depthwise' .* writes outside"),
        ("depthwise_rows", "depthwise", 0, "layer 'depthwise' .* reads memory"),
        ("mean", "sum", 1, "layer 'mean' .* overwritten"),
    ],
)
def test_wrong_plan_is_named(moved: str, onto: str, shift_bytes: int, named: str) -> None:
    compiled = build_folded(TINY_MODELS["tiny_residual"](), M0, name="tiny")
    with pytest.raises(DeviceError, match=named):
        run(_moved(compiled, moved, compiled.plan.offset(onto) + shift_bytes))


@pytest.mark.usefixtures("semantic")
def test_storage_that_nothing_else_needs_may_move() -> None:
    compiled = build_folded(TINY_MODELS["tiny_residual"](), M0, name="tiny")
    assert run(_moved(compiled, "pointwise", compiled.plan.arena_bytes + 4)).bit_exact


# ------------------------------------------------------------------ the build


@pytest.mark.parametrize("io", ["arena", "caller"])
@pytest.mark.parametrize("name", TINY_MODELS)
def test_debug_build_is_clean(name: str, io: Any, tmp_path: Path) -> None:
    folder = build_folded(TINY_MODELS[name](), io=io, name=name).export(tmp_path)
    strict = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Wundef", "-Werror"]
    for compiler in (["cc"], ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb"]):
        command = [*compiler, *strict, "-DVQ_POISON", "-c", str(folder / f"{name}_run.c")]
        subprocess.run([*command, "-o", str(tmp_path / "run.o")], check=True)


def test_debug_build_under_sanitizers(tmp_path: Path) -> None:
    compiled = build_folded(TINY_MODELS["tiny_residual"](), name="tiny")
    folder = compiled.export(tmp_path / "m")
    library = build_host_library(folder, tmp_path / "b", sanitize=True, poison=True)
    size = compiled.model_io.input_bytes
    script = f"""
        from pathlib import Path
        from vq_cortexm.micro.app import IoTensor, ModelIo
        from vq_cortexm.micro.host import HostModel
        io = {compiled.model_io!r}
        outputs = HostModel(Path({str(library)!r}), io).run([bytes(range({size}))] * 3)
        assert len(set(outputs)) == 1
    """
    environment = dict(os.environ, **sanitizer_environment(), PYTHONPATH=os.pathsep.join(sys.path))
    command = [sys.executable, "-c", textwrap.dedent(script)]
    completed = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, completed.stderr


@pytest.mark.usefixtures("semantic")
def test_dead_inputs_are_filled_afterwards(tmp_path: Path) -> None:
    compiled = build_folded(TINY_MODELS["tiny_conv"](), M0, name="tiny")
    library = build_host_library(compiled.export(tmp_path / "m"), tmp_path / "b", poison=True)
    model = HostModel(library, compiled.model_io)
    (sample,) = random_samples(compiled.program.inputs, 1, seed=1)
    data = b"".join(a.tobytes() for a in sample)
    first = model.run([data])
    ((address, size),) = model._inputs
    assert ctypes.string_at(address, size) != data
    assert model.run([data]) == first
