"""Runs CMake and Ninja on a folder of ours, and makes one line of what fails."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import VqError
from .toolchain import find_tool

BUILD_LOG = "build.log"

# by how much they tell: compiler and assembler, linker, then anything that calls itself an error
_TELLING = (
    r"(?i):\d+: (fatal )?error: ",
    r"overflowed by|undefined reference|multiple definition",
    r"(?i)\berror\b",
)

_OF_THE_CALLER = (
    *("CFLAGS", "ASMFLAGS", "LDFLAGS", "CPPFLAGS", "CMAKE_TOOLCHAIN_FILE", "CMAKE_GENERATOR"),
    # gcc's own: other headers, another assembler
    *("CPATH", "C_INCLUDE_PATH", "COMPILER_PATH", "GCC_EXEC_PREFIX"),
)

_found: dict[tuple[str, ...], dict[str, bytes]] = {}
"""What CMake has found out in this process of a compiler with its flags: files by their place in
the build folder. To find it out takes CMake ten times as long as all else it does."""
_FOUND_FILES = "CMakeFiles/*/CMake*.cmake"
_INITIALIZED = "CMAKE_PLATFORM_INFO_INITIALIZED"
"""Without it in its cache, CMake removes such files."""


class BuildError(VqError):
    """Sources that do not compile or link; the build's log has everything."""


def cmake_build(source_dir: Path, build_dir: Path, definitions: Mapping[str, str]) -> None:
    """Configures and builds `source_dir` in `build_dir`, whose `build.log` has all that was said.

    BuildError has the first line that tells what is wrong; ToolError a missing tool.
    """
    build_dir.mkdir(parents=True, exist_ok=True)
    log = build_dir / BUILD_LOG
    log.write_bytes(b"")
    cmake, ninja = find_tool("cmake"), find_tool("ninja")
    configure = [str(cmake), "-G", "Ninja", "-S", str(source_dir), "-B", str(build_dir)]
    configure += [f"-D{name}={value}" for name, value in definitions.items()]
    configure.append(f"-DCMAKE_MAKE_PROGRAM={ninja}")
    key = _compiler(source_dir, definitions)
    found = _found.get(key, {})
    if found and not (build_dir / "CMakeCache.txt").exists():
        configure.append(f"-D{_INITIALIZED}=1")
        for name, content in found.items():
            (build_dir / name).parent.mkdir(parents=True, exist_ok=True)
            (build_dir / name).write_bytes(content)
    _run(configure, log)
    files = build_dir.glob(_FOUND_FILES)
    _found[key] = {str(file.relative_to(build_dir)): file.read_bytes() for file in files} | found
    _run([str(ninja), "-C", str(build_dir)], log)


def _compiler(source_dir: Path, definitions: Mapping[str, str]) -> tuple[str, ...]:
    """What decides which compiler a build finds, and what it finds of it: without a definition it
    is up to the sources."""
    compiler = definitions.get("CMAKE_C_COMPILER", str(source_dir))
    flags = definitions.get("CMAKE_C_FLAGS", "")
    return compiler, flags, *(os.environ.get(name, "") for name in ("PATH", "CC"))


def _run(command: Sequence[str], log: Path) -> None:
    with log.open("ab") as output:
        completed = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(),
            check=False,
        )
    if completed.returncode != 0:
        raise BuildError(first_error(log.read_text(errors="replace")))


def first_error(log: str) -> str:
    """The line of a build's log that tells most of why it failed."""
    lines = log.splitlines()
    for pattern in _TELLING:
        for line in lines:
            if re.search(pattern, line):
                return line.strip()
    return lines[-1].strip() if lines else "the build said nothing"


def _environment() -> dict[str, str]:
    """Without what would make a build depend on its caller, and with messages in English."""
    environment = dict(os.environ, LC_ALL="C")
    for name in _OF_THE_CALLER:
        environment.pop(name, None)
    return environment
