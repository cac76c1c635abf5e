"""The file of results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vq_cortexm.errors import UsageError
from vq_cortexm.tune.database import Database, Record, figures, load_database, pareto
from vq_cortexm.tune.image import Cost
from vq_cortexm.tune.measure import Failure

LAYER = {"op": "dense", "core": "cortex-m4"}


def record(cycles: int, schedule: dict[str, int], compiler: str = "c1") -> Record:
    return Record("t", compiler, schedule, Cost(cycles, cycles, 10, 20))


def test_what_is_added_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "db.jsonl"
    database = load_database(path, create=True)
    failed = Record("t", "c1", {"unroll": 2}, Failure("wrong outputs"))
    own = replace(record(9, {"unroll": 8}), is_own=True)
    for one in (record(7, {"unroll": 4}), failed, own):
        database.add(LAYER, one)
    again = load_database(path)
    assert again.layers == {"t": LAYER}
    assert again.find("t", "c1", {"unroll": 8}) == Cost(9, 9, 10, 20)
    assert again.find("t", "c1", {"unroll": 2}) == Failure("wrong outputs")
    assert again.find("t", "c2", {"unroll": 8}) is None
    assert [dict(one.schedule) for one in again.known("t")] == [{"unroll": 4}, {"unroll": 8}]
    assert [one.is_own for one in again.known("t")] == [False, True]
    assert path.read_text().count("layer") == 1


def test_a_line_that_was_cut_off_is_left_out_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "db.jsonl"
    database = Database(path)
    database.add(LAYER, record(7, {"unroll": 4}))
    database.add(LAYER, record(9, {"unroll": 8}))
    whole = path.read_text()
    path.write_text(whole[:-9])
    cut = path.read_text()
    assert len(list(load_database(path).known("t"))) == 1
    assert path.read_text() == cut
    again = load_database(path, create=True)
    assert [one.outcome for one in again.known("t")] == [Cost(7, 7, 10, 20)]
    again.add(LAYER, record(9, {"unroll": 8}))
    assert path.read_text() == whole


def test_what_another_compiler_measured_gives_way_to_the_last_one() -> None:
    database = Database()
    for one in (record(7, {"unroll": 4}), record(8, {"unroll": 4}, "c2")):
        database.add(LAYER, one)
    assert [one.compiler for one in database.known("t")] == ["c2"]


def test_a_warm_start_does_not_mix_compilers() -> None:
    mine, other = Database(), Database()
    mine.add(LAYER, record(7, {"unroll": 4}))
    other.add(LAYER, record(6, {"unroll": 8}, "c2"))
    mine.take_over(other)
    assert [one.compiler for one in mine.known("t")] == ["c1"]


@pytest.mark.parametrize("text", ["my notes", "my notes\nwithout an end"])
@pytest.mark.parametrize("create", [False, True])
def test_a_file_that_is_none_is_refused_and_stays(tmp_path: Path, text: str, create: bool) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(text)
    with pytest.raises(UsageError, match="line 1: not a record of tuning"):
        load_database(path, create=create)
    assert path.read_text() == text


def test_a_warm_start_takes_what_is_not_known_yet() -> None:
    mine, other = Database(), Database()
    mine.add(LAYER, record(7, {"unroll": 4}))
    other.add(LAYER, record(70, {"unroll": 4}))
    other.add(LAYER, record(6, {"unroll": 8}))
    mine.take_over(other)
    assert [figures(one.outcome)[0] for one in mine.known("t")] == [7, 6]


@pytest.mark.parametrize("text", ["{}\n", '{"task": "t"}\n', "no json\n", '{"task": 1, "layer'])
def test_another_file_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "db.jsonl"
    path.write_text(text + "x\n")
    with pytest.raises(UsageError, match="line 1: not a record of tuning"):
        load_database(path)


COST = '"cycles": 7, "instructions": 7, "flash_bytes": 10, "ram_bytes": 20'
DAMAGED = [
    '"abc"',
    '"layer"',
    "[]",
    "5",
    "null",
    '{"task": "t", "layer": 5}',
    '{"task": 5, "layer": {}}',
    f'{{"task": "t", "compiler": "c", "schedule": [], {COST}}}',
    f'{{"task": "t", "compiler": "c", "schedule": {{"unroll": null}}, {COST}}}',
    f'{{"task": "t", "compiler": "c", "schedule": {{}}, "own": "no", {COST}}}',
    f'{{"task": "t", "compiler": 5, "schedule": {{}}, {COST}}}',
    f'{{"task": "t", "compiler": "c", "schedule": {{}}, {COST.replace("10", "null")}}}',
    f'{{"task": "t", "compiler": "c", "schedule": {{}}, {COST.replace(": 7", ": []", 1)}}}',
    '{"task": "t", "compiler": "c", "schedule": {}, "failure": 5}',
]


@pytest.mark.parametrize("line", DAMAGED)
def test_a_line_that_is_no_record_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "db.jsonl"
    Database(path).add(LAYER, record(7, {"unroll": 4}))
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(UsageError, match="line 3: not a record of tuning"):
        load_database(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        load_database(tmp_path / "none.jsonl")


@given(st.lists(st.tuples(*[st.integers(1, 5)] * 3), min_size=1))
def test_the_front_has_what_nothing_beats(points: list[tuple[int, int, int]]) -> None:
    records = [Record("t", "c", {"n": n}, Cost(p[0], 1, *p[1:])) for n, p in enumerate(points)]
    front = [figures(one.outcome) for one in pareto(records)]
    assert len(front) == len(set(front))
    for point in points:
        assert any(all(a <= b for a, b in zip(f, point, strict=True)) for f in front)
    for one in front:
        others = [f for f in front if f != one]
        assert not any(all(a <= b for a, b in zip(f, one, strict=True)) for f in others)
