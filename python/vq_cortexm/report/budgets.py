"""What a build takes of a part's memories."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UsageError
from ..target import BOARDS, Board, board_by_name
from .folder import Build


@dataclass(frozen=True)
class Share:
    """A part of a memory: `figure` names where its bytes are from, as in `report.measured.ram`."""

    name: str
    size_bytes: int
    figure: str


@dataclass(frozen=True)
class Budget:
    """A memory, what is in it, and what it holds; None where no part was chosen."""

    name: str
    shares: tuple[Share, ...]
    room_bytes: int | None

    @property
    def used_bytes(self) -> int:
        """All shares."""
        return sum(share.size_bytes for share in self.shares)


def choose_board(build: Build, name: str | None) -> Board | None:
    """The part whose memories are the budget: the one that is asked for, else the one on which the
    model was measured; None where there is none. UsageError if the model is built for another core.
    """
    if name is None:
        measured = build.measured
        board = BOARDS.get(measured["board"]) if measured else None
        return None if board is None or board.emulation == "host" else board
    board = board_by_name(name)
    core = build.report["core"] if build.report else board.core.name
    if board.emulation == "host":
        raise UsageError("host has no memories of its own; a part's name works: mps2-an386")
    if board.core.name != core:
        raise UsageError(
            f"{build.folder}: built for {core}, {board.name} has a {board.core.name}; "
            f"compile the model again with --board {board.name}"
        )
    return board


def budgets(build: Build, board: Board | None) -> tuple[Budget, ...]:
    """Flash and RAM of a build: measured with code and stack where it was run, else constants and
    the arena."""
    report, measured = build.report, build.measured
    if report is None:
        return ()
    room = (board.flash.size_bytes, board.ram.size_bytes) if board else (None, None)
    if measured is None or not measured["flash"]["total"]:
        flash = [Share("constants", report["constants_bytes"], "report.constants_bytes")]
        ram = [Share("arena", report["arena_bytes"], "report.arena_bytes")]
    else:
        used, own = "report.measured", measured["ram"]
        flash = [
            Share("constants", measured["flash"]["rodata"], f"{used}.flash.rodata"),
            Share("code", measured["flash"]["text"], f"{used}.flash.text"),
        ]
        ram = [
            Share("arena", own["arena"], f"{used}.ram.arena"),
            Share("static data", own["data"], f"{used}.ram.data"),
            Share("stack, peak", own["stack_peak"] or 0, f"{used}.ram.stack_peak"),
        ]
    return Budget("flash", tuple(flash), room[0]), Budget("RAM", tuple(ram), room[1])
