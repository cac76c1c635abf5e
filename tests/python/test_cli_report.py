"""`vq-cortexm profile -o` and `vq-cortexm report`."""

from __future__ import annotations

import json
from pathlib import Path

from command_line import Run, fail, json_of, succeed


def test_profile_writes_what_compile_writes_and_its_figures(
    here: Run, model: Path, tmp_path: Path
) -> None:
    succeed("compile", model, "-o", tmp_path / "plain", "--board", "mps2-an386", run=here)
    options = ["-o", tmp_path / "out", "--wait-states", "1"]
    printed = json_of("profile", model, *options, run=here)
    files = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    for path in (tmp_path / "plain").iterdir():
        assert path.name == "report.json" or files[path.name] == path.read_bytes()
    report = json.loads(files["report.json"])
    measured = report.pop("measured")
    assert report == json.loads((tmp_path / "plain" / "report.json").read_text())
    timing = {"branch_refill": 2, "flash_wait_states": 1}
    assert measured == {**printed, "emulated": True, "timing": timing}


def test_a_folder_is_measured_in_place(here: Run, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    succeed("compile", model, "-o", folder, run=here)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    succeed("profile", folder, "-o", folder, run=here)
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {name for name in after if after[name] != before.get(name)} == {
        "report.json",
        "firmware.elf",
    }


def test_all_outputs(here: Run, model: Path, tmp_path: Path) -> None:
    folder, other = tmp_path / "out", tmp_path / "other"
    succeed("profile", model, "-o", folder, run=here)
    succeed("compile", model, "-o", other, "--bits", "4", run=here)
    written = [tmp_path / "deep" / "page.html", tmp_path / "table.md", tmp_path / "images"]
    options = [*zip(("-o", "--markdown", "--png"), written, strict=True)]
    arguments = [part for option in options for part in option]
    arguments += ["--against", other, "--board", "netduinoplus2"]
    assert succeed("report", folder, *arguments, run=here).split() == [*map(str, written)]
    assert "netduinoplus2" in written[0].read_text()
    assert "levels" in written[1].read_text()
    assert {path.name for path in written[2].iterdir()} == {"layers.png", "memory.png"}


def test_refusals(here: Run, model: Path, tmp_path: Path) -> None:
    folder, page = tmp_path / "out", tmp_path / "page.html"
    succeed("compile", model, "-o", folder, "--target", "vq-cortexm/cortex-m3", run=here)
    assert "nothing to write" in fail(2, "report", folder, run=here)
    assert "no folder" in fail(2, "report", model, "-o", page, run=here)
    assert "no report.json" in fail(2, "report", tmp_path, "-o", page, run=here)
    line = fail(2, "report", folder, "-o", page, "--board", "mps2-an386", run=here)
    assert "built for cortex-m3" in line
    line = fail(2, "report", folder, "-o", page, "--against", tmp_path, run=here)
    assert str(tmp_path) in line
    assert "is a file" in fail(2, "report", folder, "--png", model, run=here)
    assert not page.exists()
    line = fail(2, "report", folder, "-o", model / "page.html", run=here)
    assert str(model / "page.html") in line
    assert "Is a directory" in fail(2, "report", folder, "-o", tmp_path, run=here)
