"""The system tools: where they are, what to install where they are not."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ..errors import ToolError


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


def tool_version(program: str) -> str:
    """The version that the program tells of itself, as 12.2.1; ToolError if it is missing."""
    completed = subprocess.run(
        [find_tool(program), "--version"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    found = re.search(r"\d+\.\d+(\.\d+)*", completed.stdout)
    if found is None:
        raise ToolError(f"{program} --version tells no version; is it the right program?")
    return found.group()
