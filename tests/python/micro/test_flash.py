"""Flashing: command lines for pyOCD and OpenOCD, given to programs that only pretend to be these.

What they print where no probe is plugged in is what pyOCD 0.46 and OpenOCD 0.12 print."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_tools import recorded, write_tool

from vq_cortexm.errors import DeviceError, ToolError, UsageError, VqError
from vq_cortexm.micro.flash import flash, flash_command
from vq_cortexm.target import BOARDS, board_by_name

BOARD = board_by_name("nucleo-f746zg")


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def elf(tmp_path: Path) -> Path:
    path = tmp_path / "a firmware.elf"
    path.write_bytes(b"\x7fELF")
    return path


def test_pyocd_comes_first(tools: Path, elf: Path) -> None:
    for name in ("pyocd", "openocd"):
        write_tool(tools / name)
    flash(elf, BOARD)
    assert recorded(tools / "pyocd") == [
        ["flash", "--no-wait", "--target", "stm32f746zgtx", str(elf)]
    ]
    assert recorded(tools / "openocd") == []


def test_openocd_where_there_is_no_pyocd(tools: Path, elf: Path) -> None:
    write_tool(tools / "openocd")
    flash(elf, BOARD, serial_number="066DFF")
    assert recorded(tools / "openocd") == [
        [
            *("-f", "interface/stlink.cfg", "-f", "target/stm32f7x.cfg"),
            *("-c", "adapter serial 066DFF"),
            *("-c", f"program {{{elf}}} verify reset exit"),
        ]
    ]


def test_tool_and_probe_can_be_chosen(tools: Path, elf: Path) -> None:
    for name in ("pyocd", "openocd"):
        write_tool(tools / name)
    flash(elf, BOARD, tool="openocd")
    flash(elf, BOARD, tool="pyocd", serial_number="066DFF")
    assert len(recorded(tools / "openocd")) == 1
    assert recorded(tools / "pyocd")[0][-3:] == ["--uid", "066DFF", str(elf)]


def _fails(kind: type[VqError], elf: Path, **how: object) -> str:
    with pytest.raises(kind) as caught:
        flash(elf, BOARD, **how)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_missing_tool_is_named_with_how_to_install_it(tools: Path, elf: Path) -> None:
    line = _fails(ToolError, elf)
    assert "neither pyocd nor openocd" in line
    assert "pip install 'vq-cortexm[board]'" in line and "apt install openocd" in line
    assert "pyocd not found on PATH" in _fails(ToolError, elf, tool="pyocd")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pyocd", "No connected debug probes"),
        ("openocd", "Info : clock speed 2000 kHz\nError: open failed\nin procedure 'program'"),
    ],
)
def test_missing_probe(tools: Path, elf: Path, name: str, said: str) -> None:
    write_tool(tools / name, said, status=1)
    assert _fails(DeviceError, elf) == (
        f"nucleo-f746zg: {name} finds no debug probe; is the board plugged in?"
    )
    assert "no debug probe with serial number 7;" in _fails(DeviceError, elf, serial_number="7")


def test_unknown_part_says_how_pyocd_learns_it(tools: Path, elf: Path) -> None:
    write_tool(tools / "pyocd", "C Target type stm32f746zgtx not recognized. Use ...", status=1)
    assert "`pyocd pack install stm32f746zgtx` brings it" in _fails(DeviceError, elf)


def test_other_failures_show_the_telling_line(tools: Path, elf: Path) -> None:
    write_tool(tools / "openocd", "Info : hello\nError: init mode failed\nmore", status=1)
    assert _fails(DeviceError, elf) == "nucleo-f746zg: openocd failed: Error: init mode failed"
    write_tool(tools / "openocd", "", status=3)
    assert "openocd failed: it said nothing" in _fails(DeviceError, elf)


def test_tool_that_hangs_is_ended(tools: Path, elf: Path) -> None:
    write_tool(tools / "openocd", endless=True)
    assert "did not end within 0.2 s" in _fails(DeviceError, elf, timeout_seconds=0.2)


def test_nothing_is_started_without_firmware_or_probe(tools: Path, elf: Path) -> None:
    write_tool(tools / "pyocd")
    assert "no such firmware" in _fails(UsageError, elf.with_name("none.elf"))
    with pytest.raises(UsageError, match="'host' has no debug probe"):
        flash(elf, BOARDS["host"])
    assert recorded(tools / "pyocd") == []


@pytest.mark.parametrize("name", [name for name, board in BOARDS.items() if board.probe])
def test_every_board_with_a_probe_has_both_command_lines(name: str) -> None:
    board = board_by_name(name)
    assert flash_command(Path("f"), board, "pyocd")[4].startswith("stm32")
    files = flash_command(Path("f"), board, "openocd")
    assert "interface/stlink.cfg" in files and any("target/stm32" in word for word in files)
