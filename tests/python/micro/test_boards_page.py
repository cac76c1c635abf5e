"""docs/boards.md says of each board what target.py says."""

from __future__ import annotations

import re
from pathlib import Path

from vq_cortexm.target import BOARDS, KIBI

PAGE = (Path(__file__).parents[3] / "docs" / "boards.md").read_text()
REAL = [board for board in BOARDS.values() if board.emulation != "host"]


def rows(columns: int) -> dict[str, list[str]]:
    """Those of the table with so many columns, by the first."""
    lines = [re.split(r" *\| *", line.strip("| ")) for line in PAGE.splitlines() if "|" in line]
    return {line[0]: line[1:] for line in lines if len(line) == columns}


def test_every_board_has_its_row() -> None:
    listed = rows(8)
    for board in REAL:
        assert board.clock_hz is not None
        numbers = (board.clock_hz // 1_000_000, board.flash.size_bytes, board.ram.size_bytes)
        clock, flash, ram = numbers[0], numbers[1] // KIBI, numbers[2] // KIBI
        part, core, *figures, _uart, emulated = listed[board.name]
        assert core == board.core.name
        assert figures == [str(clock), str(flash), str(ram)]
        assert emulated == ("QEMU" if board.emulation == "qemu" else "no")
        assert part in board.description or part == "FPGA image"
    assert len(listed) == len(REAL) + 2


def test_rates_that_not_every_board_works_with() -> None:
    listed = {
        name: text
        for names, (text,) in rows(2).items()
        for name in names.split(", ")
        if text[0] in "ft"
    }
    usual = BOARDS["host"]
    for board in REAL:
        said = []
        if board.least_baud != usual.least_baud:
            said.append(f"from {board.least_baud:,}")
        if board.most_baud != usual.most_baud:
            said.append(f"to {board.most_baud:,}")
        assert listed.pop(board.name, "") == " ".join(said)
    assert not listed
    assert f"at {usual.least_baud:,} to {usual.most_baud:,} bits per second" in PAGE


def test_how_each_is_flashed() -> None:
    listed = rows(3)
    for board in REAL:
        if board.probe is not None:
            probe, part = board.probe.openocd_files
            assert listed[board.name] == [f"`{board.probe.pyocd_target}`", f"`{part}`"]
            assert f"-f {probe}" in PAGE
