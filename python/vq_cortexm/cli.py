"""The command `vq-cortexm`: results to stdout, messages to stderr, statuses as in `errors`."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from ._version import __version__
from .cli_bcnet import bcnet
from .cli_completion import MODEL, completion
from .cli_fit import fit
from .cli_layer_diff import layer_diff
from .cli_main import run_command
from .cli_micro import micro
from .cli_options import (
    FILE,
    build_options,
    json_option,
    link_options,
    take_link_options,
    thresholds_option,
    write_folder,
    write_model,
)
from .cli_progress import progress
from .cli_quantize import quantize
from .cli_report import report
from .cli_serve import serve
from .cli_tune import tune
from .errors import UsageError

if TYPE_CHECKING:
    from .report.gate import Gate
    from .run_result import RunResult

_MODEL = click.argument("model", type=MODEL)
_SECONDS = click.FloatRange(min=0, min_open=True, max=86_400)


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where the samples come from, and how the result is printed."""
    for option in reversed(
        [
            click.option(
                *("--input", "input_file"),
                type=click.Path(path_type=Path),
                help="samples, .npy or .npz; default: one random sample",
            ),
            click.option("--random", "count", type=click.IntRange(1), help="number of samples"),
            click.option("--seed", type=click.IntRange(0), default=1, show_default=True),
            click.option("--timeout", type=_SECONDS, default=120, help="for the emulator"),
            click.option("--json", "as_json", is_flag=True, help="one JSON object"),
        ]
    ):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vq-cortexm")
@click.option("--debug", is_flag=True, help="tracebacks instead of one-line errors")
@click.pass_context
def cli(context: click.Context, debug: bool) -> None:
    """Quantized CNNs to Cortex-M firmware."""
    context.obj = {"debug": debug}


@cli.command("compile")
@_MODEL
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
@click.option(
    "--output-format",
    type=click.Choice(["folder", "mlf"]),
    default="folder",
    help="mlf: a tar of the Model Library Format, for `micro create-project`",
)
@json_option
@build_options
def compile_(model: Path, output: Path, output_format: str, as_json: bool, **options: Any) -> None:
    """Write the C library, metadata and report of MODEL; with --board also firmware.elf."""
    from .report.json import describe_compiled
    from .session import compile_model

    with progress(f"compiling {model.name}", hidden=as_json):
        compiled, board = compile_model(model, **options)
    if output_format == "folder":
        write_model(compiled, board, output, as_json)
        return
    if board is not None:
        compiled.check_budget(board)
    compiled.export_model_library_format(output)
    described = describe_compiled(compiled, board, output)
    click.echo(json.dumps(described) if as_json else output)


@cli.command()
@_MODEL
@run_options
@click.option("--check", is_flag=True, help="compare with the exact reference; status 1 if not")
@click.option("--poison", is_flag=True, help="debug build: check each layer's use of memory")
@thresholds_option
@link_options
@build_options
def run(
    model: Path, check: bool, poison: bool, thresholds: tuple[int, ...], **options: Any
) -> None:
    """Compile MODEL and run it on a board: the emulator, this computer (--board host), or with
    --port a real one."""
    from .compiled_model import CompiledModel

    how: dict[str, Any] = {"check": check, "poison": poison, "thresholds": thresholds}
    _execute(model, CompiledModel.run, options, with_outputs=True, **how)


@cli.command()
@_MODEL
@run_options
@click.option("--branch-refill", type=click.IntRange(1, 3), default=2, help="cycles; default: 2")
@click.option("--wait-states", type=click.IntRange(0, 15), default=0, help="of flash; default: 0")
@click.option("-o", "--output", type=FILE, help="also what compile writes, with these figures")
@click.option("--against", type=FILE, help="an earlier report; status 1 if figures grew beyond")
@click.option("--max-regress", default="0%", show_default=True, help="what they may grow by")
@link_options
@build_options
def profile(
    model: Path,
    branch_refill: int,
    wait_states: int,
    output: Path | None,
    against: Path | None,
    max_regress: str,
    **options: Any,
) -> None:
    """Instructions, modelled cycles, flash and RAM of MODEL, layer by layer. Of two nets every
    sample takes both paths; the figures are of the accurate one, which runs all layers."""
    from .micro.cycle_model import Timing
    from .report.gate import open_gate
    from .session import profile_paths

    how: dict[str, Any] = {"output": output, "timing": Timing(branch_refill, wait_states)}
    how["gate"] = open_gate(against, max_regress) if against else None
    _execute(model, profile_paths, options, with_outputs=False, **how)


