"""The verbs `bcnet calibrate` and `bcnet eval`: a composed model on labelled samples."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from .cli_completion import BOARD, DATA, MODEL
from .cli_options import FILE, thresholds_option
from .cli_progress import progress
from .cli_serve import farm_of, tracker_options
from .errors import UsageError
from .files import write_atomically

if TYPE_CHECKING:
    from .bcnet.evaluate import Evaluation, Row
    from .compat import IRModule

SWEEP, EVALUATION = "sweep.svg", "eval.json"
_DATA_HELP = "D.npz: x (N, ...) as the model takes it, or real numbers; y (N,)"


@click.command()
@click.argument("model", type=MODEL)
@click.option("--data", required=True, type=DATA, help=f"held out; {_DATA_HELP}")
@click.option("--accuracy", type=click.FloatRange(0, 100), help="wanted at least, in percent")
@click.option("--cycles", type=click.FloatRange(1), help="wanted at most, mean of an inference")
@click.option("--per-class", is_flag=True, help="a threshold for each class the fast net answers")
@click.option(
    "--board", type=BOARD, default="mps2-an386", show_default=True, help="cycles are modelled on"
)
@click.option("-o", "--output", type=FILE, help="JSON file for --thresholds; default: print only")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
def calibrate(
    model: Path,
    data: Path,
    accuracy: float | None,
    cycles: float | None,
    per_class: bool,
    board: str,
    output: Path | None,
    as_json: bool,
) -> None:
    """Choose thresholds for MODEL, a folder that `bcnet compose` made.

    Without --accuracy and --cycles: for the least product of wrong answers and mean cycles.
    """
    from .bcnet import calibrate as choose
    from .bcnet.answers import collect, read_labelled
    from .bcnet.evaluate import costs
    from .bcnet.sweep import sweep, sweep_by_class
    from .target import board_by_name

    if accuracy is not None and cycles is not None:
        raise UsageError("--accuracy and --cycles exclude each other")
    for option, wanted, works in (("--accuracy", accuracy, 92.5), ("--cycles", cycles, 250000)):
        # click's ranges let NaN through
        if wanted is not None and not math.isfinite(wanted):
            raise UsageError(f"{option} {wanted}: a number works: {works}")
    goal = choose.Goal(None if accuracy is None else accuracy / 100, cycles)
    chosen_board, module = board_by_name(board), _module(model)
    x, labels = read_labelled(data, module)
    with progress("both paths, on the board", hidden=as_json) as say:
        paths = costs(module, chosen_board).cycles
        say(f"{len(x):,} samples, on this computer")
        answers = collect(module, x, labels)
    points = sweep(answers, paths)
    if per_class:
        classes = answers.fast.shape[1]
        spread = [p.for_classes(classes) for p in points]
        points = [*spread, *sweep_by_class(answers, paths)]
    point = choose.calibrate(points, goal)
    text = json.dumps(list(point.thresholds))
    if output is not None:
        try:
            write_atomically(output, f"{text}\n".encode())
        except OSError as error:
            raise UsageError(f"{output}: {error.strerror}") from None
    if as_json:
        click.echo(json.dumps({**vars(point), "path_cycles": vars(paths)}))
        return
    Console(stderr=True).print(
        f"accuracy {point.accuracy:.2%}, {point.escalated:.1%} escalate, "
        f"{point.mean_cycles:,.0f} mean cycles of {paths.fast:,.0f} to {paths.accurate:,.0f}"
    )
    click.echo(output if output is not None else text)


@click.command("eval")
@click.argument("model", type=MODEL)
@click.option("--data", required=True, type=DATA, help=_DATA_HELP)
@click.option("--plain", type=FILE, help="an 8-bit net that was trained alone, to compare with")
@thresholds_option
@click.option(
    "--board", type=BOARD, default="mps2-an386", show_default=True, help="costs are measured on"
)
@tracker_options
@click.option("-o", "--output", type=FILE, help=f"folder for {EVALUATION} and {SWEEP}")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
def evaluate(
    model: Path,
    data: Path,
    plain: Path | None,
    thresholds: tuple[int, ...],
    board: str,
    tracker: str | None,
    key: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Measure MODEL, a folder that `bcnet compose` made: accuracy, escalation, cycles, sizes."""
    from .bcnet import evaluate as measure
    from .bcnet.answers import read_labelled
    from .compat import shape_of
    from .frontend import load
    from .target import board_by_name
    from .transform.composed import with_thresholds

    if output is not None and output.exists() and not output.is_dir():
        raise UsageError(f"{output}: is a file; eval writes a folder")
    chosen_board, module = board_by_name(board), _module(model)
    if thresholds:
        classes = shape_of(module["main"].body.body)[-1]
        if len(thresholds) not in (1, classes):
            raise UsageError(
                f"--thresholds: {len(thresholds)} numbers; 1 or {classes}, one a class, work"
            )
        module = with_thresholds(module, thresholds)
    x, labels = read_labelled(data, module)
    messages = Console(stderr=True)
    farm = farm_of(tracker, key, chosen_board, messages)
    with progress(f"{len(x):,} samples", hidden=as_json):
        other = None if plain is None else load(plain)
        elsewhere = farm.run if farm else None
        found = measure.evaluate(module, x, labels, chosen_board, other, elsewhere)
    described = {"board": board, "samples": len(x), **asdict(found)}
    if output is not None:
        _write(output, model.name, described)
    if as_json:
        click.echo(json.dumps(described))
        return
    Console(width=None if messages.is_terminal else 120).print(_table(found, len(x)))


def _module(folder: Path) -> IRModule:
    """The composed module of a folder."""
    from .session import load_folder
    from .transform.composed import policy_of

    if not folder.is_dir():
        raise UsageError(f"{folder}: no folder; `vq-cortexm bcnet compose` makes one")
    module = load_folder(folder)
    if policy_of(module) is None:
        raise UsageError(f"{folder}: one net alone; `vq-cortexm bcnet compose` makes one of two")
    return module


def _write(folder: Path, title: str, described: dict[str, Any]) -> None:
    from .bcnet.plot import draw
    from .report.svg import MatplotlibMissingError

    files = {EVALUATION: f"{json.dumps(described, indent=2)}\n".encode()}
    try:
        files[SWEEP] = draw(title, described)
    except MatplotlibMissingError as error:
        click.echo(str(error), err=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_atomically(folder / name, content)
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}") from None


def _table(found: Evaluation, samples: int) -> Table:
    title = f"{samples:,} samples; differences in points, with 95 % intervals"
    table = Table(title=title, box=box.SIMPLE, padding=(0, 0, 0, 1))
    table.add_column("model", no_wrap=True)
    has_energy = any(row.microjoules is not None for row in found.rows)
    headings = ["accuracy", "difference", "escalated", "mean cycles", "worst cycles"]
    headings += ["flash B", "RAM B", *(["uJ"] if has_energy else [])]
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in found.rows:
        table.add_row(row.name, *_cells(row, has_energy))
    return table


def _cells(row: Row, has_energy: bool) -> list[str]:
    a, d = row.accuracy, row.difference
    return [
        f"{a.mean:.2%}",
        f"{100 * d.mean:+.2f} [{100 * d.low:+.2f}, {100 * d.high:+.2f}]",
        f"{row.escalated:.1%}",
        f"{row.mean_cycles:,.0f}",
        f"{row.worst_cycles:,.0f}",
        f"{row.flash_bytes:,}",
        f"{row.ram_bytes:,}",
        *([f"{row.microjoules:,.0f}"] if has_energy and row.microjoules is not None else []),
    ]
