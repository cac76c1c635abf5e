"""`vq-cortexm tune`, and `--db` of the verbs that build."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Run, fail, json_of, succeed

from vq_cortexm.json_objects import Tuned
from vq_cortexm.report.conform import conform


def test_tune_then_profile_with_its_results(model: Path, tmp_path: Path, here: Run) -> None:
    db = tmp_path / "db.jsonl"
    said = json_of("tune", model, "--db", db, "--trials", "40", "--jobs", "1", run=here)
    conform(said, Tuned)
    (layer,) = said["layers"]
    assert layer["measured"] == layer["points"]
    assert layer["failed"] == 0
    assert layer["best_cycles"] <= layer["own_cycles"]
    own, tuned = (
        json_of("profile", model, "--objective", "speed", *more, run=here)
        for more in ((), ("--db", db))
    )
    assert tuned["cycles"] <= own["cycles"]
    table = succeed("tune", model, "--db", db, "--jobs", "1", run=here)
    assert "conv2d 3x3 4x4x3 → 2x2x5" in table


@pytest.mark.parametrize("text", ["speed", "2*", "cycles+", "1..2*flash", ""])
def test_an_objective_that_is_none(text: str, model: Path, tmp_path: Path, here: Run) -> None:
    line = fail(2, "tune", model, "--db", tmp_path / "d", "--minimize", text, run=here)
    assert "not understood" in line
    assert not (tmp_path / "d").exists()


def test_a_file_that_is_no_database(model: Path, tmp_path: Path, here: Run) -> None:
    other = tmp_path / "other.txt"
    other.write_text("hello\n")
    assert "line 1: not a record" in fail(2, "tune", model, "--db", other, run=here)
    assert "line 1: not a record" in fail(2, "profile", model, "--db", other, run=here)
    assert other.read_text() == "hello\n"
    missing = fail(2, "profile", model, "--db", tmp_path / "none", run=here)
    assert "No such file" in missing


def test_the_host_measures_nothing(model: Path, tmp_path: Path, here: Run) -> None:
    line = fail(2, "tune", model, "--db", tmp_path / "d", "--board", "host", run=here)
    assert "not emulated" in line
