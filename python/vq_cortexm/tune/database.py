"""What was measured: a file of JSON lines, to which every result is appended as it comes.

    {"task": T, "layer": {...}}                                        a layer, once
    {"task": T, "compiler": C, "schedule": {...}, "cycles": ..., "instructions": ...,
     "flash_bytes": ..., "ram_bytes": ...}                             a schedule of it
    {"task": T, "compiler": C, "schedule": {...}, "failure": "..."}    one that is not usable

Of the schedule that a kernel has by itself a line says "own": true.

T is a digest of the layer's facts (`task.describe`); C names this package's version, the C
compiler's, and the board where that is hardware (`session.measured_by`). A line that is cut off,
since a run was interrupted, is left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import Any

from ..errors import UsageError
from ..files import write_atomically
from ..kernels.knobs import Schedule
from .image import Cost
from .measure import Failure, Outcome


@dataclass(frozen=True)
class Record:
    """A schedule of a layer and what came of it."""

    task: str
    compiler: str
    schedule: Schedule
    outcome: Outcome
    is_own: bool = False
    """Whether the kernel has it by itself."""


_Point = tuple[str, tuple[tuple[str, Any], ...]]
"""A compiler and a schedule."""


@dataclass
class Database:
    """Records by task; with a `path` they are kept in that file too."""

    path: Path | None = None
    layers: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Task → the facts of its layer."""
    records: dict[str, dict[_Point, Record]] = field(default_factory=dict)

    def add(self, layer: Mapping[str, Any], record: Record) -> None:
        """Keeps a record, in the place of one for the same schedule and compiler."""
        lines = []
        if record.task not in self.layers:
            lines.append({"task": record.task, "layer": layer})
        lines.append(_to_json(record))
        self._keep(layer, record)
        if self.path is not None:
            text = "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines)
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("a", encoding="ascii") as file:
                    file.write(text)
            except OSError as error:
                raise UsageError(f"{self.path}: {error.strerror}") from None

    def take_over(self, other: Database) -> None:
        """Adds what the other knows and this one does not, by the same compiler where this one
        knows a task at all."""
        for task, points in other.records.items():
            known = dict(self.records.get(task, {}))
            compilers = {compiler for compiler, _ in known} or {c for c, _ in points}
            for point, record in points.items():
                if point not in known and record.compiler in compilers:
                    self.add(other.layers[task], record)

    def find(self, task: str, compiler: str, schedule: Schedule) -> Outcome | None:
        """What came of a schedule."""
        record = self.records.get(task, {}).get(_point(compiler, schedule))
        return record.outcome if record else None

    def known(self, task: str) -> Iterator[Record]:
        """All records of a task that have a cost, those of the last compiler that measured it."""
        records = list(self.records.get(task, {}).values())
        compiler = records[-1].compiler if records else None
        for record in records:
            if record.compiler == compiler and isinstance(record.outcome, Cost):
                yield record

    def _keep(self, layer: Mapping[str, Any], record: Record) -> None:
        self.layers.setdefault(record.task, layer)
        points = self.records.setdefault(record.task, {})
        points[_point(record.compiler, record.schedule)] = record


def load_database(path: Path, *, create: bool = False) -> Database:
    """The database of a file. UsageError: it is none, or is not there and is not to be created.
    With `create` a last line that is cut off is removed; else the file stays as it is."""
    database = Database(path)
    if not path.exists() and create:
        return database
    try:
        lines = path.read_text(encoding="ascii").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "no text file"
        raise UsageError(f"{path}: {said}; a file that `vq-cortexm tune --db` made works") from None
    for number, line in enumerate(lines, 1):
        if _is_cut_off(line):
            break
        try:
            _read(json.loads(line), database)
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path}, line {number}: not a record of tuning") from error
    if create and lines and _is_cut_off(lines[-1]):
        # what was cut off must not run into what is added
        write_atomically(path, "".join(lines[:-1]).encode())
    return database


def _is_cut_off(line: str) -> bool:
    """Whether it is the beginning of a record that an interrupted run left."""
    return line.startswith('{"') and not line.endswith("\n")


def pareto(records: Iterable[Record]) -> list[Record]:
    """Those that no other beats in cycles, flash and RAM; by cycles."""
    front: list[Record] = []
    for record in sorted(records, key=lambda one: figures(one.outcome)):
        if not any(_beats(other, record) for other in front):
            front.append(record)
    return front


def _beats(a: Record, b: Record) -> bool:
    """Whether it is as good in everything."""
    pairs = zip(figures(a.outcome), figures(b.outcome), strict=True)
    return all(one <= other for one, other in pairs)


def figures(outcome: Outcome) -> tuple[float, ...]:
    """Cycles (instructions where none are modelled), flash and RAM; failures are infinite."""
    if isinstance(outcome, Failure):
        return (math.inf,) * 3
    time = outcome.cycles or outcome.instructions or math.inf
    return (time, outcome.flash_bytes, outcome.ram_bytes)


def _point(compiler: str, schedule: Schedule) -> _Point:
    return compiler, tuple(sorted(schedule.items()))


def _to_json(record: Record) -> dict[str, Any]:
    outcome = record.outcome
    said = vars(outcome) if isinstance(outcome, Cost) else {"failure": outcome.reason}
    own = {"own": True} if record.is_own else {}
    schedule = dict(record.schedule)
    return {"task": record.task, "compiler": record.compiler, "schedule": schedule, **said, **own}


def _read(line: Any, database: Database) -> None:
    """Keeps what a line says. ValueError, KeyError or TypeError: it is none of these."""
    _check(line, dict)
    task = _check(line.pop("task"), str)
    if "layer" in line:
        database.layers[task] = _check(line["layer"], dict)
        return
    compiler, schedule = _check(line.pop("compiler"), str), _check(line.pop("schedule"), dict)
    for value in schedule.values():
        _check(value, int, str)
    is_own = _check(line.pop("own", False), bool)
    if "failure" in line:
        outcome: Outcome = Failure(_check(line["failure"], str))
    else:
        outcome = Cost(**line)
        for figure in (outcome.cycles, outcome.instructions):
            _check(figure, int, NoneType)
        for figure in (outcome.flash_bytes, outcome.ram_bytes):
            _check(figure, int)
    database._keep(database.layers[task], Record(task, compiler, schedule, outcome, is_own))


def _check(value: Any, *types: type) -> Any:
    """The value, if it is of one of these types."""
    if not isinstance(value, types):
        raise TypeError(f"{value!r} is none of {types}")
    return value
