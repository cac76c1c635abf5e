"""What a build costs as a table for a pull request, in GitHub's Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from ..target import Board
from .budgets import budgets
from .compare import Change, LayerChange, changed_layers, check_comparable, totals
from .folder import Build
from .numbers import count, signed

_ESCAPES = str.maketrans({"\\": r"\\", "|": r"\|", "&": "&amp;", "<": "&lt;", "\n": " ", "\r": " "})
_LAYER_LIMIT = 100
"""Of the layers that differ as many are listed."""


def render_markdown(build: Build, board: Board | None = None, against: Build | None = None) -> str:
    """Totals, with differences where there is another build, and the layers that differ.

    UsageError where a folder holds no compiled model.
    """
    check_comparable(build, against or build)
    head = f"### {_cell(build.name)}"
    if build.measured is not None:
        head += f" on {_cell(build.measured['board'])}"
        head += ", emulated" if build.measured["emulated"] else ""
    parts = [head, _totals(build, against), _budgets(build, board)]
    if against is not None:
        parts.append(_layers(changed_layers(build, against)))
    return "\n\n".join(part for part in parts if part) + "\n"


def _totals(build: Build, against: Build | None) -> str:
    changes = totals(build, against or build)
    if against is None:
        return _table(["", "this build"], [[c.name, count(c.own)] for c in changes])
    rows = [[c.name, count(c.own), count(c.other), *_difference(c)] for c in changes]
    return _table(["", "this build", "before", "difference", "change"], rows)


def _difference(change: Change) -> list[str]:
    ratio = None if change.ratio is None else 100 * change.ratio
    return [signed(change.difference), signed(ratio, 1, " %")]


def _budgets(build: Build, board: Board | None) -> str:
    if board is None:
        return ""
    used = [
        f"{budget.used_bytes / budget.room_bytes:.1%} of its {budget.name}"
        for budget in budgets(build, board)
        if budget.room_bytes
    ]
    return f"{board.name}: {' and '.join(used)}."


def _layers(changed: Sequence[LayerChange]) -> str:
    if not changed:
        return "No layer differs."
    header = ["layer"]
    for change in changed[0].changes:
        header += [change.name.replace("_", " "), "difference"]
    rows = []
    for layer in changed[:_LAYER_LIMIT]:
        where = " (new)" if layer.other is None else " (gone)" if layer.own is None else ""
        cells = [f"{layer.name}{where}"]
        for change in layer.changes:
            cells += [count(change.own), signed(change.difference)]
        rows.append(cells)
    more = len(changed) - len(rows)
    note = f"\n\nand {more} more" if more else ""
    number = f"{len(changed)} layer{'' if len(changed) == 1 else 's'}"
    table = _table(header, rows)
    return f"<details><summary>{number} differ</summary>\n\n{table}{note}\n\n</details>"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(_cell(text) for text in line)} |" for line in lines)


def _cell(text: str) -> str:
    """A model's names may hold anything."""
    return text.translate(_ESCAPES)
