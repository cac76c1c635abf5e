"""`vq-cortexm fit`: its files, its words, and one line for what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from command_line import Run, fail, json_of, one_convolution, vq
from float_nets import write_data

from vq_cortexm import cli_fit
from vq_cortexm.report.folder import read_build


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """An int8 model."""
    path = tmp_path / "net.tflite"
    path.write_bytes(one_convolution())
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Samples of its own input type."""
    x = np.random.default_rng(1).integers(-128, 128, (40, 4, 4, 3)).astype(np.int8)
    return write_data(tmp_path / "data.npz", x)


def _arguments(net: Path, data: Path) -> list[str | Path]:
    folder = data.parent / "out"
    return ["fit", net, "--data", data, "-o", folder, "--candidates", "16,256", "--points", "2"]


def test_table_and_files(net: Path, data: Path, tmp_path: Path) -> None:
    completed = vq(*_arguments(net, data), "--flash", "64Ki", "--weights", "0.25K")
    assert completed.returncode == 0, completed.stderr
    assert "chosen: fewer levels" in completed.stdout
    assert completed.stdout.splitlines()[-1] == str(tmp_path / "out" / "pareto.json")
    assert "conv_2d_0" in completed.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {
        "model.onnx",
        "vq.json",
        "pareto.json",
        "pareto.svg",
    }
    assert read_build(tmp_path / "out").front is not None


def test_json_of_few_samples_without_classes_or_matplotlib(
    net: Path, data: Path, tmp_path: Path, here: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    completed = here(*_arguments(net, data), "--json")
    assert completed.returncode == 0
    (line,) = completed.stderr.splitlines()
    assert "pip install 'vq-cortexm[bench]'" in line
    assert not (tmp_path / "out" / "pareto.svg").exists()
    found = json.loads(completed.stdout)
    assert found == json.loads((tmp_path / "out" / "pareto.json").read_text())
    # every fourth sample is held out
    assert (found["samples"], found["verified"]) == (30, 10)
    assert found["eight_bit"]["accuracy"] is None
    assert found["eight_bit"]["agreement"] == 1.0
    # without budgets nothing is changed
    assert [layer["levels"] for layer in found["chosen"]["n-ary"]["layers"]] == [256]
    assert found["chosen"]["pruned"] is None
    report = json_of("run", net, "--board", "host", run=here)
    assert list(found["sensitivity"]) == [layer["name"] for layer in report["layers"]]


def test_unmet_budget_ends_with_1_and_writes_nothing(
    net: Path, data: Path, tmp_path: Path, here: Run
) -> None:
    line = fail(1, *_arguments(net, data), "--ram", "10", "--flash", "64K", run=here)
    asked, nearest = line.split("; the nearest takes ")
    assert asked.endswith("no choice of levels holds 64,000 bytes of flash and 10 bytes of RAM")
    flash, ram = (int(part.split()[0].replace(",", "")) for part in nearest.split(" and "))
    assert 100 < flash < 64_000
    assert 10 < ram < 1000
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--flash", "much"], "--flash 'much'"),
        (["--cycles", "0"], "--cycles '0'"),
        (["--ram", "12Q"], "64Ki"),
        (["--flash", "9" * 400], "64Ki"),
        (["--flash", "9" * 5000], "64Ki"),
        (["--flash", str(1 << 63)], "64Ki"),
        (["--candidates", "1,4"], "from 2 to 256"),
        (["--candidates", "few"], "--candidates 'few'"),
        (["--points", "1"], "--points"),
        (["--board", "host"], "no flash or cycles"),
        (["--data", "none.npz"], "No such file"),
        (["--verify", "none.npz"], "none.npz"),
        (["--scale", "much"], "--scale"),
    ],
)
def test_bad_use_is_one_line(
    options: list[str], names: str, net: Path, data: Path, tmp_path: Path, here: Run
) -> None:
    # an option that is given twice counts as it is given last
    assert names in fail(2, *_arguments(net, data), *options, run=here)
    assert not (tmp_path / "out").exists()


def test_amounts_are_exact() -> None:
    option = click.Option(["--flash"])
    amounts = {"1.5M": 1_500_000, "0.29K": 290, "9007199254740993": (1 << 53) + 1, "2ki": 2048}
    for text, bytes_ in {**amounts, str((1 << 63) - 1): (1 << 63) - 1}.items():
        assert cli_fit._amount(click.Context(click.Command("fit")), option, text) == bytes_


def test_output_that_is_a_file(net: Path, data: Path, tmp_path: Path, here: Run) -> None:
    (tmp_path / "out").write_text("")
    assert "is a file" in fail(2, *_arguments(net, data), run=here)


def test_bad_model_is_one_line(data: Path, tmp_path: Path, here: Run) -> None:
    (model := tmp_path / "net.onnx").write_bytes(b"junk")
    assert "not a valid ONNX model" in fail(2, *_arguments(model, data), run=here)
