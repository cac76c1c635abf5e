"""The verb `quantize`: a float model and data to an ONNX QDQ file, a binary net to QONNX."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich import box
from rich.console import Console
from rich.table import Table

from .cli_completion import DATA, JSON, MODEL
from .cli_progress import progress
from .errors import UsageError
from .files import write_atomically

if TYPE_CHECKING:
    from .quantize import QuantizedModel

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("model", type=MODEL)
@click.option("--data", required=True, type=DATA, help="D.npz: x (samples first), optionally y")
@click.option("-o", "--output", required=True, type=_FILE, help="M.onnx")
@click.option("--bits", type=click.IntRange(1, 8), help="of all weights; default: 8")
@click.option("--levels", type=click.IntRange(2, 256), help="of all weights")
@click.option("--vq", type=JSON, help="JSON: bits or levels, layer by layer")
@click.option("--scale", default="1", help="(x - mean) * scale is the input; S or one a channel")
@click.option("--mean", default="0", help="M or one a channel: M1,M2,M3")
@click.option("--samples", type=click.IntRange(1), help="of x; default: 1024; binary nets: <= 64")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
def quantize(
    model: Path,
    data: Path,
    output: Path,
    bits: int | None,
    levels: int | None,
    vq: Path | None,
    scale: str,
    mean: str,
    samples: int | None,
    as_json: bool,
) -> None:
    """Quantize MODEL, a float or int8 .onnx or .tflite file, after its training.

    A binary net in float ONNX (Larq's, by tf2onnx) stays binary; its other layers get 8 bits, and
    QONNX is written.
    """
    from .quantize import QuantizeOptions, quantize_file
    from .transform.vq_config import VirtualQuantizeConfig, requested_quantization

    if output.suffix != ".onnx":
        raise UsageError(f"{output}: what is written is ONNX; give it the ending .onnx")
    options = QuantizeOptions(
        requested_quantization(bits, levels, vq) or VirtualQuantizeConfig(),
        parse_numbers("--scale", scale),
        parse_numbers("--mean", mean),
        samples or QuantizeOptions.samples,
    )
    messages = Console(stderr=True)
    with progress("reading", hidden=as_json) as say:
        result = quantize_file(model, data, options, lambda name: say(f"done: {name}"))
    try:
        write_atomically(output, result.proto.SerializeToString(deterministic=True))
    except OSError as error:
        raise UsageError(f"{output}: {error.strerror}") from None
    if as_json:
        click.echo(json.dumps(_described(output, result)))
        return
    messages.print(_table(result))
    if result.accuracy is not None and result.float_accuracy is not None:
        messages.print(
            f"right on the calibration data: {result.accuracy:.2%}, "
            f"the float model {result.float_accuracy:.2%}"
        )
    click.echo(output)


def parse_numbers(option: str, text: str) -> tuple[float, ...]:
    """The numbers of an option, M or M1,M2,M3; UsageError for anything else."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{option} {text!r}: a number works, or one a channel: 1,2,3") from None


def _described(output: Path, result: QuantizedModel) -> dict[str, object]:
    return {
        "output": str(output),
        "samples": result.samples,
        "float_accuracy": result.float_accuracy,
        "accuracy": result.accuracy,
        "layers": [asdict(layer) for layer in result.layers],
    }


def _table(result: QuantizedModel) -> Table:
    title = f"weights, fitted to {result.samples} samples"
    table = Table("layer", "op", title=title, box=box.SIMPLE, padding=(0, 0, 0, 1))
    for heading in ("weights", "levels"):
        table.add_column(heading, justify="right")
    for layer in result.layers:
        table.add_row(layer.name, layer.op, f"{layer.weights:,}", str(layer.levels))
    return table
