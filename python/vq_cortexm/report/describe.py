"""What the page of a build shows as one object, for `report --json`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..target import Board
from .budgets import Budget, budgets
from .compare import LayerChange, changed_layers, check_comparable, totals
from .folder import Build
from .layer_rows import LayerRow, layer_rows, limit_of, weight_bytes_by_realisation


def describe_report(
    build: Build, board: Board | None, against: Build | None, files: Sequence[Path]
) -> dict[str, Any]:
    """`json_objects.Reported`; `files` are those that were written. UsageError where two folders
    cannot be compared."""
    check_comparable(build, against)
    rows = layer_rows(build)
    described: dict[str, Any] = {
        "model": build.name,
        "core": build.report["core"] if build.report else None,
        "board": board.name if board else None,
        "emulated": build.measured["emulated"] if build.measured else None,
        "budgets": [_budget(budget) for budget in budgets(build, board)],
        "totals": _totals(build, against),
        "times_limit": limit_of(rows)[1],
        "layers": [_layer(row) for row in rows],
        "realisations": weight_bytes_by_realisation(rows),
        "memory_plan": build.metadata["memory"]["plan"] if build.metadata else [],
        "files": [str(path) for path in files],
    }
    if against is not None:
        described["changed_layers"] = [_change(c) for c in changed_layers(build, against)]
    if build.front is not None:
        described["front"] = build.front
    if build.evaluation is not None:
        described["evaluation"] = build.evaluation
    return described


def _totals(build: Build, against: Build | None) -> list[dict[str, Any]]:
    if build.report is None:
        return []
    changes = totals(build, against or build)
    return [{"name": c.name, "own": c.own, "other": c.other if against else None} for c in changes]


def _budget(budget: Budget) -> dict[str, Any]:
    return {
        "name": budget.name,
        "used_bytes": budget.used_bytes,
        "room_bytes": budget.room_bytes,
        "shares": {share.name: share.size_bytes for share in budget.shares},
    }


def _layer(row: LayerRow) -> dict[str, Any]:
    derived = ("constants_bytes", "share", "cycles_per_mac", "times_limit")
    return {**row.layer, **{name: getattr(row, name) for name in derived}}


def _change(layer: LayerChange) -> dict[str, Any]:
    figures = {c.name: {"own": c.own, "other": c.other} for c in layer.changes}
    return {"name": layer.name, **figures}
