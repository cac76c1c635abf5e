"""The command line: files, JSON, statuses, and one line for everything that goes wrong."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tflite_builder import TfliteBuilder

import vq_cortexm
from vq_cortexm import cli
from vq_cortexm.errors import BudgetError
from vq_cortexm.frontend import from_tflite, load
from vq_cortexm.micro.emulator import run_standalone
from vq_cortexm.reference import run_reference
from vq_cortexm.samples import random_samples
from vq_cortexm.target import BOARDS, Memory, board_by_name

SHAPE = (1, 4, 4, 3)
RUN_KEYS = [
    "model",
    "target",
    "board",
    "bit_exact",
    "inferences",
    "cycles",
    "instructions",
    "flash",
    "ram",
    "layers",
    "outputs",
]
SECONDS = 120
_Run = Callable[..., "subprocess.CompletedProcess[str]"]


def _model() -> bytes:
    """One convolution."""
    rng = np.random.default_rng(1)
    net = TfliteBuilder()
    x = net.tensor(SHAPE, 0.05, -3)
    w = net.constant(rng.integers(-127, 128, (5, 3, 3, 3)).astype(np.int8), [0.01] * 5)
    b = net.constant(rng.integers(-999, 999, 5).astype(np.int32), [0.05 * 0.01] * 5)
    y = net.tensor((1, 2, 2, 5), 0.3, 4)
    net.add("CONV_2D", [x, w, b], [y], Padding="VALID", StrideH=1, StrideW=1)
    return net.build([x], [y])


def _sum_of_two() -> bytes:
    net = TfliteBuilder()
    a, b = net.tensor((2, 3), 0.05, -3), net.tensor((2, 3), 0.03, 8)
    y = net.tensor((2, 3), 0.07, 1)
    net.add("ADD", [a, b], [y])
    return net.build([a, b], [y])


def _unsupported() -> bytes:
    net = TfliteBuilder()
    x, y = net.tensor((1, 4), 0.1), net.tensor((1, 4), 0.1)
    net.add("LSTM", [x], [y])
    return net.build([x], [y])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny-net.tflite"
    path.write_bytes(_model())
    return path


@pytest.fixture
def sum_of_two(tmp_path: Path) -> Path:
    path = tmp_path / "sum.tflite"
    path.write_bytes(_sum_of_two())
    return path


def _vq(
    *arguments: str | Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vq_cortexm", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env={**os.environ, **(environment or {})},
    )


class _InProcess:
    """The same as `_vq` without a process of its own, for the many cases of one kind."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch = monkeypatch
        self.capfd = capfd

    def __call__(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = ["vq-cortexm", *map(str, arguments)]
        self.monkeypatch.setattr(sys, "argv", command)
        self.capfd.readouterr()
        status: Any = 0
        try:
            cli.main()
        except SystemExit as end:
            status = end.code
        captured = self.capfd.readouterr()
        return subprocess.CompletedProcess(command, status, captured.out, captured.err)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> _Run:
    return _InProcess(monkeypatch, capfd)


def _succeed(*arguments: str | Path, run: _Run = _vq) -> str:
    completed = run(*arguments)
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


def _json(*arguments: str | Path, run: _Run = _vq) -> Any:
    completed = run(*arguments, "--json")
    assert (completed.returncode, completed.stderr) == (0, "")
    return json.loads(completed.stdout)


def _fail(status: int, *arguments: str | Path, run: _Run = _vq, **keywords: Any) -> str:
    """The one line with which the command ends."""
    completed = run(*arguments, **keywords)
    assert completed.returncode == status, completed.stderr
    assert completed.stdout == ""
    (line,) = completed.stderr.splitlines()
    assert line.startswith("vq-cortexm: error: ")
    assert "internal error" not in line
    return line


def _expected(path: Path, samples: list[Any]) -> list[list[Any]]:
    folded = vq_cortexm.build(load(path)).module
    return [[y.tolist() for y in run_reference(folded, sample)] for sample in samples]


def _random(path: Path, count: int, seed: int) -> list[Any]:
    return random_samples(vq_cortexm.build(load(path)).program.inputs, count, seed)


def test_compile_writes_library_and_firmware(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    assert _succeed("compile", model, "-o", folder, "--board", "mps2-an386").strip() == str(folder)
    files = {path.name for path in folder.iterdir()}
    assert files >= {
        "tiny_net.h",
        "metadata.json",
        "report.json",
        "CMakeLists.txt",
        "firmware.elf",
    }
    assert not [name for name in files if name.startswith(".")]
    header = (folder / "tiny_net.h").read_text()
    assert "int32_t tvmgen_tiny_net_run(" in header
    assert "tvmgen_tiny_net_map_io(" in header
    metadata = json.loads((folder / "metadata.json").read_text())
    assert (metadata["model"], metadata["core"], metadata["rounding"], metadata["io"]) == (
        "tiny_net",
        "cortex-m4",
        "single",
        "arena",
    )
    report = json.loads((folder / "report.json").read_text())
    assert report["macs"] == 4 * 5 * 27
    (sample,) = _random(model, 1, seed=1)
    (output,) = run_standalone(folder / "firmware.elf", board_by_name("mps2-an386"))
    y = np.frombuffer(output, np.int8).reshape(1, 2, 2, 5)
    assert [y.tolist()] == _expected(model, [sample])[0]


def test_compile_takes_every_build_option(here: _Run, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    options = ["--target", "vq-cortexm/cortex-m3", "--rounding", "float", "--io", "caller"]
    _succeed("compile", model, "-o", folder, *options, "--name", "other", run=here)
    assert not (folder / "firmware.elf").exists()
    metadata = json.loads((folder / "metadata.json").read_text())
    assert [metadata[key] for key in ("model", "core", "rounding", "io")] == [
        "other",
        "cortex-m3",
        "float",
        "caller",
    ]
    header = (folder / "other.h").read_text()
    assert "tvmgen_other_run(" in header


def test_compiled_folder_runs_like_its_model(here: _Run, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    _succeed("compile", model, "-o", folder, "--rounding", "float")
    options = ["--board", "host", "--random", "3", "--seed", "5"]
    again = _json("run", folder, *options)
    direct = _json("run", model, *options, "--rounding", "float", run=here)
    assert again["outputs"] == direct["outputs"]
    assert again["model"] == "out"


def test_run_json_on_the_emulator(model: Path) -> None:
    options = ["--board", "mps2-an386", "--random", "4", "--seed", "7", "--check"]
    result = _json("run", model, *options)
    assert list(result) == RUN_KEYS
    assert (result["model"], result["target"], result["board"]) == (
        "tiny_net",
        "vq-cortexm/cortex-m4",
        "mps2-an386",
    )
    assert result["bit_exact"] is True
    assert result["inferences"] == 4
    assert result["outputs"] == _expected(model, _random(model, 4, seed=7))
    assert result["cycles"] >= result["instructions"] > 4 * 5 * 27
    assert set(result["flash"]) == {"text", "rodata", "total"}
    assert result["flash"]["total"] == result["flash"]["text"] + result["flash"]["rodata"]
    assert set(result["ram"]) == {"arena", "io", "scratch", "data", "stack_peak", "total"}
    assert result["ram"]["io"] == 48 + 20
    assert result["ram"]["total"] >= result["ram"]["arena"]
    (layer,) = result["layers"]
    assert set(layer) >= {"name", "op", "macs", "cycles", "flash", "realisation", "levels"}
    assert (layer["op"], layer["macs"]) == ("conv2d", 4 * 5 * 27)
    assert 0 < layer["cycles"] <= result["cycles"]


def test_run_json_on_the_host(here: _Run, model: Path) -> None:
    result = _json("run", model, "--board", "host", run=here)
    assert list(result) == RUN_KEYS
    assert result["bit_exact"] is None
    assert result["inferences"] == 1
    assert result["cycles"] is None
    assert result["instructions"] is None


def test_run_prints_a_table_without_json(here: _Run, model: Path, run=here) -> None:
    assert "conv2d" in _succeed("run", model, "--board", "host", "--check", run=here)


@pytest.mark.parametrize("shape", [SHAPE, (3, *SHAPE), (3, *SHAPE[1:])])
def test_run_reads_one_or_many_samples_of_npy(
    here: _Run, shape: tuple[int, ...], model: Path, tmp_path: Path
) -> None:
    data = np.random.default_rng(3).integers(-128, 128, shape).astype(np.int8)
    np.save(tmp_path / "x.npy", data)
    result = _json("run", model, "--board", "host", "--input", tmp_path / "x.npy", run=here)
    assert result["outputs"] == _expected(model, [[x] for x in data.reshape(-1, *SHAPE)])


@pytest.mark.parametrize("names", [("t0", "t1"), ("first", "second")])
def test_run_reads_several_inputs_of_npz(
    here: _Run, names: tuple[str, str], sum_of_two: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(4)
    a, b = (rng.integers(-128, 128, (4, 2, 3)).astype(np.int8) for _ in range(2))
    first, second = names
    arrays = {second: b, first: a} if names == ("t0", "t1") else {first: a, second: b}
    np.savez(tmp_path / "x.npz", **arrays)
    result = _json("run", sum_of_two, "--board", "host", "--input", tmp_path / "x.npz", run=here)
    assert result["outputs"] == _expected(sum_of_two, list(zip(a, b, strict=True)))


def test_random_samples_are_numpys_as_documented(here: _Run, sum_of_two: Path) -> None:
    rng = np.random.default_rng(9)
    samples = [
        [rng.integers(-128, 128, (2, 3), np.int8) for _input in range(2)] for _sample in range(3)
    ]
    result = _json("run", sum_of_two, "--board", "host", "--random", "3", "--seed", "9", run=here)
    assert result["outputs"] == _expected(sum_of_two, samples)


def test_profile_json(model: Path) -> None:
    result = _json("profile", model, "--board", "mps2-an385")
    assert list(result) == RUN_KEYS[:-1]
    assert result["target"] == "vq-cortexm/cortex-m3"
    assert result["cycles"] is None
    assert result["instructions"] > 0
    assert result["layers"][0]["instructions"] > 0


def test_boards(here: _Run) -> None:
    listed = _json("boards")
    assert {board["name"] for board in listed} == set(BOARDS)
    table = _succeed("boards", run=here)
    assert all(name in table for name in BOARDS)


def test_doctor_finds_everything_here(here: _Run) -> None:
    findings = _json("doctor")
    versions = {finding["name"]: finding["version"] for finding in findings}
    assert {"arm-none-eabi-gcc", "qemu-system-arm", "cmake", "ninja", "apache-tvm"} <= set(versions)
    assert all(versions.values())
    assert "cmake" in _succeed("doctor", run=here)


def test_doctor_without_tools_says_what_to_install(tmp_path: Path) -> None:
    completed = _vq("doctor", "--json", environment={"PATH": str(tmp_path)})
    assert completed.returncode == 3
    advice = {f["name"]: f["advice"] for f in json.loads(completed.stdout) if not f["version"]}
    assert "apt install qemu-system-arm" in advice["qemu-system-arm"]


def test_unknown_board_names_the_known(model: Path) -> None:
    line = _fail(2, "run", model, "--board", "mps2-an368")
    assert "'mps2-an368'" in line
    assert "did you mean 'mps2-an386'" in line
    assert all(name in line for name in BOARDS)


def test_unknown_target_names_the_known(here: _Run, model: Path, tmp_path: Path) -> None:
    line = _fail(2, "compile", model, "-o", tmp_path / "out", "--target", "llvm", run=here)
    assert "'llvm'" in line
    assert "vq-cortexm/cortex-m3" in line


def test_board_of_another_core_than_the_target(here: _Run, model: Path) -> None:
    options = ["--board", "mps2-an385", "--target", "vq-cortexm/cortex-m4"]
    assert "vq-cortexm/cortex-m3" in _fail(2, "run", model, *options, run=here)


@pytest.mark.parametrize("name", ["none.tflite", "none.onnx", "none", "model.pb"])
def test_missing_or_unknown_file(here: _Run, name: str, tmp_path: Path) -> None:
    assert name in _fail(2, "run", tmp_path / name, "--board", "host", run=here)


def test_folder_that_compile_did_not_make(here: _Run, tmp_path: Path) -> None:
    assert "vq-cortexm compile" in _fail(2, "run", tmp_path, "--board", "host", run=here)
    (tmp_path / "module.json").write_text("{}")
    assert "damaged" in _fail(2, "run", tmp_path, "--board", "host", run=here)


@pytest.mark.parametrize(
    ("data", "names"),
    [(_unsupported(), "LSTM"), (_model()[:700], "damaged"), (b"", "not a TFLite model")],
    ids=["unsupported", "truncated", "empty"],
)
def test_model_that_is_refused_leaves_nothing(data: bytes, names: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.tflite"
    path.write_bytes(data)
    line = _fail(2, "compile", path, "-o", tmp_path / "out")
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
def test_bad_array_in_input(
    here: _Run, array: Any, names: str, model: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", array)
    line = _fail(2, "run", model, "--board", "host", "--input", tmp_path / "x.npy", run=here)
    assert "x.npy" in line
    assert names in line


@pytest.mark.parametrize("data", [None, b"", b"text", b"PK\3\4 damaged", b"\x93NUMPY\1\0\x76\0{'d"])
def test_bad_file_in_input(here: _Run, data: bytes | None, model: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    if data is not None:
        path.write_bytes(data)
    assert "x.npy" in _fail(2, "run", model, "--board", "host", "--input", path, run=here)


@pytest.mark.parametrize(
    "arrays",
    [{"t0": (2, 3)}, {"t0": (2, 2, 3), "t1": (3, 2, 3)}, {"a": (2, 3), "b": (2, 3), "c": (2, 3)}],
    ids=["one missing", "different counts", "one too many"],
)
def test_bad_npz_in_input(
    here: _Run, arrays: dict[str, tuple[int, ...]], sum_of_two: Path, tmp_path: Path
) -> None:
    np.savez(tmp_path / "x.npz", **{n: np.zeros(s, np.int8) for n, s in arrays.items()})
    line = _fail(2, "run", sum_of_two, "--board", "host", "--input", tmp_path / "x.npz", run=here)
    assert "x.npz" in line


@pytest.mark.parametrize(
    "options",
    [
        ["--input", "x.npy", "--random", "2"],
        ["--name", "2 words"],
    ],
)
def test_bad_usage_of_ours(here: _Run, options: list[str], model: Path) -> None:
    _fail(2, "run", model, "--board", "host", *options, run=here)


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
def test_bad_usage_of_the_command(here: _Run, arguments: list[str]) -> None:
    completed = here(*arguments)
    assert completed.returncode == 2
    assert completed.stdout == ""
    (line,) = completed.stderr.splitlines()
    assert line.startswith("vq-cortexm: error: ")


def test_negative_seed_is_bad_usage(here: _Run, model: Path) -> None:
    completed = here("run", model, "--board", "host", "--random", "1", "--seed", "-1")
    assert completed.returncode == 2
    assert "internal error" not in completed.stderr


def test_missing_tool_is_named_with_its_package(model: Path, tmp_path: Path) -> None:
    line = _fail(
        3, "run", model, "--board", "mps2-an386", environment={"PATH": str(tmp_path / "empty")}
    )
    assert "not found on PATH" in line
    assert "apt install" in line


def test_compile_without_its_tool_leaves_no_firmware(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    environment = {"PATH": str(tmp_path / "empty")}
    _fail(3, "compile", model, "-o", out, "--board", "mps2-an386", environment=environment)
    assert not (out / "firmware.elf").exists()
    assert not [path for path in out.glob("*") if path.name.startswith(".")]


def test_timeout_is_trouble_with_the_device(model: Path) -> None:
    line = _fail(4, "run", model, "--board", "mps2-an386", "--timeout", "0.001")
    assert "mps2-an386" in line


@pytest.mark.parametrize("part", ["file", "file/below"])
def test_compile_into_a_place_that_is_no_folder_leaves_nothing(
    here: _Run, part: str, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("kept")
    before = sorted(tmp_path.rglob("*"))
    assert str(tmp_path / part) in _fail(2, "compile", model, "-o", tmp_path / part, run=here)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "file").read_text() == "kept"


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    completed = _vq("--debug", "run", tmp_path / "none.tflite", "--board", "host")
    assert completed.returncode == 2
    assert "Traceback" in completed.stderr


def test_version_and_help() -> None:
    assert vq_cortexm.__version__ in _succeed("--version")
    text = _succeed("-h")
    assert all(verb in text for verb in ("compile", "run", "profile", "boards", "doctor"))


def test_model_that_does_not_fit_names_its_largest_buffers() -> None:
    compiled = vq_cortexm.build(from_tflite(_model()), name="net")
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
    here: _Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = dataclasses.replace(board_by_name("mps2-an386"), flash=Memory(0, 100))
    monkeypatch.setitem(BOARDS, "mps2-an386", small)
    out = tmp_path / "out"
    line = _fail(1, "compile", model, "-o", out, "--board", "mps2-an386", run=here)
    assert "does not fit mps2-an386" in line
    assert not out.exists()


def test_output_that_differs_is_status_1(
    here: _Run, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(module: Any, sample: Any) -> Any:
        return tuple(y + np.int8(1) for y in run_reference(module, sample))

    monkeypatch.setattr("vq_cortexm.compiled_model.run_reference", wrong)
    completed = here("run", model, "--board", "host", "--check", "--json")
    assert completed.returncode == 1
    assert json.loads(completed.stdout)["bit_exact"] is False
