"""`--json`: one object of the documented keys, nothing on stderr; progress on a terminal alone."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from command_line import SHAPE, Run, json_of, succeed
from float_nets import OnnxNet
from project_servers import use_threads
from rich.console import Console

from vq_cortexm import cli_progress, json_objects, json_objects_micro
from vq_cortexm.cli import cli
from vq_cortexm.cli_progress import progress
from vq_cortexm.report.conform import conform
from vq_cortexm.target import BOARDS


def check(value: Any, wanted: Any) -> Any:
    """That an object has the keys that are documented, and no others."""
    conform(value, wanted)
    assert set(value) <= set(wanted.__annotations__)
    return value


def verbs(group: click.Group) -> Iterator[click.Command]:
    for command in group.commands.values():
        if isinstance(command, click.Group):
            yield from verbs(command)
        else:
            yield command


def test_numbers_that_json_has_not(here: Run, tmp_path: Path) -> None:
    """Logarithms of negative numbers and of 0; the same from the board and from the reference."""
    net = OnnxNet((2, 3))
    (tmp_path / "log.onnx").write_bytes(net.file(net.node("Log", "x")))
    np.save(tmp_path / "x.npy", np.array([[[1, 0, -1], [1, 1, 1]]], np.float32))
    how = ["--board", "host", "--allow-float", "--float-io", "--input", tmp_path / "x.npy"]
    found = json_of("run", tmp_path / "log.onnx", *how, "--check", run=here)
    check(found, json_objects.Run)
    assert found["bit_exact"] is True
    (((outputs,),),) = found["outputs"]
    assert outputs == [[0, None, None], [0, 0, 0]]


def test_every_verb_has_it() -> None:
    # one runs until it is ended, the other prints a shell's program
    without = [v.name for v in verbs(cli) if "--json" not in {o for p in v.params for o in p.opts}]
    assert sorted(map(str, without)) == ["completion", "serve"]


def test_compile(here: Run, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    options = ["-o", folder, "--board", "mps2-an386"]
    written = check(json_of("compile", model, *options, run=here), json_objects.Compiled)
    assert written["files"] == sorted(path.name for path in folder.iterdir())
    assert written["output"] == str(folder)
    assert written["flash"]["total"] > written["constants_bytes"] > 0
    report = json.loads((folder / "report.json").read_text())
    keys = ("macs", "arena_bytes", "lower_bound_bytes", "constants_bytes", "core", "model")
    assert [written[key] for key in keys] == [report[key] for key in keys]


def test_compile_without_firmware_beside_an_old_one(here: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "firmware.elf").write_bytes(b"old")
    written = check(json_of("compile", model, "-o", tmp_path, run=here), json_objects.Compiled)
    assert written["flash"] is None
    assert "firmware.elf" not in written["files"]


def test_compile_to_an_archive(here: Run, model: Path, tmp_path: Path) -> None:
    options = ["--output-format", "mlf", "-o", tmp_path / "net.tar"]
    written = check(json_of("compile", model, *options, run=here), json_objects.Compiled)
    assert written["files"] == ["net.tar"]


def test_export_int8(here: Run, model: Path, tmp_path: Path) -> None:
    output = tmp_path / "four.tflite"
    options = ["--bits", "4", "-o", output]
    written = check(json_of("export-int8", model, *options, run=here), json_objects.Exported)
    assert written == {"output": str(output), "bytes": output.stat().st_size}


def test_quantize(here: Run, model: Path, tmp_path: Path) -> None:
    data = tmp_path / "d.npz"
    x = np.random.default_rng(1).integers(-128, 128, (8, *SHAPE[1:])).astype(np.int8)
    np.savez(data, x=x)
    options = ["--data", data, "--bits", "4", "-o", tmp_path / "q.onnx"]
    written = check(json_of("quantize", model, *options, run=here), json_objects.Quantized)
    assert [layer["levels"] for layer in written["layers"]] == [16]


def test_report(here: Run, model: Path, tmp_path: Path) -> None:
    folder, page = tmp_path / "out", tmp_path / "page.html"
    succeed("profile", model, "-o", folder, run=here)
    alone = check(json_of("report", folder, run=here), json_objects.Reported)
    assert (alone["files"], alone["board"], alone["emulated"]) == ([], "mps2-an386", True)
    written = json_of("report", folder, "-o", page, "--against", folder, run=here)
    check(written, json_objects.Reported)
    assert (written["files"], written["changed_layers"]) == ([str(page)], [])
    assert page.exists()
    assert {**written, "files": [], "totals": alone["totals"]} == {**alone, "changed_layers": []}


def test_micro(here: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_threads(monkeypatch)
    tar, project = tmp_path / "net.tar", tmp_path / "project"
    succeed("compile", model, "-o", tar, "--output-format", "mlf", run=here)
    create = ["micro", "create-project", project, tar, "qemu"]
    options = json_of(*create, "--list-options", run=here)
    for option in options:
        check(option, json_objects_micro.ProjectOption)
    (board,) = (option for option in options if option["name"] == "board")
    assert board["required"] and "netduinoplus2" in board["choices"]
    create += ["--project-option", "board=netduinoplus2"]
    for verb, output in ((create, project), (["micro", "build", project], project / "build")):
        done = check(json_of(*verb, run=here), json_objects_micro.Project)
        assert done == {"project": str(project), "platform": "qemu", "output": str(output)}
    flashed = check(json_of("micro", "flash", project, run=here), json_objects_micro.Project)
    assert flashed["output"] is None
    ran = json_of("micro", "run", project, "--profile", run=here)
    check(ran, json_objects_micro.MicroRun)


def test_run_and_profile(here: Run, model: Path) -> None:
    for verb in ("run", "profile"):
        check(json_of(verb, model, run=here), json_objects.Run)


def test_boards_and_doctor(here: Run) -> None:
    boards = [check(one, json_objects.BoardFacts) for one in json_of("boards", run=here)]
    assert [board["name"] for board in boards] == list(BOARDS)
    for finding in json_of("doctor", run=here):
        check(finding, json_objects.Finding)


@pytest.mark.parametrize(
    ("hidden", "is_terminal", "shown"), [(False, True, True), (True, True, False), (False,) * 3]
)
def test_progress_is_shown_on_a_terminal_alone(
    hidden: bool, is_terminal: bool, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()

    def console(**_how: Any) -> Console:
        return Console(file=stream, force_terminal=is_terminal, width=100)

    monkeypatch.setattr(cli_progress, "Console", console)
    with progress("compiling net", hidden=hidden) as say:
        say("3 inferences")
    assert ("3 inferences" in stream.getvalue()) == shown


def test_messages_without_a_terminal_are_as_ever(here: Run, model: Path, tmp_path: Path) -> None:
    completed = here("compile", model, "-o", tmp_path / "out")
    assert completed.returncode == 0
    assert "compiling" not in completed.stderr
    assert succeed("export-int8", model, "-o", tmp_path / "e.tflite", run=here)
