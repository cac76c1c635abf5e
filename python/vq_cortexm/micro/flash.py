"""Brings a firmware onto a board through its debug probe, by pyOCD or OpenOCD."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Literal

from ..errors import DeviceError, ToolError, UsageError
from ..target import Board

FlashTool = Literal["pyocd", "openocd"]
FLASH_TOOLS: tuple[FlashTool, ...] = ("pyocd", "openocd")
TIMEOUT_SECONDS = 300.0
"""For some megabytes over a slow probe."""

_INSTALL = "pip install 'vq-cortexm[board]' brings pyocd; on Debian apt install openocd the other"
_NO_PROBE = r"(?i)no connected debug probe|no available debug probe|error: open failed"
_TELLING = r"(?i)\berror\b|\bcritical\b|\bfailed\b|not recognized"


def flash(
    elf: Path,
    board: Board,
    *,
    tool: FlashTool | None = None,
    serial_number: str = "",
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> None:
    """Writes `elf` into the board's flash, compares, and starts it.

    `tool` is by default the first of FLASH_TOOLS that is there; `serial_number` chooses among
    several probes. UsageError: the board has no probe, or there is no such file; ToolError: no
    tool; DeviceError: no probe, no answer, or the tool says no.
    """
    if board.probe is None:
        raise UsageError(
            f"board {board.name!r} has no debug probe of its own; flash it by other means"
        )
    if not elf.is_file():
        raise UsageError(f"{elf}: no such firmware; build it first")
    command = flash_command(elf, board, choose_flash_tool(tool), serial_number)
    program = shutil.which(command[0])
    assert program is not None
    name = Path(program).name
    try:
        completed = subprocess.run(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DeviceError(
            f"{board.name}: {name} did not end within {timeout_seconds:g} s; is the board powered?"
        ) from None
    if completed.returncode != 0:
        raise DeviceError(f"{board.name}: {_why(completed.stdout, name, board, serial_number)}")


def flash_command(elf: Path, board: Board, tool: FlashTool, serial_number: str = "") -> list[str]:
    """The tool's command line; the board has a probe."""
    assert board.probe is not None
    if tool == "pyocd":
        chosen = ["--uid", serial_number] if serial_number else []
        target = board.probe.pyocd_target
        return ["pyocd", "flash", "--no-wait", "--target", target, *chosen, str(elf)]
    files = [word for file in board.probe.openocd_files for word in ("-f", file)]
    chosen = ["-c", f"adapter serial {serial_number}"] if serial_number else []
    # braces keep Tcl from reading anything in the path
    return ["openocd", *files, *chosen, "-c", f"program {{{elf}}} verify reset exit"]


def choose_flash_tool(tool: FlashTool | None = None) -> FlashTool:
    """The tool, or the first of FLASH_TOOLS that is there. ToolError: it is not there."""
    for one in FLASH_TOOLS if tool is None else (tool,):
        if shutil.which(one):
            return one
    if tool is not None:
        raise ToolError(f"{tool} not found on PATH; {_INSTALL}")
    raise ToolError(f"neither {' nor '.join(FLASH_TOOLS)} found on PATH; {_INSTALL}")


def _why(output: str, tool: str, board: Board, serial_number: str) -> str:
    """One line of what the tool said."""
    if re.search(_NO_PROBE, output):
        which = f" with serial number {serial_number}" if serial_number else ""
        return f"{tool} finds no debug probe{which}; is the board plugged in?"
    if re.search(r"(?i)target type .* not recognized", output):
        assert board.probe is not None
        target = board.probe.pyocd_target
        return f"pyocd does not know {target} yet; `pyocd pack install {target}` brings it"
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(_TELLING, line)]
    return f"{tool} failed: {(telling or lines or ['it said nothing'])[0]}"
