"""From the folder of a generated model to a firmware image, and the image's sizes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from ..errors import BudgetError, UsageError
from ..resources import resource_dir
from ..target import BOARDS, Board
from .app import APP_SOURCE, AppSpec, render_app
from .cmake import BuildError, cmake_build
from .fingerprint import fingerprint_of_folder
from .toolchain import find_tool
from .transport import DEFAULT_BAUD

Harness = Literal["semihosting", "rpc"]
"""What drives the model in a firmware: files of an emulator or debugger, or a host over the link
(docs/protocol.md)."""

PARTS = ("text", "rodata", "arena", "data")


@dataclass(frozen=True)
class Symbol:
    """A function or object of the model's part; address and size in bytes."""

    name: str
    part: str
    """One of PARTS."""
    address: int
    size_bytes: int


@dataclass(frozen=True)
class FirmwareSizes:
    """Bytes of the model's part of an image; not start-up code, C library and harness."""

    text: int
    rodata: int
    arena: int
    data: int
    """Static variables other than the arena."""
    symbols: tuple[Symbol, ...]
    """By address."""


@dataclass(frozen=True)
class Firmware:
    """A firmware image for `board`."""

    elf: Path
    board: Board
    sizes: FirmwareSizes


def build_firmware(
    model_dir: Path,
    board: Board,
    build_dir: Path,
    app: AppSpec,
    *,
    poison: bool = False,
    harness: Harness = "semihosting",
    profile: bool = False,
    baud: int = DEFAULT_BAUD,
) -> Firmware:
    """Builds `build_dir/firmware.elf` from the generated model in `model_dir`.

    With `poison` the model is a debug build that checks every layer's use of memory. With `profile`
    and the harness `rpc` it counts the cycles of each layer, where the core can; that takes some 20
    cycles a layer; `baud` is the speed of its UART. BudgetError: it does not fit the board's
    memories; BuildError: it does not compile or link; ToolError: no compiler. `build_dir/build.log`
    is kept.
    """
    if board.emulation == "host":
        raise UsageError(f"board {board.name!r} takes no firmware; use build_host_library")
    find_tool("arm-none-eabi-gcc")
    with overflow_explained(app.io.model, board):
        build_dir = _build(model_dir, board, build_dir, app, poison, harness, profile, baud)
    elf = build_dir / "firmware.elf"
    return Firmware(elf, board, read_sizes(elf))


def build_host_server(
    model_dir: Path, build_dir: Path, app: AppSpec, *, profile: bool = False
) -> Path:
    """Builds the program `build_dir/firmware`: the generated model in `model_dir` behind the link,
    which is its standard input and output, on this computer. BuildError, ToolError as above."""
    return _build(model_dir, BOARDS["host"], build_dir, app, False, "rpc", profile) / "firmware"


def _build(
    model_dir: Path,
    board: Board,
    build_dir: Path,
    app: AppSpec,
    poison: bool,
    harness: Harness,
    profile: bool,
    baud: int = DEFAULT_BAUD,
) -> Path:
    """Runs CMake; returns `build_dir` as an absolute path."""
    build_dir = build_dir.resolve()
    build_dir.mkdir(parents=True, exist_ok=True)
    source = build_dir / APP_SOURCE
    text = render_app(app, fingerprint_of_folder(model_dir))
    if not source.exists() or source.read_text() != text:
        source.write_text(text)
    definitions = {
        "VQ_MODEL_DIR": str(model_dir.resolve()),
        "VQ_BOARD": board.name,
        "VQ_APP": str(source),
        "VQ_POISON": "ON" if poison else "OFF",
        "VQ_HARNESS": harness,
        "VQ_PROFILE": "ON" if profile else "OFF",
        "VQ_BAUD": str(baud),
    }
    if board.emulation == "host":
        definitions["CMAKE_C_COMPILER"] = str(find_tool("cc"))
    cmake_build(resource_dir("runtime") / "firmware", build_dir, definitions)
    return build_dir


def read_sizes(elf: Path) -> FirmwareSizes:
    """The sizes that the linker script's `__vq_*` symbols bracket in an image."""
    with elf.open("rb") as stream:
        table = ELFFile(stream).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        entries = [
            (symbol.name, symbol["st_value"], symbol["st_size"], symbol["st_info"]["type"])
            for symbol in table.iter_symbols()
        ]
    values = {name: value for name, value, _, _ in entries}
    bounds = {part: (values[f"__vq_{part}_start"], values[f"__vq_{part}_end"]) for part in PARTS}
    symbols = [
        # bit 0 of a function's value says "Thumb"
        Symbol(name, part, value & ~1 if kind == "STT_FUNC" else value, size)
        for name, value, size, kind in entries
        for part, (start, end) in bounds.items()
        if kind in ("STT_FUNC", "STT_OBJECT") and start <= value < end
    ]
    symbols.sort(key=lambda symbol: (symbol.address, symbol.name))
    size = {part: end - start for part, (start, end) in bounds.items()}
    return FirmwareSizes(**size, symbols=tuple(symbols))


@contextmanager
def overflow_explained(model: str, board: Board) -> Iterator[None]:
    """Makes a BudgetError of a BuildError that tells of a memory which is too small."""
    try:
        yield
    except BuildError as error:
        overflow = re.search(r"region `(\w+)' overflowed by (\d+) bytes", str(error))
        if overflow is None:
            raise
        raise BudgetError(_does_not_fit(model, board, *overflow.groups())) from error


def _does_not_fit(model: str, board: Board, region: str, excess: str) -> str:
    memory = board.flash if region == "FLASH" else board.ram
    stack = "" if region == "FLASH" else f", {board.stack_bytes} of them for the stack"
    return (
        f"{model} does not fit {board.name}: {excess} bytes too many for its {region}"
        f" of {memory.size_bytes} bytes{stack}"
    )
