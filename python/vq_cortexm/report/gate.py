"""The gate of `profile --against`: a run's cycles, flash and RAM beside those of an earlier one."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ..compiled_model import REPORT_FILE
from ..errors import ModelError, UsageError
from ..json_objects import Run
from .conform import NotConformingError, conform
from .schema import Layer

_LARGEST_FILE = 64 << 20
_SHOWN_LAYERS = 12


@dataclass(frozen=True)
class Gate:
    """An earlier run, the file it is from, and the share by which figures may grow."""

    path: Path
    before: Run
    limit: float


@dataclass(frozen=True)
class Total:
    """A figure of both runs; less is better. `exceeded` says that it grew beyond the limit."""

    name: str
    own: int
    other: int
    exceeded: bool

    @property
    def growth(self) -> float:
        """As a share of the other's; infinite where that is 0 and this is not."""
        if self.own == self.other:
            return 0.0
        return (self.own - self.other) / self.other if self.other else math.inf


@dataclass(frozen=True)
class LayerGrowth:
    """A layer by its name: how many more cycles (instructions, where cycles are not modelled) and
    bytes of flash it takes; a new one all of its own, one that is gone as many less."""

    name: str
    cost: int
    flash: int


@dataclass(frozen=True)
class Verdict:
    """`cost` names what the layers' cost is; `layers` has those that changed, dearest first."""

    against: str
    limit: float
    cost: str
    totals: tuple[Total, ...]
    layers: tuple[LayerGrowth, ...]

    @property
    def exceeded(self) -> bool:
        """Whether any total grew beyond the limit."""
        return any(total.exceeded for total in self.totals)

    def describe(self) -> dict[str, Any]:
        """`json_objects.Regression`."""
        return {
            "against": self.against,
            "max_regress": self.limit,
            "exceeded": self.exceeded,
            "totals": [vars(total) for total in self.totals],
            "layer_cost": self.cost,
            "layers": [vars(layer) for layer in self.layers],
        }


def parse_share(text: str) -> float:
    """The share that "2%" or "0.5 %" says; UsageError for anything else."""
    number = text.strip().removesuffix("%")
    try:
        share = float(number) / 100 if text.strip().endswith("%") else math.nan
    except ValueError:
        share = math.nan
    if not 0 <= share < math.inf:
        raise UsageError(f"--max-regress {text!r}: a percentage works: 2%")
    return share


def read_run(path: Path) -> Run:
    """What `profile --json` printed, or a folder's report.json with what was measured, or the
    folder. UsageError where there is no such file, ModelError for one that is something else."""
    file = path / REPORT_FILE if path.is_dir() else path
    try:
        if file.stat().st_size > _LARGEST_FILE:
            raise ModelError(f"--against {file}: more than 64 MiB; no report is so large")
        value = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--against {file}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise ModelError(f"--against {file}: not JSON") from None
    works = "what `profile --json` prints works, or a folder of `profile -o`"
    if isinstance(value, dict) and "board" not in value and "arena_bytes" in value:
        if not isinstance(value.get("measured"), dict):
            raise ModelError(f"--against {file}: nothing was measured for it; {works}")
        value = {**value["measured"], "model": value.get("model")}
    try:
        conform(value, Run)
    except NotConformingError as error:
        raise ModelError(f"--against {file}: no report of a run ({error}); {works}") from None
    run = cast("Run", value)
    if run["instructions"] is None:
        raise ModelError(f"--against {file}: {run['board']} counts no instructions; {works}")
    return run


def open_gate(path: Path, limit: str) -> Gate:
    """The gate of `--against` and `--max-regress`; see `read_run` and `parse_share`."""
    return Gate(path, read_run(path), parse_share(limit))


def check_same(gate: Gate, model: str, board: str, timing: Mapping[str, int]) -> None:
    """UsageError where the gate's run is of another model or board, or was timed in another way."""
    before = gate.before
    for what, then, now in (
        ("model", before["model"], model),
        ("board", before["board"], board),
        ("timing", dict(before.get("timing", timing)), dict(timing)),
    ):
        if then != now:
            raise UsageError(f"--against {gate.path}: is of the {what} {then}, this is {now}")


def judge(gate: Gate, run: Mapping[str, Any]) -> Verdict:
    """A run of the same model on the same board (`json_objects.Run`) beside the gate's."""
    before = gate.before
    modelled = run["cycles"] is not None and before["cycles"] is not None
    cost = "cycles" if modelled else "instructions"
    cost_before = before["cycles"] if modelled else before["instructions"]
    assert cost_before is not None, "`read_run` refuses runs that counted nothing"
    pairs = (
        (cost, run[cost], cost_before),
        ("flash", run["flash"]["total"], before["flash"]["total"]),
        ("RAM", run["ram"]["total"], before["ram"]["total"]),
    )
    totals = tuple(
        Total(name, own, other, own - other > gate.limit * other) for name, own, other in pairs
    )
    layers = _grown(run["layers"], before["layers"], cost)
    return Verdict(str(gate.path), gate.limit, cost, totals, layers)


def _grown(own: Sequence[Layer], other: Sequence[Layer], cost: str) -> tuple[LayerGrowth, ...]:
    mine, theirs = _by_name(own, cost), _by_name(other, cost)
    found = []
    for name in dict.fromkeys([*mine, *theirs]):
        now, then = mine.get(name, (0, 0)), theirs.get(name, (0, 0))
        if now != then:
            found.append(LayerGrowth(name, now[0] - then[0], now[1] - then[1]))
    return tuple(sorted(found, key=lambda layer: (-layer.cost, -layer.flash)))


def _by_name(layers: Sequence[Layer], cost: str) -> dict[str, tuple[int, int]]:
    """Cost and flash of each layer."""
    is_cycles = cost == "cycles"
    return {
        layer["name"]: (
            (layer["cycles"] if is_cycles else layer["instructions"]) or 0,
            layer["flash"],
        )
        for layer in layers
    }


def verdict_lines(verdict: Verdict) -> list[str]:
    """What grew, by how much and in which layers, for people."""
    lines = []
    for total in verdict.totals:
        said = "more than" if total.exceeded else "within"
        grown = f"{total.growth:+.2%}" if math.isfinite(total.growth) else "from nothing"
        lines.append(
            f"{total.name} {total.own:,} against {total.other:,}: {grown}, "
            f"{said} {100 * verdict.limit:g}%"
        )
    for layer in verdict.layers[:_SHOWN_LAYERS]:
        lines.append(f"  {layer.name}: {layer.cost:+,} {verdict.cost}, {layer.flash:+,} B of flash")
    if len(verdict.layers) > _SHOWN_LAYERS:
        lines.append(f"  and {len(verdict.layers) - _SHOWN_LAYERS} more layers that changed")
    return lines
