"""The verb `bcnet`: two nets that cooperate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from .cli_bcnet_data import calibrate, evaluate
from .cli_options import (
    FILE,
    db_option,
    json_option,
    read_json,
    target_options,
    thresholds_option,
    write_model,
)
from .cli_progress import progress
from .errors import UsageError

_FACTORS = {"fast", "accurate"}
_OUTPUT = {"scale", "zero_point"}


@click.group()
def bcnet() -> None:
    """Two nets: a fast one, and an accurate one that is asked where the first is unsure."""


@bcnet.command()
@click.argument("fast", type=FILE)
@click.argument("accurate", type=FILE)
@click.option("-o", "--output", required=True, type=FILE, help="folder for the model of both")
@click.option(
    "--policy",
    type=click.Choice(["margin", "maximum", "entropy"]),
    default="margin",
    show_default=True,
    help="what says how sure the fast net is",
)
@thresholds_option
@click.option(
    "--combine",
    type=FILE,
    help='JSON: {"fast": F, "accurate": F} of the logits; optionally scale and zero_point of '
    "their sum; default: the accurate net's answer alone",
)
@db_option
@json_option
@target_options
def compose(
    fast: Path,
    accurate: Path,
    output: Path,
    policy: Any,
    thresholds: tuple[int, ...],
    combine: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Compile FAST and ACCURATE, model files or compiled folders, to one model.

    Without --thresholds the accurate net is always asked.
    """
    from .bcnet import Policy
    from .session import compose_models

    if output.exists() and not output.is_dir():
        raise UsageError(f"{output}: is a file; compose writes a folder")
    how: dict[str, Any] = {"thresholds": thresholds} if thresholds else {}
    if combine is not None:
        how |= _combination(combine)
    options["name"] = options["name"] or output.resolve().name
    with progress(f"compiling {output.name}", hidden=as_json):
        compiled, board = compose_models(fast, accurate, Policy(policy, **how), **options)
    write_model(compiled, board, output, as_json)


def _combination(path: Path) -> dict[str, Any]:
    """The policy's fields in a file of `--combine`."""
    given = read_json(path, "--combine")
    keys = set(given) if isinstance(given, dict) else set()
    is_complete = keys in (_FACTORS, _FACTORS | _OUTPUT)
    if not is_complete or not all(_is_number(n) for n in given.values()):
        raise UsageError(
            f'--combine {path}: {{"fast": 0.5, "accurate": 1}} works, and with both "scale" and '
            '"zero_point"'
        )
    output = None
    if keys & _OUTPUT:
        if type(given["zero_point"]) is not int:
            raise UsageError(f"--combine {path}: zero_point must be a whole number")
        output = (float(given["scale"]), given["zero_point"])
    return {
        "fast_factor": float(given["fast"]),
        "accurate_factor": float(given["accurate"]),
        "output": output,
    }


def _is_number(value: Any) -> bool:
    """Whether it is one that a float can hold; not NaN, which JSON has no word for but Python."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


bcnet.add_command(calibrate)
bcnet.add_command(evaluate)
