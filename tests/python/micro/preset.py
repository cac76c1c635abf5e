"""What a board's preset says, `board.cmake` in its folder."""

from __future__ import annotations

import re
from pathlib import Path

from vq_cortexm.target import Board


def read_preset(board: str, runtime: Path) -> dict[str, list[str]]:
    """The words of each of its lists."""
    text = (runtime / "boards" / board / "board.cmake").read_text()
    return {name: words.split() for name, words in re.findall(r"set\((\w+)\s+([^)]*)\)", text)}


def check_preset(board: Board, runtime: Path) -> None:
    """AssertionError where it says something else than `target.py`."""
    preset = read_preset(board.name, runtime)
    assert tuple(preset["VQ_BOARD_CFLAGS"]) == board.core.cflags
    memory = dict(word.split("=") for word in preset["VQ_BOARD_MEMORY"])
    assert {name: int(value, 16) for name, value in memory.items()} == {
        "VQ_FLASH_ORIGIN": board.flash.origin,
        "VQ_FLASH_BYTES": board.flash.size_bytes,
        "VQ_RAM_ORIGIN": board.ram.origin,
        "VQ_RAM_BYTES": board.ram.size_bytes,
        "VQ_STACK_BYTES": board.stack_bytes,
    }
