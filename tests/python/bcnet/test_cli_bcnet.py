"""`bcnet compose`, and the verbs that take the folder it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Run, fail, json_of, one_convolution, succeed
from two_nets import accurate, fast

from vq_cortexm.build import build_folded
from vq_cortexm.json_objects import Compiled
from vq_cortexm.report.conform import conform


@pytest.fixture
def nets(tmp_path: Path) -> tuple[Path, Path]:
    folders = (tmp_path / "fast", tmp_path / "accurate")
    for folder, module in zip(folders, (fast(), accurate()), strict=True):
        build_folded(module, name="net").export(folder)
    return folders


def test_folder_of_both_runs_and_is_profiled(
    nets: tuple[Path, Path], tmp_path: Path, here: Run
) -> None:
    factors = tmp_path / "factors.json"
    factors.write_text('{"fast": 0.5, "accurate": 1, "scale": 0.07, "zero_point": 2}')
    both = tmp_path / "both"
    options = ["--policy", "entropy", "--thresholds", "-2000", "--combine", factors]
    assert succeed("bcnet", "compose", *nets, "-o", both, *options, run=here) == f"{both}\n"
    metadata = json.loads((both / "metadata.json").read_text())
    assert metadata["bc_net"]["thresholds"] == [-2000]
    assert (metadata["outputs"][0]["scale"], metadata["outputs"][0]["zero_point"]) == (0.07, 2)
    run = ["--board", "host", "--random", "8", "--check"]
    result = json_of("run", both, *run, run=here)
    assert result["bit_exact"] is True
    assert len(result["paths"]) == 8
    always = json_of("run", both, *run, "--thresholds", "1", run=here)
    assert always["paths"] == ["accurate"] * 8
    profile = json_of("profile", both, "--board", "mps2-an386", run=here)
    assert profile["path_cycles"]["accurate"] == profile["cycles"] > profile["path_cycles"]["fast"]
    assert all(layer["cycles"] > 0 for layer in profile["layers"])


def test_thresholds_from_a_file(nets: tuple[Path, Path], tmp_path: Path, here: Run) -> None:
    file = tmp_path / "thresholds.json"
    file.write_text("[1, 2, 3, 4, 5]")
    both = tmp_path / "both"
    said = json_of("bcnet", "compose", *nets, "-o", both, "--thresholds", file, run=here)
    conform(said, Compiled)
    metadata = json.loads((both / "metadata.json").read_text())
    assert metadata["bc_net"]["thresholds"] == [1, 2, 3, 4, 5]
    assert "path accurate: 2 inferences" in succeed(
        *("run", both, "--board", "host", "--random", "2", "--thresholds", "300,300,300,300,300"),
        run=here,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--thresholds", "1,x"], "--thresholds 1,x: No such file"),
        (["--thresholds", "99999999999"], "whole numbers of 32 bits work"),
        (["--thresholds", "1,2"], "2 thresholds; 1 or 5"),
        (["--combine", "factors.json"], '{"fast": 0.5, "accurate": 1} works'),
        (["--rounding", "double"], "compiled with rounding single; --rounding double needs"),
        (["--policy", "doubt"], "'doubt' is not one of"),
    ],
)
def test_bad_options(
    nets: tuple[Path, Path],
    tmp_path: Path,
    here: Run,
    options: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("factors.json").write_text('{"fast": 0.5}')
    assert message in fail(2, "bcnet", "compose", *nets, "-o", "both", *options, run=here)
    assert not Path("both").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" * 100_000, "factors.json: not JSON"),
        (f'{{"fast": {"9" * 400}, "accurate": 1}}', '{"fast": 0.5, "accurate": 1} works'),
        ('{"fast": NaN, "accurate": 1}', '{"fast": 0.5, "accurate": 1} works'),
        ('{"fast": 1, "accurate": -Infinity}', '{"fast": 0.5, "accurate": 1} works'),
        (f'{{"fast": 1, "accurate": 1, "scale": 1, "zero_point": {"9" * 400}}}', "zero_point"),
    ],
    ids=["deep", "large", "nan", "infinite", "zero point"],
)
def test_bad_combinations(
    nets: tuple[Path, Path], tmp_path: Path, here: Run, content: str, message: str
) -> None:
    factors, both = tmp_path / "factors.json", tmp_path / "both"
    factors.write_text(content)
    options = ["--combine", factors]
    assert message in fail(2, "bcnet", "compose", *nets, "-o", both, *options, run=here)
    factors.write_text("[" * 100_000)
    options = ["--thresholds", factors]
    assert "not JSON" in fail(2, "bcnet", "compose", *nets, "-o", both, *options, run=here)


def test_bad_nets(nets: tuple[Path, Path], tmp_path: Path, here: Run) -> None:
    other, both = tmp_path / "other.tflite", tmp_path / "both"
    other.write_bytes(one_convolution())
    line = fail(2, "bcnet", "compose", nets[0], other, "-o", both, run=here)
    assert "the nets take different inputs: fast int8(1, 6, 6, 3), scale 0.02" in line
    assert "no such file" in fail(2, "bcnet", "compose", "none", nets[1], "-o", both, run=here)
    line = fail(2, "run", nets[0], "--board", "host", "--thresholds", "3", run=here)
    assert "this model is one net" in line
    line = fail(2, "bcnet", "compose", *nets, "-o", other, run=here)
    assert "is a file" in line
    assert not both.exists()
