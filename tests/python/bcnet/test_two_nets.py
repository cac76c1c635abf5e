"""Generated code of two nets decides and answers as the reference does, on both paths."""

from __future__ import annotations

import ctypes
import math
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from two_nets import BOTH, CLASSES, accurate, fast, quantiles, samples

from vq_cortexm.bcnet import Policy, compose
from vq_cortexm.build import build, build_folded
from vq_cortexm.compiled_model import CompiledModel
from vq_cortexm.errors import UsageError
from vq_cortexm.kernels.layer import ALIGNMENT
from vq_cortexm.micro.emulator import run_firmware, run_standalone
from vq_cortexm.micro.firmware import build_firmware
from vq_cortexm.micro.host import HostModel, build_host_library
from vq_cortexm.op.bc_net import PATHS
from vq_cortexm.reference import is_exact, reference_answer
from vq_cortexm.target import board_by_name
from vq_cortexm.transform.composed import with_thresholds

M0 = "vq-cortexm/cortex-m0"
DRAWN = samples(12)
KINDS = ("margin", "maximum", "entropy")


def compiled(policy: Policy, **options: Any) -> CompiledModel:
    return build(compose(fast(), accurate(), policy), name="both", **options)


def expected(model: CompiledModel, thresholds: tuple[int, ...]) -> list[bytes]:
    """Of every sample the output's bytes, then the path's."""
    module = with_thresholds(model.module, thresholds)
    answers = [reference_answer(module, sample) for sample in DRAWN]
    return [y.tobytes() + bytes([PATHS.index(path)]) for (y,), path in answers if path]


def sweep(policy: Policy) -> list[tuple[int, ...]]:
    """One threshold for all at four places, and one for each class."""
    limits = quantiles(policy, DRAWN)
    return [*((n,) * CLASSES for n in limits), tuple(np.resize(limits, CLASSES).tolist())]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("io", ["arena", "caller"])
def test_sweep_on_the_host(kind: Any, io: Any, tmp_path: Path) -> None:
    policy = Policy(kind, (0,) * CLASSES, **BOTH)
    model = compiled(policy, io=io)
    folder = model.export(tmp_path / "model")
    device = HostModel(build_host_library(folder, tmp_path / "build"), model.model_io)
    escalated = []
    for thresholds in sweep(policy):
        device.set_thresholds(thresholds)
        got = device.run([sample[0].tobytes() for sample in DRAWN])
        assert list(got) == expected(model, thresholds)
        escalated.append(sum(result[-1] for result in got))
    assert escalated[0] == 0
    assert 0 < escalated[1] < escalated[2] < escalated[3] == len(DRAWN)


@pytest.mark.parametrize(
    ("kind", "board"),
    [("entropy", "mps2-an386"), ("margin", "mps2-an386"), ("entropy", "microbit")],
)
def test_sweep_in_the_emulator(kind: Any, board: str, tmp_path: Path) -> None:
    policy = Policy(kind, (0,) * CLASSES, **BOTH)
    model = compiled(policy, target=f"vq-cortexm/{board_by_name(board).core.name}")
    folder = model.export(tmp_path / "model")
    known = board_by_name(board)
    firmware = build_firmware(folder, known, tmp_path / "build", model.app)
    data = [sample[0].tobytes() for sample in DRAWN]
    assert [len(output) for output in run_standalone(firmware.elf, known)] == [CLASSES]
    for thresholds in sweep(policy):
        size = model.model_io.result_bytes
        run = run_firmware(firmware.elf, known, data, size, thresholds=thresholds)
        assert list(run.outputs) == expected(model, thresholds)


def test_run_reports_paths_and_their_cycles() -> None:
    policy = Policy(**BOTH)
    _, _, middle, most = quantiles(policy, DRAWN)
    model = compiled(Policy(thresholds=(most,), **BOTH))
    result = model.run(DRAWN, "mps2-an386", check=True, thresholds=[middle])
    assert result.bit_exact
    assert set(result.paths) == set(PATHS)
    module = with_thresholds(model.module, (middle,))
    other = [1 - PATHS.index(path) for path in result.paths]
    assert not is_exact(module, DRAWN, result.outputs, other)
    cycles = {
        path: [c for c, p in zip(result.inference_cycles, result.paths, strict=True) if p == path]
        for path in PATHS
    }
    assert all(result.path_cycles[path] in cycles[path] for path in PATHS)
    assert max(cycles["fast"]) < min(cycles["accurate"])
    assert result.mean_cycles == pytest.approx(np.mean(result.inference_cycles))
    # what the fast path leaves out was measured where it ran
    layers = {layer.name: layer for layer in result.layers}
    assert (layers["accurate_second"].cycles or 0) > (layers["fast_second"].cycles or 0) > 0


