"""The verb `fit`: levels for every layer under budgets."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from .cli_completion import BOARD, DATA, MODEL
from .cli_progress import progress
from .cli_quantize import parse_numbers
from .errors import UsageError

if TYPE_CHECKING:
    from .fit import Fit
    from .fit.model import FittedModel

_FILE = click.Path(path_type=Path)
_UNITS = {"": 1, "K": 1000, "M": 1_000_000, "KI": 1024, "MI": 1 << 20}


def _amount(_context: click.Context, option: click.Parameter, text: str | None) -> int | None:
    """A number with a unit behind it: 64K is 64,000, 64Ki is 65,536, 1.5M is 1,500,000."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,40}(?:\.\d{1,40})?)([KM]I?)?", text.strip().upper())
    # a float holds no more than 53 bits
    amount = int(Fraction(match[1]) * _UNITS[match[2] or ""]) if match else 0
    if not 1 <= amount < 1 << 63:
        raise UsageError(f"--{option.name} {text!r}: 65536, 64K (64,000) or 64Ki (65,536) work")
    return amount


@click.command()
@click.argument("model", type=MODEL)
@click.option("--data", required=True, type=DATA, help="D.npz: x (samples first), optionally y")
@click.option("-o", "--output", required=True, type=_FILE, help="folder for model and front")
@click.option("--flash", callback=_amount, help="bytes of code and constants, e.g. 64K or 64Ki")
@click.option("--ram", callback=_amount, help="bytes of the arena and static data")
@click.option("--cycles", callback=_amount, help="of one inference, e.g. 5M")
@click.option("--weights", callback=_amount, help="bytes of weights, as they are stored")
@click.option(
    "--board", type=BOARD, default="mps2-an386", show_default=True, help="costs are measured on"
)
@click.option("--rounding", type=click.Choice(["single", "double", "float"]), default="single")
@click.option("--verify", type=_FILE, help="held-out D.npz; default: what is left of --data")
@click.option("--verify-samples", type=click.IntRange(1), help="at most; default: 2000")
@click.option("--scale", default="1", help="(x - mean) * scale is the input; S or one a channel")
@click.option("--mean", default="0", help="M or one a channel: M1,M2,M3")
@click.option("--samples", type=click.IntRange(1), help="that layers are fitted to; default: 1024")
@click.option("--candidates", help="levels to choose among, e.g. 16,32,256")
@click.option("--points", type=click.IntRange(2, 100), help="budgets of the front; default: 8")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
def fit(
    model: Path,
    data: Path,
    output: Path,
    flash: int | None,
    ram: int | None,
    cycles: int | None,
    weights: int | None,
    verify: Path | None,
    scale: str,
    mean: str,
    candidates: str | None,
    as_json: bool,
    **others: Any,
) -> None:
    """Choose levels for the layers of MODEL, a float or int8 .onnx or .tflite file."""
    from .fit import Budgets, FitOptions, fit_file
    from .fit.files import FRONT, describe, write

    if output.exists() and not output.is_dir():
        raise UsageError(f"{output}: is a file; fit writes a folder")
    renamed = {"board": "board", "rounding": "rounding", "samples": "samples", "points": "points"}
    renamed |= {"verify_samples": "verified"}
    given = {new: others[old] for old, new in renamed.items() if others[old] is not None}
    if candidates is not None:
        given["levels"] = _levels(candidates)
    options = FitOptions(
        budgets=Budgets(flash, ram, cycles, weights),
        scale=parse_numbers("--scale", scale),
        mean=parse_numbers("--mean", mean),
        held_out=verify,
        **given,
    )
    messages = Console(stderr=True)
    with progress("reading", hidden=as_json) as say:
        found = fit_file(model, data, options, say)
    reason = write(found, output)
    if reason:
        click.echo(reason, err=True)
    if as_json:
        click.echo(json.dumps(describe(found)))
        return
    Console(width=None if messages.is_terminal else 120).print(_table(found))
    messages.print(_layers(found))
    click.echo(output / FRONT)


def _levels(text: str) -> tuple[int, ...]:
    try:
        levels = tuple(int(part) for part in text.split(","))
    except ValueError:
        levels = ()
    if not levels or not all(2 <= n <= 256 for n in levels):
        raise UsageError(f"--candidates {text!r}: whole numbers from 2 to 256 work: 16,32,256")
    return levels


def _table(found: Fit) -> Table:
    title = f"models, tried on {found.verified:,} held-out samples"
    table = Table("model", title=title, box=box.SIMPLE, padding=(0, 0, 0, 1))
    headings = ["accuracy", "agreement", "weights B", "flash B", "RAM B", "cycles", "front"]
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    pairs = [("chosen", found.chosen), *((str(i + 1), p) for i, p in enumerate(found.front))]
    table.add_row("8 bits", *_cells(found, found.eight_bit))
    for name, pair in pairs:
        table.add_row(f"{name}: fewer levels", *_cells(found, pair.nary))
        if pair.pruned is not None:
            table.add_row(f"{name}: fewer channels", *_cells(found, pair.pruned))
    return table


def _cells(found: Fit, model: FittedModel) -> list[str]:
    figures = model.figures
    accuracy = "-" if figures.accuracy is None else f"{figures.accuracy:.2%}"
    sizes = (figures.weight_bytes, figures.flash_bytes, figures.ram_bytes)
    cycles = "-" if figures.cycles is None else f"{figures.cycles:,}"
    front = "yes" if found.is_on_front(model) else ""
    return [accuracy, f"{figures.agreement:.2%}", *(f"{n:,}" for n in sizes), cycles, front]


def _layers(found: Fit) -> Table:
    table = Table("layer", title="the chosen model", box=box.SIMPLE, padding=(0, 0, 0, 1))
    for heading in ("levels", "realisation", "weights B", "flash B", "cycles"):
        table.add_column(heading, justify="right")
    chosen = found.chosen.nary
    levels = {candidate.layer: candidate.levels for candidate in chosen.plan.layers}
    for layer in chosen.layers:
        if layer.name in levels:
            cycles = "-" if layer.cycles is None else f"{layer.cycles:,}"
            sizes = (f"{layer.weight_bytes:,}", f"{layer.flash:,}")
            table.add_row(layer.name, str(levels[layer.name]), layer.realisation, *sizes, cycles)
    return table
