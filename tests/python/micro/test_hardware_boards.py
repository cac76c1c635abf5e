"""Boards that are not emulated: their firmware compiles and links within the parts' true memories,
and what needs a board that runs here says so. None was run on hardware."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import InProcess, fail, json_of, one_convolution, succeed
from elftools.elf.elffile import ELFFile
from fake_model import APP, expected, replace, sample, write_model
from rpc_link import DEADLINE_SECONDS, Answer, Link, Status

from vq_cortexm.errors import BudgetError
from vq_cortexm.micro.firmware import build_firmware
from vq_cortexm.micro.process_transport import ProcessTransport
from vq_cortexm.micro.toolchain import find_tool
from vq_cortexm.micro.transport import IoTimeoutError
from vq_cortexm.target import BOARDS, Board, Memory

HARDWARE = [board for board in BOARDS.values() if board.emulation == "none"]

# by the parts' data sheets: flash; the RAM from the address that the port uses on, without gaps
MEMORIES = {
    "nucleo-l4r5zi": (
        Memory(0x0800_0000, 2048 * 1024),
        Memory(0x2000_0000, (192 + 64 + 384) * 1024),
    ),
    "nucleo-f746zg": (
        Memory(0x0800_0000, 1024 * 1024),
        Memory(0x2000_0000, (64 + 240 + 16) * 1024),
    ),
    "nucleo-h743zi": (Memory(0x0800_0000, 2048 * 1024), Memory(0x2400_0000, 512 * 1024)),
    "stm32f4-discovery": (Memory(0x0800_0000, 1024 * 1024), Memory(0x2000_0000, (112 + 16) * 1024)),
}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> InProcess:
    return InProcess(monkeypatch, capfd)


def test_the_parts_memories() -> None:
    assert {board.name: (board.flash, board.ram) for board in HARDWARE} == MEMORIES


def within(address: int, size: int, memory: Memory) -> bool:
    return memory.origin <= address and address + size <= memory.origin + memory.size_bytes


@pytest.mark.parametrize("board", HARDWARE, ids=lambda board: board.name)
def test_firmware_compiles_and_links(board: Board, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    firmware = build_firmware(model, board, tmp_path / "build", APP, harness="rpc")
    assert "warning" not in (tmp_path / "build" / "build.log").read_text().lower()
    assert f"{board.name}\0".encode() in firmware.elf.read_bytes()
    with firmware.elf.open("rb") as stream:
        segments = list(ELFFile(stream).iter_segments("PT_LOAD"))
        used = Memory(board.ram.origin, board.ram.size_bytes - board.stack_bytes)
        for segment in segments:
            # what is loaded comes out of flash; what has nothing to load starts as zeros
            loaded = segment["p_filesz"]
            assert loaded == 0 or within(segment["p_paddr"], loaded, board.flash)
            memory = used if segment["p_flags"] & 2 else board.flash
            assert within(segment["p_vaddr"], segment["p_memsz"], memory)
        # the first two vectors: the stack's top, and the reset handler's address with its Thumb bit
        image = next(s for s in segments if s["p_paddr"] == board.flash.origin).data()
    stack, reset = (int.from_bytes(image[i : i + 4], "little") for i in (0, 4))
    assert stack == board.ram.origin + board.ram.size_bytes
    assert reset & 1 and within(reset, 0, board.flash)


@pytest.mark.parametrize(
    ("name", "file", "old", "region"),
    [
        ("nucleo-l4r5zi", "fake_weights.c", "BYTES 15", "FLASH of 2097152 bytes"),
        ("nucleo-f746zg", "fake_run.c", "BYTES 48", "RAM of 327680 bytes, 4096 of them"),
        ("nucleo-h743zi", "fake_run.c", "BYTES 48", "RAM of 524288 bytes, 4096 of them"),
        ("stm32f4-discovery", "fake_weights.c", "BYTES 15", "FLASH of 1048576 bytes"),
    ],
)
def test_what_does_not_fit(tmp_path: Path, name: str, file: str, old: str, region: str) -> None:
    model = write_model(tmp_path / "model")
    board = BOARDS[name]
    memory = board.flash if "FLASH" in region else board.ram
    replace(model / file, old, f"BYTES {memory.size_bytes}")
    message = rf"^fake does not fit {name}: \d+ bytes too many for its {region}"
    with pytest.raises(BudgetError, match=message):
        build_firmware(model, board, tmp_path / "build", APP, harness="rpc")


def test_the_port_of_an_f407_answers_on_the_f405_that_qemu_has(tmp_path: Path) -> None:
    board = BOARDS["stm32f4-discovery"]
    model = write_model(tmp_path / "model")
    firmware = build_firmware(model, board, tmp_path / "build", APP, harness="rpc")
    command = [str(find_tool("qemu-system-arm")), "-M", "netduinoplus2", "-display", "none"]
    # its UART is the second
    command += ["-monitor", "none", "-serial", "null", "-chardev", "stdio,id=link,signal=off"]
    command += ["-serial", "chardev:link", "-kernel", str(firmware.elf)]
    with ProcessTransport(command, name="an F405 in QEMU") as transport:

        def receive(seconds: float) -> bytes:
            try:
                return transport.read(4096, seconds)
            except IoTimeoutError:
                return b""

        link = Link(lambda data: transport.write(data, DEADLINE_SECONDS), receive)
        hello = link.hello()
        # QEMU has no RCC: neither crystal nor PLL
        assert (hello.board, hello.clock_hz) == (board.name, 16_000_000)
        data = sample(1)
        link.load(data[:15], data[15:])
        assert link.run() == (0, 0, 0)
        assert link.read(0, 15) == Answer(Status.DONE, expected(data))
        assert link.counters().receiver_errors == 0


def test_boards_that_are_not_emulated(here: InProcess) -> None:
    listed = {board["name"]: board for board in json_of("boards", run=here)}
    assert listed["nucleo-l4r5zi"]["emulation"] == "none"
    assert listed["nucleo-l4r5zi"]["clock_hz"] == 120_000_000
    assert listed["nucleo-h743zi"]["data_cache_bytes"] == 16 * 1024
    assert succeed("boards", run=here).count("not emulated") == len(HARDWARE)


def test_compile_makes_firmware_for_hardware(here: InProcess, tmp_path: Path) -> None:
    model = tmp_path / "conv.tflite"
    model.write_bytes(one_convolution())
    succeed("compile", model, "-o", tmp_path / "out", "--board", "nucleo-l4r5zi", run=here)
    with (tmp_path / "out" / "firmware.elf").open("rb") as stream:
        symbols = {s.name for s in ELFFile(stream).get_section_by_name(".symtab").iter_symbols()}
    assert "vq_board_open" in symbols and "vq_semihost_open" not in symbols


@pytest.mark.parametrize("verb", ["profile", "tune"])
def test_hardware_runs_nothing_here(here: InProcess, tmp_path: Path, verb: str) -> None:
    model = tmp_path / "conv.tflite"
    model.write_bytes(one_convolution())
    options = ["--db", tmp_path / "db.jsonl"] if verb == "tune" else []
    line = fail(2, verb, model, "--board", "nucleo-h743zi", *options, run=here)
    assert "board 'nucleo-h743zi' is hardware and not emulated: `compile --board" in line
    assert line.rstrip().endswith("emulated with a cortex-m7: mps2-an500")
