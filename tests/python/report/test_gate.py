"""The gate of CI: `profile --against`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_nets
from command_line import Run, fail, json_of, succeed

from vq_cortexm.errors import UsageError
from vq_cortexm.json_objects import Run as RunObject
from vq_cortexm.report.conform import conform
from vq_cortexm.report.gate import Gate, judge, parse_share, verdict_lines


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("net") / "wake_words.tflite"
    path.write_bytes(tiny_nets.wake_words())
    return path


def report(cycles: int = 1000, flash: int = 400, ram: int = 200, first: int = 600) -> Any:
    """A run of two layers."""
    layers = [
        {
            "name": name,
            "op": "conv2d",
            "macs": 10,
            "cycles": cost,
            "instructions": cost - 1,
            "flash": size,
            "realisation": "plain",
            "weight_bytes": 4,
            "levels": 256,
            "limit_cycles": None,
            "limited_by": None,
        }
        for name, cost, size in (("a", first, 100), ("b", cycles - first, flash - 100))
    ]
    return {
        "model": "net",
        "target": "vq-cortexm/cortex-m4",
        "board": "mps2-an386",
        "bit_exact": None,
        "inferences": 1,
        "cycles": cycles,
        "instructions": cycles - 2,
        "flash": {"text": 0, "rodata": flash, "total": flash},
        "ram": {"arena": ram, "io": 0, "scratch": 0, "data": 0, "stack_peak": 9, "total": ram},
        "layers": layers,
    }


def gate(before: Any, limit: float) -> Gate:
    conform(before, RunObject)
    return Gate(Path("r.json"), before, limit)


@pytest.mark.parametrize(
    ("own", "limit", "exceeded"),
    [
        (report(), 0.0, []),
        (report(cycles=1001), 0.0, ["cycles"]),
        (report(cycles=1020), 0.02, []),
        (report(cycles=1021), 0.02, ["cycles"]),
        (report(flash=401, ram=190), 0.0, ["flash"]),
        (report(ram=300), 0.2, ["RAM"]),
        (report(cycles=10, flash=101, ram=1, first=5), 0.0, []),
    ],
)
def test_limits(own: Any, limit: float, exceeded: list[str]) -> None:
    verdict = judge(gate(report(), limit), own)
    assert [total.name for total in verdict.totals if total.exceeded] == exceeded
    assert verdict.exceeded == bool(exceeded)


def test_layers_that_changed_are_shown_dearest_first() -> None:
    own = report(cycles=1300, first=700, flash=390)
    own["layers"].append({**own["layers"][0], "name": "c", "cycles": 50, "flash": 20})
    verdict = judge(gate(report(), 0.02), own)
    shown = [(layer.name, layer.cost, layer.flash) for layer in verdict.layers]
    assert shown == [("b", 200, -10), ("a", 100, 0), ("c", 50, 20)]
    assert verdict_lines(verdict) == [
        "cycles 1,300 against 1,000: +30.00%, more than 2%",
        "flash 390 against 400: -2.50%, within 2%",
        "RAM 200 against 200: +0.00%, within 2%",
        "  b: +200 cycles, -10 B of flash",
        "  a: +100 cycles, +0 B of flash",
        "  c: +50 cycles, +20 B of flash",
    ]


def test_instructions_where_one_run_has_no_cycles() -> None:
    before = report()
    before["cycles"] = None
    verdict = judge(gate(before, 0.0), report(cycles=1001, first=601))
    assert verdict.cost == "instructions"
    total = verdict.totals[0]
    assert (total.name, total.own, total.other) == ("instructions", 999, 998)
    assert [(layer.name, layer.cost) for layer in verdict.layers] == [("a", 1)]


def test_from_nothing() -> None:
    verdict = judge(gate(report(ram=0), 0.5), report(ram=1))
    assert "RAM 1 against 0: from nothing, more than 50%" in verdict_lines(verdict)


@pytest.mark.parametrize(("text", "share"), [("2%", 0.02), (" 0.5 % ", 0.005), ("0%", 0.0)])
def test_shares(text: str, share: float) -> None:
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["2", "", "%", "-1%", "nan%", "inf%", "two%"])
def test_no_shares(text: str) -> None:
    with pytest.raises(UsageError, match="a percentage works: 2%"):
        parse_share(text)


def test_same_build_passes_and_a_slower_one_does_not(here: Run, net: Path, tmp_path: Path) -> None:
    earlier = tmp_path / "report.json"
    described = json_of("profile", net, run=here)
    conform(described, RunObject)
    earlier.write_text(json.dumps(described))
    assert "+0.00%, within 0%" in succeed("profile", net, "--against", earlier, run=here)
    described["cycles"] -= 100
    described["layers"][2]["cycles"] -= 100
    earlier.write_text(json.dumps(described))
    completed = here("profile", net, "--against", earlier, "--json")
    assert completed.returncode == 1
    again = json.loads(completed.stdout)
    conform(again, RunObject)
    found = again["regression"]
    assert (found["exceeded"], found["max_regress"]) == (True, 0.0)
    name = described["layers"][2]["name"]
    assert found["layers"] == [{"name": name, "cost": 100, "flash": 0}]
    completed = here("profile", net, "--against", earlier)
    assert completed.returncode == 1
    assert f"  {name}: +100 cycles, +0 B of flash" in completed.stdout
    succeed("profile", net, "--against", earlier, "--max-regress", "20%", run=here)


def test_a_folder_of_profile_works(here: Run, net: Path, tmp_path: Path) -> None:
    folder = tmp_path / "built"
    succeed("profile", net, "-o", folder, "--wait-states", "1", run=here)
    options = ["--wait-states", "1", "--against"]
    assert "within 0%" in succeed("profile", net, *options, folder, run=here)
    assert "within 0%" in succeed("profile", net, *options, folder / "report.json", run=here)
    line = fail(2, "profile", net, "--against", folder, run=here)
    assert "is of the timing" in line


def _damage(change: Callable[[Any], Any]) -> str:
    described = report()
    return json.dumps(change(described) or described)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "no report of a run"),
        ("{}", "no 'model'"),
        (_damage(lambda r: r.update(cycles="many")), ".cycles: str, not int"),
        (_damage(lambda r: r.update(ram={})), ".ram: no 'arena'"),
        (_damage(lambda r: r.update(instructions=None)), "counts no instructions"),
        (_damage(lambda r: {"arena_bytes": 1, "model": "net"}), "nothing was measured"),
        (_damage(lambda r: r.update(model="other")), "is of the model other, this is wake_words"),
        (
            _damage(lambda r: r.update(model="wake_words", board="microbit")),
            "is of the board microbit, this is mps2-an386",
        ),
    ],
)
def test_files_that_are_no_such_report(
    text: str, said: str, here: Run, net: Path, tmp_path: Path
) -> None:
    path = tmp_path / "r.json"
    path.write_text(text)
    assert said in fail(2, "profile", net, "--against", path, run=here)


def test_no_file(here: Run, net: Path, tmp_path: Path) -> None:
    missing = tmp_path / "r.json"
    assert "No such file" in fail(2, "profile", net, "--against", missing, run=here)
    options = ["--against", missing, "--max-regress", "2"]
    assert fail(2, "profile", net, *options, run=here)
