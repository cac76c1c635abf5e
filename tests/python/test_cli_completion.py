"""Completion of the command's arguments in shells, as click's scripts ask for it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from click.shell_completion import BashComplete
from command_line import Run, fail, succeed

from vq_cortexm.cli import cli
from vq_cortexm.target import BOARDS


def completed(*words: str) -> list[tuple[str, str]]:
    """(type, value) for the last word."""
    shell = BashComplete(cli, {}, "vq-cortexm", "_VQ_CORTEXM_COMPLETE")
    return [(item.type, item.value) for item in shell.get_completions(list(words[:-1]), words[-1])]


def values(*words: str) -> list[str]:
    return [value for _, value in completed(*words)]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts(shell: str, here: Run) -> None:
    script = succeed("completion", shell, run=here)
    assert "_VQ_CORTEXM_COMPLETE" in script
    assert "vq-cortexm" in script
    if shell == "bash":
        checked = subprocess.run(["bash", "-n"], input=script, text=True, check=False)
        assert checked.returncode == 0


def test_another_shell_is_refused(here: Run) -> None:
    assert "tcsh" in fail(2, "completion", "tcsh", run=here)


def test_verbs_options_and_choices() -> None:
    assert {"compile", "completion"} <= set(values("comp"))
    assert "--rounding" in values("run", "--rou")
    assert values("run", "--rounding", "d") == ["double"]


@pytest.mark.parametrize("verb", [("run",), ("bcnet", "eval"), ("fit",), ("serve",), ("report",)])
def test_boards(verb: tuple[str, ...]) -> None:
    assert values(*verb, "--board", "") == list(BOARDS)
    assert values(*verb, "--board", "micro") == ["microbit"]


def test_targets() -> None:
    assert "vq-cortexm/cortex-m3" in values("compile", "--target", "vq-cortexm/c")


def test_files_by_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("net.tflite", "net.onnx", "note.txt", "data.npz", "levels.json"):
        Path(name).touch()
    Path("nets").mkdir()
    Path("nets/other.onnx").touch()
    assert completed("run", "ne") == [
        ("dir", "ne"),
        ("plain", "net.onnx"),
        ("plain", "net.tflite"),
    ]
    assert values("profile", "nets/") == ["nets/", "nets/other.onnx"]
    assert values("quantize", "net.onnx", "--data", "d")[1:] == ["data.npz"]
    assert values("run", "net.onnx", "--vq", "")[1:] == ["levels.json"]
    assert values("run", "nowhere/x")[1:] == []
