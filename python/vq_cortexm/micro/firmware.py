"""From the folder of a generated model to a firmware image, and the image's sizes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from ..errors import BudgetError, UsageError
from ..resources import resource_dir
from ..target import Board
from .app import AppSpec, render_app
from .cmake import BuildError, cmake_build
from .toolchain import find_tool

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
    model_dir: Path, board: Board, build_dir: Path, app: AppSpec, *, poison: bool = False
) -> Firmware:
    """Builds `build_dir/firmware.elf` from the generated model in `model_dir`.

    With `poison` the model is a debug build that checks every layer's use of memory. BudgetError:
    it does not fit the board's memories; BuildError: it does not compile or link; ToolError: no
    compiler. `build_dir/build.log` is kept.
    """
    if board.emulation == "host":
        raise UsageError(f"board {board.name!r} takes no firmware; use build_host_library")
    find_tool("arm-none-eabi-gcc")
    build_dir = build_dir.resolve()
    build_dir.mkdir(parents=True, exist_ok=True)
    source = build_dir / "vq_app.c"
    text = render_app(app)
    if not source.exists() or source.read_text() != text:
        source.write_text(text)
    definitions = {
        "VQ_MODEL_DIR": str(model_dir.resolve()),
        "VQ_BOARD": board.name,
        "VQ_APP": str(source),
        "VQ_POISON": "ON" if poison else "OFF",
    }
    try:
        cmake_build(resource_dir("runtime") / "firmware", build_dir, definitions)
    except BuildError as error:
        overflow = re.search(r"region `(\w+)' overflowed by (\d+) bytes", str(error))
        if overflow is None:
            raise
        raise BudgetError(_does_not_fit(app.io.model, board, *overflow.groups())) from error
    elf = build_dir / "firmware.elf"
    return Firmware(elf, board, read_sizes(elf))


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


def _does_not_fit(model: str, board: Board, region: str, excess: str) -> str:
    memory = board.flash if region == "FLASH" else board.ram
    stack = "" if region == "FLASH" else f", {board.stack_bytes} of them for the stack"
    return (
        f"{model} does not fit {board.name}: {excess} bytes too many for its {region}"
        f" of {memory.size_bytes} bytes{stack}"
    )
