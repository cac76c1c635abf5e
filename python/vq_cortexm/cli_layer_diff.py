"""The verb `layer-diff`: a model's layers beside those of another runtime."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from .cli_completion import BOARD, MODEL
from .cli_options import FILE
from .cli_progress import progress
from .errors import UsageError

if TYPE_CHECKING:
    from .layer_diff.session import LayerDiff, Row

_SHOWN_NAMES = 8


@click.command("layer-diff")
@click.argument("model", type=MODEL)
@click.option(
    "--reference",
    help="litert, tflm, onnxruntime, qonnx, or FILE.npz with tensors by name; default: by the file",
)
@click.option("--input", "input_file", type=FILE, help="samples, .npy or .npz")
@click.option("--random", "count", type=click.IntRange(1), help="number of samples; default: 1")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option(
    "--rounding",
    type=click.Choice(["single", "double", "float"]),
    help="default: the one that equals the reference",
)
@click.option("--allow-float", is_flag=True, help="layers that are not quantized stay float32")
@click.option(
    "--board", type=BOARD, help="also compare the generated code there (host: this computer)"
)
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True, max=86_400), default=120.0)
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
def layer_diff(
    model: Path,
    reference: str | None,
    input_file: Path | None,
    count: int | None,
    seed: int,
    rounding: Any,
    allow_float: bool,
    board: str | None,
    timeout: float,
    as_json: bool,
) -> None:
    """Compare each layer of MODEL with what a reference computes, and show the first that differs;
    status 1 if one does. With --board the generated code is compared too."""
    from .layer_diff.session import Question
    from .layer_diff.session import layer_diff as compare
    from .target import board_by_name
    from .transform.fold_float import Floats

    if math.isnan(timeout):
        raise UsageError("--timeout is not a number of seconds")
    chosen = board_by_name(board) if board else None
    floats = Floats(layers=allow_float)
    question = Question(
        model, reference, rounding, floats, chosen, input_file, count, seed, timeout
    )
    with progress("reading", hidden=as_json) as say:
        result = compare(question, say)
    if as_json:
        click.echo(json.dumps(describe(model, result)))
    else:
        _print(result)
    if not result.equal:
        sys.exit(1)


def describe(model: Path, result: LayerDiff) -> dict[str, Any]:
    """`json_objects.LayerDiff`."""
    return {
        "model": str(model),
        "reference": result.reference,
        "rounding": result.rounding,
        "samples": result.samples,
        "equal": result.equal,
        "first": result.first.layer.name if result.first else None,
        "layers": [_described(row) for row in result.rows],
        "inside_layers": list(result.inside),
        "device": None if result.device is None else vars(result.device),
    }


def _described(row: Row) -> dict[str, Any]:
    layer, found = row.layer, row.difference
    first = found.first if found else None
    return {
        "name": layer.name,
        "op": layer.op,
        "tensor": layer.tensor or None,
        "shape": list(layer.shape),
        "elements": found.elements if found else None,
        "differing": found.differing if found else None,
        "largest_steps": found.largest_steps if found else None,
        "first": None if first is None else {**vars(first), "index": list(first.index)},
        "merged": row.merged,
        "constant_channels": row.constant_channels,
    }


def _print(result: LayerDiff) -> None:
    console = Console() if sys.stdout.isatty() else Console(width=140)
    console.print(_table(result))
    samples = f"{result.samples} sample{'' if result.samples == 1 else 's'}"
    console.print(
        f"{result.compared} of {len(result.rows)} layers compared with {result.reference}, "
        f"rounding {result.rounding}, {samples}"
    )
    if result.inside:
        shown = ", ".join(result.inside[:_SHOWN_NAMES])
        more = len(result.inside) - _SHOWN_NAMES
        console.print(
            f"inside layers, not compared: {shown}{f' and {more} more' if more > 0 else ''}",
            soft_wrap=True,
            markup=False,
        )
    for line in _verdict(result):
        console.print(line, soft_wrap=True, markup=False)


def _verdict(result: LayerDiff) -> list[str]:
    row, lines = result.first, []
    if row is None:
        lines.append("every layer is equal")
    else:
        found = row.difference
        assert found is not None and found.first is not None
        first = found.first
        lines.append(
            f"first layer that differs: {row.layer.name} ({row.layer.op}): {found.differing:,} of "
            f"{found.elements:,} elements, {_steps(found.largest_steps)}; in sample "
            f"{first.sample} at {list(first.index)} {first.own} here, {first.other} there"
        )
    device = result.device
    if device is not None and device.exact:
        lines.append(f"{device.board}: the generated code gives the same outputs")
    elif device is not None:
        where = f"first in layer {device.first}" if device.first else "though no single layer does"
        lines.append(f"{device.board}: the generated code gives OTHER outputs, {where}")
    return lines


def _steps(count: int) -> str:
    return f"at most {count} step{'' if count == 1 else 's'}"


def _table(result: LayerDiff) -> Table:
    table = Table(title="layers, here and there", box=box.SIMPLE, padding=(0, 0, 0, 1))
    table.add_column("layer", no_wrap=True)
    table.add_column("op", no_wrap=True)
    for heading in ("elements", "differ", "steps"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("in the build")
    for row in result.rows:
        found = row.difference
        cells = (
            ("-", "not in the reference", "-")
            if found is None
            else (f"{found.elements:,}", f"{found.differing:,}", str(found.largest_steps))
        )
        table.add_row(row.layer.name, row.layer.op, *cells, _built(row))
    return table


def _built(row: Row) -> str:
    if row.merged:
        return "merged or removed"
    if row.constant_channels:
        return f"without {row.constant_channels} constant channels"
    return ""
