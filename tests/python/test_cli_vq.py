"""The options --bits, --levels and --vq, and the verb export-int8."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import Run, fail, json_of, random_inputs, succeed, vq
from tflite_builder import run_litert

import vq_cortexm
from vq_cortexm.frontend import load

HOST = ["--board", "host"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "vq.json"
    path.write_text('{"bits": 8, "layers": {"conv_*": {"levels": 5, "codebook": true}}}')
    return path


@pytest.mark.parametrize(
    ("option", "value", "levels"), [("--bits", "2", 4), ("--levels", "9", 9), ("--bits", "1", 2)]
)
def test_run_reports_the_levels(
    here: Run, model: Path, option: str, value: str, levels: int
) -> None:
    result = json_of("run", model, *HOST, "--check", option, value, run=here)
    assert result["bit_exact"] is True
    assert [layer["levels"] for layer in result["layers"]] == [levels]
    plain = json_of("run", model, *HOST, run=here)
    assert plain["outputs"] != result["outputs"]
    assert plain["layers"][0]["levels"] > 16


def test_file_of_options(here: Run, model: Path, config: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    succeed("compile", model, "-o", folder, "--vq", config, run=here)
    metadata = json.loads((folder / "metadata.json").read_text())
    assert metadata["virtual_quantization"] == {
        "levels": 256,
        "codebook": False,
        "layers": {"conv_*": {"levels": 5, "codebook": True}},
    }
    report = json.loads((folder / "report.json").read_text())
    assert [layer["levels"] for layer in report["layers"]] == [5]
    assert "others by layer" in (folder / "tiny_net.h").read_text()
    direct = json_of("run", model, *HOST, "--vq", config, run=here)
    assert json_of("run", folder, *HOST, "--vq", config, run=here)["outputs"] == direct["outputs"]


def test_8_bits_are_the_plain_build(here: Run, model: Path, tmp_path: Path) -> None:
    for name, options in (("plain", []), ("eight", ["--bits", "8"])):
        succeed("compile", model, "-o", tmp_path / name, "--name", "net", *options, run=here)
    plain, eight = (tmp_path / name for name in ("plain", "eight"))
    for file in plain.iterdir():
        assert file.read_bytes() == (eight / file.name).read_bytes(), file.name
    assert json.loads((plain / "metadata.json").read_text())["virtual_quantization"] is None


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--bits", "9"], "1<=x<=8"),
        (["--bits", "0"], "1<=x<=8"),
        (["--levels", "1"], "2<=x<=256"),
        (["--levels", "257"], "2<=x<=256"),
        (["--bits", "2", "--levels", "4"], "bits and levels exclude each other"),
        (["--vq", "none.json"], "none.json: No such file"),
    ],
)
def test_options_that_are_refused(here: Run, model: Path, options: list[str], names: str) -> None:
    assert names in fail(2, "run", model, *HOST, *options, run=here)


def test_glob_that_matches_no_layer(here: Run, model: Path, tmp_path: Path) -> None:
    path = tmp_path / "vq.json"
    path.write_text('{"layers": {"dense": {"bits": 4}}}')
    line = fail(2, "run", model, *HOST, "--vq", path, run=here)
    assert "'dense'" in line
    assert "conv_2d_0" in line


def test_compiled_folder_keeps_its_levels(here: Run, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    succeed("compile", model, "-o", folder, "--bits", "4", run=here)
    same = json_of("run", folder, *HOST, "--levels", "16", run=here)
    assert same["outputs"] == json_of("run", model, *HOST, "--bits", "4", run=here)["outputs"]
    assert "need the model" in fail(2, "run", folder, *HOST, "--bits", "3", run=here)


def test_export_writes_what_litert_computes(model: Path, config: Path, tmp_path: Path) -> None:
    exported = tmp_path / "plain.tflite"
    assert succeed("export-int8", model, "-o", exported, "--vq", config).strip() == str(exported)
    compiled = vq_cortexm.build(load(model), rounding="float", vq=config)
    samples = random_inputs(model, 10, seed=4)
    result = compiled.run(samples, "host")
    for (sample,), (output,) in zip(samples, result.outputs, strict=True):
        np.testing.assert_array_equal(run_litert(exported.read_bytes(), sample), output)


def test_export_that_is_refused(here: Run, model: Path, tmp_path: Path) -> None:
    line = fail(2, "export-int8", model, "-o", tmp_path / "x.onnx", "--bits", "4", run=here)
    assert "is a .tflite" in line
    succeed("compile", model, "-o", tmp_path / "out", run=here)
    line = fail(2, "export-int8", tmp_path / "out", "-o", tmp_path / "x.tflite", run=here)
    assert "needs the model itself" in line
    nowhere = tmp_path / "none" / "x.tflite"
    assert "No such file" in fail(2, "export-int8", model, "-o", nowhere, "--bits", "4", run=here)
    assert not list(tmp_path.glob("x.*"))


def test_help_names_the_options() -> None:
    text = vq("export-int8", "--help").stdout
    assert all(option in text for option in ("--bits", "--levels", "--vq", "--output"))


def test_how_weights_are_stored(here: Run, model: Path, tmp_path: Path) -> None:
    file = tmp_path / "stored.json"
    file.write_text('{"levels": 5, "realisation": "radix"}')
    (plain,) = json_of("run", model, *HOST, "--levels", "5", run=here)["layers"]
    (layer,) = json_of("run", model, *HOST, "--check", "--vq", file, run=here)["layers"]
    assert (plain["realisation"], layer["realisation"]) == ("plain", "radix")
    assert 0 < layer["weight_bytes"] < plain["weight_bytes"]
    assert "radix 5" in succeed("profile", model, *HOST, "--vq", file, run=here)


@pytest.mark.parametrize(
    ("stored", "names"),
    [
        ('{"realisation": "zip"}', 'realisation is "zip"; known: plain, nested, bitfield'),
        ('{"levels": 256, "realisation": "nested"}', "cannot be stored as nested; possible: plain"),
    ],
)
def test_how_weights_cannot_be_stored(
    here: Run, model: Path, tmp_path: Path, stored: str, names: str
) -> None:
    file = tmp_path / "stored.json"
    file.write_text(stored)
    assert names in fail(2, "run", model, *HOST, "--vq", file, run=here)


def test_a_folder_keeps_the_objective_it_was_compiled_for(
    here: Run, model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    options = ["--levels", "3", "--objective", "size", "--name", "net"]
    succeed("compile", model, "-o", folder, *options, run=here)
    succeed("compile", folder, "-o", tmp_path / "again", "--name", "net", run=here)
    for file in folder.glob("*.c"):
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()
    assert "fast" in fail(2, "run", model, *HOST, "--objective", "fast", run=here)
