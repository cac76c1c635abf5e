"""Options that several verbs of the command line share, and what `compile` and `compose` write."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from .cli_completion import BOARD, JSON, TARGET
from .cli_progress import progress
from .errors import UsageError
from .files import write_atomically

if TYPE_CHECKING:
    from .compiled_model import CompiledModel
    from .micro.link_runner import LinkOptions
    from .target import Board

FILE = click.Path(path_type=Path)
_OBJECTIVES = click.Choice(["size", "balanced", "speed"])
_BAUD = click.IntRange(1200, 4_000_000)
_ROUNDINGS = click.Choice(["single", "double", "float"])
_Command = Callable[..., Any]


def build_options(command: _Command) -> _Command:
    """The options that every verb which builds a model takes."""
    return db_option(model_options(command))


def db_option(command: _Command) -> _Command:
    """`--db` of what is built."""
    return click.option("--db", type=FILE, help="schedules that `tune` measured")(command)


def model_options(command: _Command) -> _Command:
    """Those of them that `tune` takes too."""
    levels = [
        click.option("--bits", type=click.IntRange(1, 8), help="of all weights; default: 8"),
        click.option("--levels", type=click.IntRange(2, 256), help="of all weights"),
        click.option("--vq", type=JSON, help="JSON: bits or levels, layer by layer"),
    ]
    floats = [
        click.option("--float-io", is_flag=True, help="float32 inputs and outputs stay float32"),
        click.option(
            "--allow-float", is_flag=True, help="layers that are not quantized stay float32"
        ),
    ]
    return _with([*levels, *floats], target_options(command))


def target_options(command: _Command) -> _Command:
    """Those of them that do not change the model."""
    return _with(
        [
            click.option(
                "--target", type=TARGET, help="core or board tag, e.g. vq-cortexm/cortex-m3"
            ),
            click.option("--board", type=BOARD, help="see `vq-cortexm boards`"),
            click.option("--objective", type=_OBJECTIVES, help="of storing weights of few levels"),
            click.option("--rounding", type=_ROUNDINGS, help="default: single"),
            click.option("--io", type=click.Choice(["arena", "caller"]), default="arena"),
            click.option("--name", help="C identifier of the model; default: the file's name"),
        ],
        command,
    )


def link_options(command: _Command) -> _Command:
    """How a board is reached over its serial link."""
    link = click.option("--link", is_flag=True, help="over the board's UART, emulated too")
    more = [
        click.option("--no-flash", is_flag=True, help="the firmware is on the board already"),
        click.option("--record", type=FILE, help="write all that goes over the link to a file"),
    ]
    return link(port_options(_with(more, command)))


def port_options(command: _Command) -> _Command:
    """Where real hardware is, and how its firmware gets there."""
    return _with(
        [
            click.option("--port", default="", help="serial port of a real board"),
            click.option("--baud", type=_BAUD, help="of its link; default: 115200"),
            click.option("--flash-tool", type=click.Choice(["pyocd", "openocd"])),
            click.option("--serial-number", default="", help="of the debug probe, among several"),
        ],
        command,
    )


def take_link_options(options: dict[str, Any]) -> LinkOptions | None:
    """Those of `link_options`, taken out of a command's; None where the link is not asked for."""
    link, no_flash, record = (options.pop(key) for key in ("link", "no_flash", "record"))
    at_port = take_port_options(options)
    if not at_port.port and no_flash:
        raise UsageError("--no-flash is of a board at a --port")
    if not (link or at_port.port or record):
        return None
    return replace(at_port, flash_first=not no_flash, record=record)


def take_port_options(options: dict[str, Any]) -> LinkOptions:
    """Those of `port_options`, taken out of a command's."""
    from .micro.link_runner import LinkOptions

    port, baud, flash_tool, serial_number = (
        options.pop(key) for key in ("port", "baud", "flash_tool", "serial_number")
    )
    if not port and (baud or flash_tool or serial_number):
        raise UsageError("--baud, --flash-tool and --serial-number are of a board at a --port")
    how = LinkOptions(port, flash_tool=flash_tool, serial_number=serial_number)
    return replace(how, baud=baud) if baud else how


def thresholds_option(command: _Command) -> _Command:
    """`--thresholds` of a model of two nets."""
    return click.option(
        "--thresholds",
        callback=lambda _context, _option, text: () if text is None else parse_thresholds(text),
        help="of two nets: N for all classes, N,N,... for each, or a JSON file of one of these",
    )(command)


def parse_thresholds(text: str) -> tuple[int, ...]:
    """The numbers of `--thresholds`: separated by commas, or in a JSON file."""
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = read_json(Path(text), "--thresholds")
        numbers = numbers if isinstance(numbers, list) else [numbers]
    if not numbers or not all(type(n) is int and -(1 << 31) <= n < 1 << 31 for n in numbers):
        raise UsageError(f"--thresholds {text}: whole numbers of 32 bits work: 40 or 40,35,38")
    return tuple(numbers)


def read_json(path: Path, option: str) -> Any:
    """What a JSON file holds; UsageError if it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{option} {path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{option} {path}: not JSON") from None


def json_option(command: _Command) -> _Command:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="one JSON object")(command)


def write_model(
    compiled: CompiledModel, board: Board | None, output: Path, as_json: bool = False
) -> None:
    """Writes the library, and for an emulated board firmware.elf; prints the memory plan, or the
    object `json_objects.Compiled`."""
    from .report.json import describe_compiled
    from .report.tables import plan_table, print_arena

    with progress(f"writing {output}", hidden=as_json):
        firmware = write_folder(compiled, board, output)
    if as_json:
        click.echo(json.dumps(describe_compiled(compiled, board, output, firmware)))
        return
    messages = Console(stderr=True)
    messages.print(plan_table(compiled))
    print_arena(compiled, messages)
    if compiled.float_layers:
        click.echo(f"in float32 on the device: {', '.join(compiled.float_layers)}", err=True)
    click.echo(output)


def write_folder(
    compiled: CompiledModel,
    board: Board | None,
    output: Path,
    measured: Mapping[str, Any] | None = None,
) -> Path | None:
    """Writes the library, with `measured` in its report, and for another board than this computer
    firmware.elf, whose path is returned."""
    has_firmware = board is not None and board.emulation != "host"
    # built first: if that fails, nothing is written
    image = compiled.firmware_image(board) if board and has_firmware else b""
    compiled.export(output, measured)
    if not has_firmware:
        return None
    write_atomically(output / "firmware.elf", image)
    return output / "firmware.elf"


def _with(options: Sequence[Callable[[_Command], _Command]], command: _Command) -> _Command:
    for option in reversed(options):
        command = option(command)
    return command
