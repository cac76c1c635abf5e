"""Two builds side by side, and the table for a pull request."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from vq_cortexm.errors import UsageError
from vq_cortexm.report.budgets import budgets, choose_board
from vq_cortexm.report.compare import changed_layers, totals
from vq_cortexm.report.folder import Build, read_build
from vq_cortexm.report.markdown import render_markdown
from vq_cortexm.report.numbers import bits, signed
from vq_cortexm.report.page import render_page


@pytest.fixture
def build(reported: Path) -> Build:
    return read_build(reported)


@pytest.fixture
def other(own: Path) -> Build:
    """One whose first layer is slower by 100 cycles, and that has another last layer."""
    report = json.loads((own / "report.json").read_text())
    report["measured"]["cycles"] += 100
    report["measured"]["layers"][0]["cycles"] += 100
    for layers in (report["layers"], report["measured"]["layers"]):
        layers[-1]["name"] = "sum|mary"
    (own / "report.json").write_text(json.dumps(report))
    return read_build(own)


def static(folder: Path, to: Path) -> Build:
    """The same, never run."""
    shutil.copytree(folder, to)
    report = json.loads((to / "report.json").read_text())
    del report["measured"]
    (to / "report.json").write_text(json.dumps(report))
    return read_build(to)


def test_totals(build: Build, other: Build) -> None:
    found = {change.name: change for change in totals(build, other)}
    cycles = found["cycles"]
    assert cycles.difference == -100
    assert cycles.own is not None and cycles.ratio == -100 / (cycles.own + 100)
    assert {c.difference for name, c in found.items() if name != "cycles"} == {0}


def test_layers_that_differ(build: Build, other: Build) -> None:
    slower, new, gone = changed_layers(build, other)
    assert slower.name == "fast_first"
    assert [c.difference for c in slower.changes] == [-100, 0, 0, 0]
    assert (new.name, new.other) == ("combination", None)
    assert (gone.name, gone.own) == ("sum|mary", None)
    assert changed_layers(build, build) == []


def test_a_build_that_was_not_run(build: Build, reported: Path, tmp_path: Path) -> None:
    plain = static(reported, tmp_path / "plain")
    found = {change.name: change for change in totals(build, plain)}
    assert found["cycles"].other is None and found["cycles"].difference is None
    # what is known without a run is the same in both
    assert changed_layers(build, plain) == []
    page = render_page(plain, against=build)
    assert "vq-cortexm profile" in page
    assert "No layer differs" in page
    shares = [[share.name for share in budget.shares] for budget in budgets(plain, None)]
    assert shares == [["constants"], ["arena"]]
    assert choose_board(plain, None) is None
    assert "| cycles |" not in render_markdown(plain)


def test_markdown(build: Build, other: Build) -> None:
    lines = render_markdown(build, choose_board(build, None), other).splitlines()
    assert lines[0] == "### both on netduinoplus2, emulated"
    (cycles,) = [line for line in lines if line.startswith("| cycles |")]
    assert "| −100 |" in cycles
    # names cannot break the table
    assert any(line.startswith(r"| sum\|mary (gone) | – |") for line in lines)
    tables = [line for line in lines if line.startswith("|")]
    widths = {line.replace(r"\|", "").count("|") for line in tables}
    assert widths == {6, 10}
    assert any("of its flash and" in line for line in lines)


def test_names_cannot_break_markdown(own: Path) -> None:
    report, metadata = (json.loads((own / f"{n}.json").read_text()) for n in ("report", "metadata"))
    report["model"] = metadata["model"] = "a\rb\n# c &lt; <d>"
    report["measured"]["board"] = "x\n# y <img>|\r\n"
    for content, name in ((report, "report"), (metadata, "metadata")):
        (own / f"{name}.json").write_text(json.dumps(content))
    found = render_markdown(read_build(own))
    assert "\r" not in found
    line = r"### a b # c &amp;lt; &lt;d> on x # y &lt;img>\|  , emulated"
    assert found.splitlines()[0] == line


def test_budgets_of_another_part(build: Build) -> None:
    board = choose_board(build, "mps2-an386")
    assert board is not None
    flash, ram = budgets(build, board)
    assert (flash.room_bytes, ram.room_bytes) == (board.flash.size_bytes, board.ram.size_bytes)
    assert build.measured is not None
    assert flash.used_bytes == build.measured["flash"]["total"]
    peak = build.measured["ram"]["stack_peak"]
    assert peak and ram.used_bytes == build.measured["ram"]["total"] + peak


@pytest.mark.parametrize(("board", "said"), [("microbit", "cortex-m0"), ("host", "no memories")])
def test_parts_that_cannot_be_a_budget(build: Build, board: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        choose_board(build, board)


def test_only_models_are_compared(own: Path) -> None:
    (own / "report.json").unlink()
    front = read_build(own)
    with pytest.raises(UsageError, match="no compiled model"):
        render_markdown(front)
    # but shown by themselves
    assert "Pareto front" in render_page(front)


def test_signed_numbers() -> None:
    assert [signed(n) for n in (None, 0, 1234, -5)] == ["–", "0", "+1,234", "−5"]
    assert [signed(n, 1, " %") for n in (0.04, -0.04, 12.34)] == ["0.0 %", "0.0 %", "+12.3 %"]


def test_bits_of_levels() -> None:
    assert [bits(levels) for levels in (2, 3, 4, 5, 255, 256)] == [1, 2, 2, 3, 8, 8]


def test_a_run_on_a_real_board_is_not_called_emulated(own: Path) -> None:
    assert "in an emulator, not measured on silicon" in render_page(read_build(own))
    report = json.loads((own / "report.json").read_text())
    report["measured"]["emulated"] = False
    (own / "report.json").write_text(json.dumps(report))
    page = render_page(read_build(own))
    assert "emulat" not in page and "modelled cycles</dt>" not in page
    assert render_markdown(read_build(own)).startswith("### both on netduinoplus2\n")
