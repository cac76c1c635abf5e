"""The system tools: where they are, what to install where they are not."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ToolError

_VERSION_SECONDS = 30.0


@dataclass(frozen=True)
class Tool:
    """A program, and the Debian packages that bring what it is used for."""

    program: str
    packages: tuple[str, ...]


TOOLS: dict[str, Tool] = {
    tool.program: tool
    for tool in (
        Tool("arm-none-eabi-gcc", ("gcc-arm-none-eabi", "libnewlib-arm-none-eabi")),
        Tool("qemu-system-arm", ("qemu-system-arm",)),
        Tool("cmake", ("cmake",)),
        Tool("ninja", ("ninja-build",)),
        Tool("cc", ("gcc", "libc6-dev")),
    )
}


def find_tool(program: str) -> Path:
    """The path of a program of TOOLS; ToolError says how to install it."""
    path = shutil.which(program)
    if path is None:
        packages = " ".join(TOOLS[program].packages)
        raise ToolError(f"{program} not found on PATH; on Debian: apt install {packages}")
    return Path(path)


def dies_with_parent(command: Sequence[str]) -> list[str]:
    """`command` as it is started by what may be killed itself, where the system has `setpriv`: an
    emulator would outlive this process, or thread."""
    killer = shutil.which("setpriv")
    return [*([killer, "--pdeathsig", "KILL"] if killer else []), *command]


def tool_version(program: str) -> str:
    """The version that the program tells of itself, as 12.2.1; ToolError if it is missing, or does
    not work."""
    path = find_tool(program)
    again = f"on Debian: apt install --reinstall {' '.join(TOOLS[program].packages)}"
    try:
        completed = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_VERSION_SECONDS,
            check=False,
        )
    except OSError as error:
        raise ToolError(f"{path} does not start: {error.strerror}; {again}") from None
    except subprocess.TimeoutExpired:
        raise ToolError(
            f"{path} --version does not end within {_VERSION_SECONDS:g} s; {again}"
        ) from None
    found = re.search(r"\d+\.\d+(\.\d+)*", completed.stdout)
    if found is None:
        raise ToolError(f"{program} --version tells no version; is it the right program?")
    return found.group()
