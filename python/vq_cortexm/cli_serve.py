"""The verb `serve`: a measuring server for `tune --tracker` and `bcnet eval --tracker`."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from .cli_completion import BOARD
from .cli_options import port_options, take_port_options
from .errors import UsageError

if TYPE_CHECKING:
    from .farm.client import Farm
    from .micro.job import RunJob
    from .micro.link_runner import LinkOptions
    from .target import Board

_TRACKER = "HOST:PORT of TVM's RPC tracker"


def tracker_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--tracker` and `--key` of verbs that may measure elsewhere."""
    tracker = click.option("--tracker", help=f"{_TRACKER}: measure with the servers there")
    return tracker(_key_option(command))


def _key_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--key", help="of servers at the tracker; default: vq-cortexm/BOARD")(
        command
    )


def farm_of(tracker: str | None, key: str | None, board: Board, messages: Console) -> Farm | None:
    """The farm of `--tracker`, None without. `messages` says which servers are left out.

    TrackerError: no tracker is there.
    """
    from .farm.client import Farm
    from .farm.tracker import parse_address
    from .tune.session import compiler_id

    if tracker is None:
        if key is not None:
            raise UsageError("--key is of servers at a tracker; it needs --tracker HOST:PORT")
        return None
    if board.emulation == "host":
        raise UsageError(f"board {board.name!r} is this computer; no farm has it")
    farm = Farm(
        parse_address(tracker),
        key or _default_key(board),
        compiler_id(),
        board.name,
        notify=partial(messages.print, markup=False, highlight=False, soft_wrap=True),
    )
    farm.servers()
    return farm


@click.command()
@click.option("--tracker", required=True, help=_TRACKER)
@click.option("--board", type=BOARD, required=True, help="see `vq-cortexm boards`")
@_key_option
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="at a time")
@port_options
def serve(tracker: str, board: str, key: str | None, jobs: int, **at_port: Any) -> None:
    """Measure on a board for others, until SIGTERM or Ctrl-C ends it.

    The board is an emulated one, or hardware at a --port. Whoever can reach the tracker can run
    programs here: for networks whose users are trusted.
    """
    from .farm.server import Service, Stop
    from .farm.server import serve as run_servers
    from .farm.tracker import parse_address
    from .farm.work_folder import work_folder
    from .target import board_by_name
    from .tune.session import compiler_id

    chosen, options = board_by_name(board), take_port_options(at_port)
    name, address = key or _default_key(chosen), parse_address(tracker)
    if options.port and jobs > 1:
        raise UsageError("--jobs is of emulators; a board at a --port does one job at a time")
    stop = Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with work_folder() as folder:
        run, check = _runs(chosen, options, folder)
        service = Service(address, name, compiler_id(), chosen.name, run, check)
        run_servers(service, stop, servers=jobs, notify=partial(click.echo, err=True))


def _runs(board: Board, options: LinkOptions, folder: Path) -> tuple[RunJob, Callable[[], None]]:
    """What runs jobs on a board, and what says whether it is there."""
    from .farm.board import PortBoard
    from .micro.job import run_job

    if options.port:
        at_port = PortBoard(board, options, folder)
        return at_port.run, at_port.check
    if board.emulation == "none":
        raise UsageError(f"board {board.name!r} is hardware: --port says where, as /dev/ttyACM0")
    if board.emulation == "host":
        raise UsageError(f"board {board.name!r} is not emulated; `vq-cortexm boards` names others")
    return partial(run_job, board=board), lambda: None


def _default_key(board: Board) -> str:
    return f"vq-cortexm/{board.name}"
