"""The verb `tune`: schedules for the layers of a model, measured in the emulator."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from .cli_completion import MODEL
from .cli_options import FILE, model_options
from .cli_serve import farm_of, tracker_options
from .errors import NoDeviceError

if TYPE_CHECKING:
    from .tune.session import Progress as Kind


@click.command()
@click.argument("model", type=MODEL)
@click.option("--db", required=True, type=FILE, help="file of results; there: goes on with it")
@click.option("--trials", type=click.IntRange(1), default=2000, show_default=True)
@click.option(
    "--minimize", default="cycles", show_default=True, help="or flash, ram, a sum of them"
)
@click.option("--warm-start", type=FILE, help="another file of results, used as if measured here")
@click.option("--jobs", type=click.IntRange(1), help="emulators at a time; default: one a core")
@tracker_options
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
@model_options
def tune(
    model: Path,
    db: Path,
    trials: int,
    minimize: str,
    warm_start: Path | None,
    jobs: int | None,
    tracker: str | None,
    key: str | None,
    seed: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure how else the kernels of MODEL can be made; `--db` of other verbs takes the best.

    `--minimize` takes cycles, flash, ram, or a weighted sum: "cycles+20*flash". With `--tracker`
    the servers of a farm measure, by default as many at a time as there are.
    """
    from .session import compile_model
    from .target import board_by_name
    from .tune.database import load_database
    from .tune.measure import as_jobs
    from .tune.objective import parse_objective
    from .tune.session import TuneOptions, tune_module

    aim = parse_objective(minimize)
    options["board"] = options["board"] or "mps2-an386"
    messages = Console(stderr=True)
    farm = farm_of(tracker, key, board_by_name(options["board"]), messages)
    at_a_time = jobs or (len(farm.servers()) if farm else os.cpu_count()) or 1
    how = TuneOptions(trials, aim, seed, at_a_time)
    other = load_database(warm_start) if warm_start else None
    database = load_database(db, create=True)
    compiled, board = compile_model(model, **options)
    assert board is not None
    if other:
        database.take_over(other)
    run = as_jobs(farm.run) if farm else None
    try:
        with _Bars(messages, hidden=as_json) as bars:
            kinds = tune_module(compiled.module, board, database, how, bars.show, run)
    except NoDeviceError as error:
        raise NoDeviceError(f"{error}; another run goes on with what {db} has") from None
    if as_json:
        click.echo(json.dumps({"db": str(db), "layers": [_described(kind) for kind in kinds]}))
        return
    Console(width=None if messages.is_terminal else 140).print(_table(kinds))
    click.echo(db)


class _Bars:
    """A bar for each kind of layer, with the best so far."""

    def __init__(self, console: Console, hidden: bool) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(20),
            TextColumn("{task.fields[best]}"),
        )
        is_off = hidden or not console.is_terminal
        self.progress = Progress(*columns, console=console, disable=is_off)
        self.bars: dict[str, TaskID] = {}

    def __enter__(self) -> _Bars:
        self.progress.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.progress.__exit__(*error)

    def show(self, kinds: Any) -> None:
        """The state of all."""
        for kind in kinds:
            if kind.name not in self.bars:
                self.bars[kind.name] = self.progress.add_task(kind.name, total=kind.points, best="")
            best = f"{_cycles(kind.best):,} cycles" if kind.best else ""
            self.progress.update(self.bars[kind.name], completed=kind.measured, best=best)


def _table(kinds: list[Kind]) -> Table:
    table = Table("layer", box=box.SIMPLE, padding=(0, 0, 0, 1))
    for heading in ("alike", "measured", "failed", "own cycles", "best", "won"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("schedule")
    for kind in kinds:
        said = _described(kind)
        own, best = said["own_cycles"], said["best_cycles"]
        won = "-" if own is None or best is None else f"{1 - best / own:.1%}"
        measured = f"{kind.measured}/{kind.points}"
        shown = ["-" if n is None else f"{n:,}" for n in (own, best)]
        schedule = ", ".join(f"{name} {value}" for name, value in said["schedule"].items())
        table.add_row(kind.name, str(kind.alike), measured, str(kind.failed), *shown, won, schedule)
    return table


def _described(kind: Kind) -> dict[str, Any]:
    from .tune.image import Cost

    return {
        "name": kind.name,
        "alike": kind.alike,
        "points": kind.points,
        "measured": kind.measured,
        "failed": kind.failed,
        "own_cycles": _count(kind.own) if isinstance(kind.own, Cost) else None,
        "best_cycles": _cycles(kind.best) if kind.best else None,
        "schedule": dict(kind.best.schedule) if kind.best else {},
    }


def _cycles(record: Any) -> int:
    return _count(record.outcome)


def _count(cost: Any) -> int:
    """Cycles; instructions where none are modelled."""
    return int(cost.cycles if cost.cycles is not None else cost.instructions)
