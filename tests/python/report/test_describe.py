"""The object of `report --json`: its figures are those of the files and of the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vq_cortexm.errors import UsageError
from vq_cortexm.json_objects import Reported
from vq_cortexm.report.budgets import choose_board
from vq_cortexm.report.conform import conform
from vq_cortexm.report.describe import describe_report
from vq_cortexm.report.folder import read_build


def test_figures_are_those_of_the_files(reported: Path) -> None:
    build = read_build(reported)
    board = choose_board(build, None)
    assert board is not None
    described = describe_report(build, board, None, [Path("page.html")])
    conform(described, Reported)
    assert set(described) <= set(Reported.__annotations__)
    files = {
        name: json.loads((reported / f"{name}.json").read_text())
        for name in ("report", "metadata", "pareto", "eval")
    }
    assert (described["front"], described["evaluation"]) == (files["pareto"], files["eval"])
    assert described["memory_plan"] == files["metadata"]["memory"]["plan"]
    assert described["files"] == ["page.html"]
    measured = files["report"]["measured"]
    derived = {"constants_bytes", "share", "cycles_per_mac", "times_limit"}
    for layer, own in zip(described["layers"], measured["layers"], strict=True):
        assert {key: value for key, value in layer.items() if key not in derived} == own
    assert sum(layer["share"] for layer in described["layers"]) == pytest.approx(1)
    flash, ram = described["budgets"]
    assert (flash["used_bytes"], flash["room_bytes"]) == (
        measured["flash"]["total"],
        board.flash.size_bytes,
    )
    assert ram["used_bytes"] == sum(ram["shares"].values()) > measured["ram"]["total"]
    totals = {total["name"]: total for total in described["totals"]}
    assert totals["cycles"] == {"name": "cycles", "own": measured["cycles"], "other": None}
    weights = sum(layer["weight_bytes"] for layer in measured["layers"])
    assert sum(described["realisations"].values()) == weights
    assert "changed_layers" not in described


def test_two_builds(reported: Path, own: Path) -> None:
    report = json.loads((own / "report.json").read_text())
    name = report["measured"]["layers"][0]["name"]
    report["measured"]["layers"][0]["cycles"] += 100
    report["measured"]["cycles"] += 100
    (own / "report.json").write_text(json.dumps(report))
    described = describe_report(read_build(own), None, read_build(reported), [])
    conform(described, Reported)
    (changed,) = described["changed_layers"]
    assert changed["name"] == name
    assert changed["cycles"]["own"] == changed["cycles"]["other"] + 100
    totals = {total["name"]: total for total in described["totals"]}
    assert totals["cycles"]["own"] == totals["cycles"]["other"] + 100


def test_a_search_alone(own: Path) -> None:
    for name in ("report.json", "metadata.json"):
        (own / name).unlink()
    build = read_build(own)
    described = describe_report(build, None, None, [])
    conform(described, Reported)
    assert (described["core"], described["layers"], described["totals"]) == (None, [], [])
    with pytest.raises(UsageError, match="no compiled model"):
        describe_report(build, None, build, [])
