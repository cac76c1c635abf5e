"""What is read of a folder, and the one line for what cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import pytest

from vq_cortexm.errors import ModelError, UsageError, VqError
from vq_cortexm.report.conform import NotConformingError, conform
from vq_cortexm.report.folder import read_build


class Inner(TypedDict):
    size: int | None
    share: NotRequired[float]


class Outer(TypedDict):
    inner: list[Inner]
    named: dict[str, int]


RIGHT = {"inner": [{"size": 3}, {"size": None, "share": 1}], "named": {"a": 1}, "more": "ignored"}


def test_conforming() -> None:
    conform(RIGHT, Outer)
    conform({**RIGHT, "named": {"a": 2**63, "b": -(2**63)}}, Outer)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([], ": list, not dict"),
        ({"inner": []}, ": no 'named'"),
        ({**RIGHT, "named": {"a": True}}, ".named.a: bool, not int"),
        ({**RIGHT, "inner": {}}, ".inner: dict, not list"),
        ({**RIGHT, "inner": [{"size": 1.5}]}, ".inner[0].size: float, not int"),
        ({**RIGHT, "inner": [{"size": 1, "share": float("nan")}]}, ".inner[0].share: float"),
        ({**RIGHT, "inner": [{"size": 1, "share": 1e300}]}, ".inner[0].share: float out of range"),
        ({**RIGHT, "inner": [{"size": 1, "share": 10**400}]}, ".inner[0].share: int out of range"),
        ({**RIGHT, "named": {"a": -(10**400)}}, ".named.a: int out of range"),
    ],
)
def test_not_conforming(wrong: Any, said: str) -> None:
    with pytest.raises(NotConformingError) as caught:
        conform(wrong, Outer)
    assert str(caught.value).startswith(said)


def test_all_files_are_read(reported: Path) -> None:
    build = read_build(reported)
    assert build.report and build.metadata and build.front and build.evaluation
    assert build.measured is not None
    assert build.measured["path_cycles"]["accurate"] == build.measured["cycles"]
    assert build.name == "both"


def test_a_front_alone(own: Path) -> None:
    for name in ("report.json", "eval.json"):
        (own / name).unlink()
    build = read_build(own)
    assert (build.report, build.metadata, build.name) == (None, None, "both.onnx")


def refusal(folder: Path, error: type[VqError]) -> str:
    with pytest.raises(error) as caught:
        read_build(folder)
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"model": 1}', "[" * 100_000, '"\ud800"', '{"a": NaN}'],
    ids=["empty", "cut", "list", "null", "type", "deep", "surrogate", "nan"],
)
@pytest.mark.parametrize("name", ["report.json", "metadata.json", "pareto.json", "eval.json"])
def test_damaged_files(own: Path, name: str, content: str) -> None:
    (own / name).write_bytes(content.encode("utf-8", "surrogatepass"))
    assert str(own / name) in refusal(own, ModelError)


def test_nothing_to_report(tmp_path: Path) -> None:
    assert "no report.json, pareto.json or eval.json" in refusal(tmp_path, UsageError)
    assert "no folder" in refusal(tmp_path / "absent", UsageError)
    (tmp_path / "report.json").mkdir()
    assert "Is a directory" in refusal(tmp_path, UsageError)


@pytest.mark.parametrize(
    ("key", "number"),
    [("last_step", -1), ("first_step", -2), ("offset", -8), ("size_bytes", -(2**40))],
)
def test_a_damaged_memory_plan(own: Path, key: str, number: int) -> None:
    metadata = json.loads((own / "metadata.json").read_text())
    metadata["memory"]["plan"][-1][key] = number
    (own / "metadata.json").write_text(json.dumps(metadata))
    assert "damaged memory plan, at '" in refusal(own, ModelError)
    metadata["memory"]["plan"] = []
    (own / "metadata.json").write_text(json.dumps(metadata))
    assert "no memory plan" in refusal(own, ModelError)


def test_an_evaluation_of_nothing(own: Path) -> None:
    evaluation = json.loads((own / "eval.json").read_text())
    (own / "eval.json").write_text(json.dumps({**evaluation, "rows": []}))
    assert "eval.json: no rows" in refusal(own, ModelError)


def test_a_number_that_no_float_holds(own: Path) -> None:
    report = json.loads((own / "report.json").read_text())
    report["macs"] = 10**400
    (own / "report.json").write_text(json.dumps(report))
    assert "report.json.macs: int out of range" in refusal(own, ModelError)


def test_files_of_different_builds(own: Path) -> None:
    report = json.loads((own / "report.json").read_text())
    report["layers"].pop()
    (own / "report.json").write_text(json.dumps(report))
    assert "different builds" in refusal(own, ModelError)
    (own / "metadata.json").unlink()
    assert "without metadata.json" in refusal(own, ModelError)