@cli.command("export-int8")
@_MODEL
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
@json_option
@build_options
def export_int8_(
    model: Path,
    output: Path,
    as_json: bool,
    bits: int | None,
    levels: int | None,
    vq: Path | None,
    **_: Any,
) -> None:
    """Write the plain 8-bit model that computes what MODEL built with these --bits, --levels or
    --vq computes; the other build options change nothing in the file."""
    from .export import export_int8

    with progress(f"reading {model.name}", hidden=as_json):
        written = export_int8(model, output, bits=bits, levels=levels, vq=vq)
    described = {"output": str(written), "bytes": written.stat().st_size}
    click.echo(json.dumps(described) if as_json else written)


@cli.command()
@click.option("--json", "as_json", is_flag=True)
def boards(as_json: bool) -> None:
    """The boards that are known, with their cores and memories."""
    from .report.tables import boards_table, describe_boards

    if as_json:
        click.echo(json.dumps(describe_boards()))
    else:
        _console().print(boards_table())


@cli.command()
@click.option("--json", "as_json", is_flag=True)
def doctor(as_json: bool) -> None:
    """Check this computer: tools, packages and room, what each is for and how to get it."""
    from .doctor import diagnose, diagnosis_table, is_well

    findings = diagnose()
    if as_json:
        click.echo(json.dumps([vars(finding) for finding in findings]))
    else:
        _console().print(diagnosis_table(findings))
    if not is_well(findings):
        sys.exit(3)


cli.add_command(bcnet)
cli.add_command(completion)
cli.add_command(layer_diff)
cli.add_command(quantize)
cli.add_command(report)
cli.add_command(fit)
cli.add_command(tune)
cli.add_command(micro)
cli.add_command(serve)


def _execute(
    model: Path,
    run_model: Callable[..., RunResult],
    options: dict[str, Any],
    *,
    with_outputs: bool,
    output: Path | None = None,
    gate: Gate | None = None,
    **how: Any,
) -> None:
    from .report.gate import check_same, judge, verdict_lines
    from .report.json import describe_measured, describe_run
    from .report.tables import print_run
    from .session import choose_samples, compile_model
    from .target import board_by_name, check_runs_here

    taken = {key: options.pop(key) for key in ("input_file", "count", "seed", "timeout", "as_json")}
    link = take_link_options(options)
    if math.isnan(taken["timeout"]):
        raise UsageError("--timeout is not a number of seconds")
    options["board"] = options["board"] or "mps2-an386"
    if link is None:
        check_runs_here(board_by_name(options["board"]))
    with progress(f"compiling {model.name}", hidden=taken["as_json"]):
        compiled, board = compile_model(model, **options)
    assert board is not None
    if gate is not None:
        check_same(gate, compiled.name, board.name, vars(how["timing"]))
    samples = choose_samples(compiled, taken["input_file"], taken["count"], taken["seed"])
    if link is not None:
        from .micro.link_runner import run_over_link
        from .micro.model_info import model_info

        info = model_info(compiled.metadata)
        how["elsewhere"] = lambda job: run_over_link(job, board, info, link)
    with progress(f"{len(samples):,} inferences on {board.name}", hidden=taken["as_json"]):
        result = run_model(compiled, samples, board, timeout_seconds=taken["timeout"], **how)
    described = describe_run(compiled, result, with_outputs)
    if "timing" in how:
        emulated = board.emulation == "qemu" and (link is None or not link.port)
        described = describe_measured(described, how["timing"], emulated=emulated)
    if output is not None:
        write_folder(compiled, board, output, described)
    verdict = None if gate is None else judge(gate, described)
    if taken["as_json"]:
        regression = {} if verdict is None else {"regression": verdict.describe()}
        click.echo(json.dumps({**described, **regression}))
    else:
        print_run(compiled, result, _console())
        for line in verdict_lines(verdict) if verdict else ():
            click.echo(line)
    if result.bit_exact is False or (verdict is not None and verdict.exceeded):
        sys.exit(1)


def _console() -> Console:
    """As wide as the terminal; wide enough for every table where there is none."""
    return Console() if sys.stdout.isatty() else Console(width=140)


def main() -> None:
    """Entry point: one line and a status for everything that can go wrong."""
    run_command(cli)
