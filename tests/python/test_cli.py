"""The command line where all goes well: files, JSON, tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import RUN_KEYS, SHAPE, Run, expected, json_of, random_inputs, succeed

import vq_cortexm
from vq_cortexm.micro.emulator import run_standalone
from vq_cortexm.target import BOARDS, board_by_name


def test_compile_writes_library_and_firmware(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    assert succeed("compile", model, "-o", folder, "--board", "mps2-an386").strip() == str(folder)
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
    (sample,) = random_inputs(model, 1, seed=1)
    (output,) = run_standalone(folder / "firmware.elf", board_by_name("mps2-an386"))
    y = np.frombuffer(output, np.int8).reshape(1, 2, 2, 5)
    assert [y.tolist()] == expected(model, [sample])[0]


def test_compile_takes_every_build_option(here: Run, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    options = ["--target", "vq-cortexm/cortex-m3", "--rounding", "float", "--io", "caller"]
    succeed("compile", model, "-o", folder, *options, "--name", "other", run=here)
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


def test_compiled_folder_runs_like_its_model(here: Run, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    succeed("compile", model, "-o", folder, "--rounding", "float")
    options = ["--board", "host", "--random", "3", "--seed", "5"]
    again = json_of("run", folder, *options)
    direct = json_of("run", model, *options, "--rounding", "float", run=here)
    assert again["outputs"] == direct["outputs"]
    assert again["model"] == "tiny_net"


def test_run_json_on_the_emulator(model: Path) -> None:
    options = ["--board", "mps2-an386", "--random", "4", "--seed", "7", "--check"]
    result = json_of("run", model, *options)
    assert list(result) == RUN_KEYS
    assert (result["model"], result["target"], result["board"]) == (
        "tiny_net",
        "vq-cortexm/cortex-m4",
        "mps2-an386",
    )
    assert result["bit_exact"] is True
    assert result["inferences"] == 4
    assert result["outputs"] == expected(model, random_inputs(model, 4, seed=7))
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


def test_run_json_on_the_host(here: Run, model: Path) -> None:
    result = json_of("run", model, "--board", "host", run=here)
    assert list(result) == RUN_KEYS
    assert result["bit_exact"] is None
    assert result["inferences"] == 1
    assert result["cycles"] is None
    assert result["instructions"] is None


def test_run_prints_a_table_without_json(here: Run, model: Path) -> None:
    assert "conv2d" in succeed("run", model, "--board", "host", "--check", run=here)


@pytest.mark.parametrize("shape", [SHAPE, (3, *SHAPE), (3, *SHAPE[1:])])
def test_run_reads_one_or_many_samples_of_npy(
    here: Run, shape: tuple[int, ...], model: Path, tmp_path: Path
) -> None:
    data = np.random.default_rng(3).integers(-128, 128, shape).astype(np.int8)
    np.save(tmp_path / "x.npy", data)
    result = json_of("run", model, "--board", "host", "--input", tmp_path / "x.npy", run=here)
    assert result["outputs"] == expected(model, [[x] for x in data.reshape(-1, *SHAPE)])


@pytest.mark.parametrize("names", [("t0", "t1"), ("first", "second")])
def test_run_reads_several_inputs_of_npz(
    here: Run, names: tuple[str, str], sum_of_two: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(4)
    a, b = (rng.integers(-128, 128, (4, 2, 3)).astype(np.int8) for _ in range(2))
    first, second = names
    arrays = {second: b, first: a} if names == ("t0", "t1") else {first: a, second: b}
    np.savez(tmp_path / "x.npz", **arrays)
    result = json_of("run", sum_of_two, "--board", "host", "--input", tmp_path / "x.npz", run=here)
    assert result["outputs"] == expected(sum_of_two, list(zip(a, b, strict=True)))


def test_random_samples_are_numpys_as_documented(here: Run, sum_of_two: Path) -> None:
    rng = np.random.default_rng(9)
    samples = [
        [rng.integers(-128, 128, (2, 3), np.int8) for _input in range(2)] for _sample in range(3)
    ]
    result = json_of("run", sum_of_two, "--board", "host", "--random", "3", "--seed", "9", run=here)
    assert result["outputs"] == expected(sum_of_two, samples)


def test_boards(here: Run) -> None:
    listed = json_of("boards")
    assert {board["name"] for board in listed} == set(BOARDS)
    table = succeed("boards", run=here)
    assert all(name in table for name in BOARDS)


def test_doctor_finds_everything_here(here: Run) -> None:
    findings = json_of("doctor")
    versions = {finding["name"]: finding["version"] for finding in findings}
    assert {"arm-none-eabi-gcc", "qemu-system-arm", "cmake", "ninja", "apache-tvm"} <= set(versions)
    assert all(f["version"] or f["optional"] for f in findings)
    assert all(f["needed_for"] for f in findings)
    assert versions["apache-tvm"].startswith("0.27")
    assert "cmake" in succeed("doctor", run=here)


def test_version_and_help() -> None:
    assert vq_cortexm.__version__ in succeed("--version")
    text = succeed("-h")
    assert all(verb in text for verb in ("compile", "run", "profile", "boards", "doctor"))
