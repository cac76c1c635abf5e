"""The command line where something is wrong: a status and one line."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import SHAPE, Run, fail, one_convolution, succeed, unsupported, vq

import vq_cortexm
from vq_cortexm.aot.program import Tensor
from vq_cortexm.errors import BudgetError, UsageError
from vq_cortexm.frontend import from_tflite
from vq_cortexm.reference import reference_answer
from vq_cortexm.samples import load_samples, random_samples
from vq_cortexm.target import BOARDS, Memory, board_by_name


def test_doctor_without_tools_says_what_to_install(tmp_path: Path) -> None:
    completed = vq("doctor", "--json", environment={"PATH": str(tmp_path)})
    assert completed.returncode == 3
    advice = {f["name"]: f["advice"] for f in json.loads(completed.stdout) if not f["version"]}
    assert "apt install qemu-system-arm" in advice["qemu-system-arm"]


def test_unknown_board_names_the_known(model: Path) -> None:
    line = fail(2, "run", model, "--board", "mps2-an368")
    assert "'mps2-an368'" in line
    assert "did you mean 'mps2-an386'" in line
    assert all(name in line for name in BOARDS)


def test_unknown_target_names_the_known(here: Run, model: Path, tmp_path: Path) -> None:
    line = fail(2, "compile", model, "-o", tmp_path / "out", "--target", "llvm", run=here)
    assert "'llvm'" in line
    assert "vq-cortexm/cortex-m3" in line


def test_board_of_another_core_than_the_target(here: Run, model: Path) -> None:
    options = ["--board", "mps2-an385", "--target", "vq-cortexm/cortex-m4"]
    assert "vq-cortexm/cortex-m3" in fail(2, "run", model, *options, run=here)


@pytest.mark.parametrize("name", ["none.tflite", "none.onnx", "none", "model.pb"])
def test_missing_or_unknown_file(here: Run, name: str, tmp_path: Path) -> None:
    assert name in fail(2, "run", tmp_path / name, "--board", "host", run=here)


def test_folder_that_compile_did_not_make(here: Run, tmp_path: Path) -> None:
    assert "vq-cortexm compile" in fail(2, "run", tmp_path, "--board", "host", run=here)
    (tmp_path / "module.json").write_text("{}")
    assert "damaged" in fail(2, "run", tmp_path, "--board", "host", run=here)


def test_folder_whose_module_was_changed(here: Run, model: Path, tmp_path: Path) -> None:
    """TVM would read it all the same."""
    folder = tmp_path / "out"
    succeed("compile", model, "-o", folder, run=here)
    path, metadata = folder / "module.json", folder / "metadata.json"
    whole = path.read_text()
    path.write_text(whole.replace('"strides"', '"stride_"'))
    assert path.read_text() != whole
    line = fail(2, "run", folder, "--board", "host", run=here)
    assert f"{path}: damaged, its checksum is not that in metadata.json" in line
    path.write_bytes(b"\xff")
    assert f"{path}: damaged" in fail(2, "run", folder, "--board", "host", run=here)
    # as an earlier version wrote it, without a checksum
    path.write_text(whole)
    content = json.loads(metadata.read_text())
    del content["module_sha256"]
    metadata.write_text(json.dumps(content))
    succeed("run", folder, "--board", "host", "--check", run=here)


@pytest.mark.parametrize(
    ("data", "names"),
    [(unsupported(), "LSTM"), (one_convolution()[:700], "damaged"), (b"", "not a TFLite model")],
    ids=["unsupported", "truncated", "empty"],
)
def test_model_that_is_refused_leaves_nothing(data: bytes, names: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.tflite"
    path.write_bytes(data)
    line = fail(2, "compile", path, "-o", tmp_path / "out")
    assert "odd.tflite" in line
    assert names in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("array", "names"),
    [
        (np.zeros(SHAPE, np.float32), "float32"),
        (np.zeros(SHAPE, np.uint8), "uint8"),
        (np.zeros((4, 4, 3), np.int8), "(1, 4, 4, 3)"),
        (np.zeros((2, 3, 4, 4), np.int8), "(1, 4, 4, 3)"),
        (np.zeros((), np.int8), "(1, 4, 4, 3)"),
        (np.array([None]), "not a .npy or .npz file"),
    ],
    ids=["float", "unsigned", "one axis less", "channels first", "scalar", "objects"],
)
def test_bad_array_in_input(here: Run, array: Any, names: str, model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", array)
    line = fail(2, "run", model, "--board", "host", "--input", tmp_path / "x.npy", run=here)
    assert "x.npy" in line
    assert names in line


def test_one_number_for_an_input_of_one_axis(tmp_path: Path) -> None:
    one = Tensor("x", (1,), "int8", "x")
    np.save(tmp_path / "x.npy", np.int8(3))
    with pytest.raises(UsageError, match=r"x.npy: shape \(\); input 'x' takes \(1,\)"):
        load_samples(tmp_path / "x.npy", [one])
    np.save(tmp_path / "x.npy", np.array([3, 4], np.int8))
    assert [[x.tolist() for x in sample] for sample in load_samples(tmp_path / "x.npy", [one])] == [
        [[3]],
        [[4]],
    ]


@pytest.mark.parametrize("data", [None, b"", b"text", b"PK\3\4 damaged", b"\x93NUMPY\1\0\x76\0{'d"])
def test_bad_file_in_input(here: Run, data: bytes | None, model: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    if data is not None:
        path.write_bytes(data)
    assert "x.npy" in fail(2, "run", model, "--board", "host", "--input", path, run=here)


@pytest.mark.parametrize(
    "arrays",
    [{"t0": (2, 3)}, {"t0": (2, 2, 3), "t1": (3, 2, 3)}, {"a": (2, 3), "b": (2, 3), "c": (2, 3)}],
    ids=["one missing", "different counts", "one too many"],
)
def test_bad_npz_in_input(
    here: Run, arrays: dict[str, tuple[int, ...]], sum_of_two: Path, tmp_path: Path
) -> None:
    np.savez(tmp_path / "x.npz", **{n: np.zeros(s, np.int8) for n, s in arrays.items()})
    line = fail(2, "run", sum_of_two, "--board", "host", "--input", tmp_path / "x.npz", run=here)
    assert "x.npz" in line


@pytest.mark.parametrize(
    "options",
    [
        ["--input", "x.npy", "--random", "2"],
        ["--name", "2 words"],
    ],
)
def test_bad_usage_of_ours(here: Run, options: list[str], model: Path) -> None:
    fail(2, "run", model, "--board", "host", *options, run=here)


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["frobnicate"],
        ["run", "m.tflite", "--rounding", "up"],
        ["run", "m.tflite", "--random", "0"],
        ["compile", "m.tflite"],
    ],
)
def test_bad_usage_of_the_command(here: Run, arguments: list[str]) -> None:
    completed = here(*arguments)
    assert completed.returncode == 2
    assert completed.stdout == ""
    (line,) = completed.stderr.splitlines()
    assert line.startswith("vq-cortexm: error: ")


def test_negative_seed_is_bad_usage(here: Run, model: Path) -> None:
    completed = here("run", model, "--board", "host", "--random", "1", "--seed", "-1")
    assert completed.returncode == 2
    assert "internal error" not in completed.stderr


def test_missing_tool_is_named_with_its_package(model: Path, tmp_path: Path) -> None:
    line = fail(
        3, "run", model, "--board", "mps2-an386", environment={"PATH": str(tmp_path / "empty")}
    )
    assert "not found on PATH" in line
    assert "apt install" in line


def test_compile_without_its_tool_leaves_no_firmware(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    environment = {"PATH": str(tmp_path / "empty")}
    fail(3, "compile", model, "-o", out, "--board", "mps2-an386", environment=environment)
    assert not (out / "firmware.elf").exists()
    assert not [path for path in out.glob("*") if path.name.startswith(".")]


def test_timeout_is_trouble_with_the_device(model: Path) -> None:
    line = fail(4, "run", model, "--board", "mps2-an386", "--timeout", "0.001")
    assert "mps2-an386" in line


@pytest.mark.parametrize("part", ["file", "file/below"])
def test_compile_into_a_place_that_is_no_folder_leaves_nothing(
    here: Run, part: str, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("kept")
    before = sorted(tmp_path.rglob("*"))
    assert str(tmp_path / part) in fail(2, "compile", model, "-o", tmp_path / part, run=here)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "file").read_text() == "kept"


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    completed = vq("--debug", "run", tmp_path / "none.tflite", "--board", "host")
    assert completed.returncode == 2
    assert "Traceback" in completed.stderr


def test_model_that_does_not_fit_names_its_largest_buffers() -> None:
    compiled = vq_cortexm.build(from_tflite(one_convolution()), name="net")
    board = board_by_name("mps2-an386")
    no_ram = dataclasses.replace(board, name="small", ram=Memory(0, board.stack_bytes + 16))
    no_flash = dataclasses.replace(board, name="small", flash=Memory(0, 100))
    for part, what in ((no_ram, "RAM"), (no_flash, "flash")):
        with pytest.raises(BudgetError, match=f"net does not fit small: .*{what}.*largest: ") as e:
            compiled.check_budget(part)
        assert "\n" not in str(e.value)
        with pytest.raises(BudgetError):
            compiled.run(random_samples(compiled.program.inputs, 1, seed=1), part)
    compiled.check_budget(board)


def test_model_that_does_not_fit_is_status_1_and_leaves_nothing(
    here: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = dataclasses.replace(board_by_name("mps2-an386"), flash=Memory(0, 100))
    monkeypatch.setitem(BOARDS, "mps2-an386", small)
    out = tmp_path / "out"
    line = fail(1, "compile", model, "-o", out, "--board", "mps2-an386", run=here)
    assert "does not fit mps2-an386" in line
    assert not out.exists()


def test_output_that_differs_is_status_1(
    here: Run, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(module: Any, sample: Any) -> Any:
        outputs, path = reference_answer(module, sample)
        return tuple(y + np.int8(1) for y in outputs), path

    monkeypatch.setattr("vq_cortexm.reference.reference_answer", wrong)
    completed = here("run", model, "--board", "host", "--check", "--json")
    assert completed.returncode == 1
    assert json.loads(completed.stdout)["bit_exact"] is False