@pytest.mark.parametrize("policy", [Policy(), Policy("entropy", **BOTH)])
@pytest.mark.parametrize("io", ["arena", "caller"])
def test_debug_build(policy: Policy, io: Any) -> None:
    _, _, middle, _ = quantiles(policy, DRAWN)
    result = compiled(policy, target=M0, io=io).run(
        DRAWN, "host", check=True, poison=True, thresholds=[middle]
    )
    assert result.bit_exact
    assert set(result.paths) == set(PATHS)


def test_both_paths_share_one_arena() -> None:
    """The input lives until the accurate net has read it, and no longer."""
    alone = [build_folded(net, name="net").plan.arena_bytes for net in (fast(), accurate())]
    model = compiled(Policy(**BOTH))
    x = math.prod(int(n) for n in model.program.inputs[0].shape)
    logits = -(-CLASSES // ALIGNMENT) * ALIGNMENT
    assert model.plan.arena_bytes <= max(alone[0] + x, alone[1]) + 2 * logits
    assert model.program.branch is not None
    storages = {s.name: s for s in model.program.storages}
    assert storages["x"].last == model.program.branch.first
    assert storages["fast_logits"].last == model.program.branch.end - 1
    roles = {s.name: s.role for s in model.program.storages}
    assert [n for n, role in roles.items() if role == "state"] == [
        "decision_thresholds",
        "decision",
    ]


def test_thresholds_are_set_within_bounds(tmp_path: Path) -> None:
    model = compiled(Policy(thresholds=tuple(range(CLASSES))))
    library = build_host_library(model.export(tmp_path / "m"), tmp_path / "b")
    loaded, value = ctypes.CDLL(str(library)), ctypes.c_int32(99)
    for index in range(CLASSES):
        assert loaded.tvmgen_both_get_threshold(index, ctypes.byref(value)) == 0
        assert value.value == index
    assert loaded.tvmgen_both_set_threshold(CLASSES - 1, -7) == 0
    assert loaded.tvmgen_both_get_threshold(CLASSES - 1, ctypes.byref(value)) == 0
    assert value.value == -7
    for call in (loaded.tvmgen_both_set_threshold, loaded.tvmgen_both_get_threshold):
        assert call(CLASSES, ctypes.byref(value)) == -1
    assert value.value == -7


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [([1, 2], "2 thresholds; the model has 1"), ([1 << 40], "beyond 32 bits")],
)
def test_thresholds_that_do_not_fit(thresholds: list[int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        compiled(Policy()).run(DRAWN[:1], thresholds=thresholds)


def test_one_net_has_no_thresholds() -> None:
    with pytest.raises(UsageError, match="one net"):
        build_folded(fast()).run(DRAWN[:1], thresholds=[1])


@pytest.mark.parametrize("kind", KINDS)
def test_generated_code_is_clean(kind: Any, tmp_path: Path) -> None:
    folder = compiled(Policy(kind, (3,) * CLASSES, **BOTH), target=M0).export(tmp_path)
    strict = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Wundef", "-Werror", "-c"]
    for source in ("run", "layers"):
        for debug in ([], ["-DVQ_POISON"]):
            command = ["cc", *strict, *debug, str(folder / f"both_{source}.c")]
            subprocess.run([*command, "-o", str(tmp_path / "out.o")], check=True)


def test_metadata_has_the_policy_and_both_paths() -> None:
    model = compiled(Policy("maximum", (40,), **BOTH))
    described = model.metadata["bc_net"]
    assert described["thresholds"] == [40]
    assert described["confidence"] == "maximum"
    assert described["factors"] == {"fast": 0.5, "accurate": 1.0}
    paths = model.report["paths"]
    assert paths["accurate"]["macs"] == model.report["macs"] > paths["fast"]["macs"] > 0
    assert paths["accurate"]["constants_bytes"] == model.report["constants_bytes"]
