"""Firmware behind the link, in the emulator, over each board's own UART."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from fake_model import APP, Command, expected, sample
from rpc_link import SESSION, Answer, Kind, Link, Status, body, emulator_link, parts, stuffed

from vq_cortexm.micro.cycle_model import build_plugin, plugin_arguments, read_records
from vq_cortexm.micro.emulator import run_firmware
from vq_cortexm.micro.fingerprint import fingerprint_of_folder
from vq_cortexm.micro.firmware import Firmware, build_firmware
from vq_cortexm.target import BOARDS, KIBI

EMULATED = [board for board in BOARDS.values() if board.emulation == "qemu"]
M4 = BOARDS["mps2-an386"]

CLOCKS_HZ = {
    "microbit": 16_000_000,
    # QEMU has no RCC: what these have without their crystals
    "stm32vldiscovery": 8_000_000,
    "netduinoplus2": 16_000_000,
    "mps2-an385": 25_000_000,
    "mps2-an386": 25_000_000,
    "mps2-an500": 25_000_000,
    "mps2-an505": 20_000_000,
    "mps3-an547": 32_000_000,
}

# as hello tells it
STACK_OVERFLOW = 1 << 20
UNDEFINED_INSTRUCTION = 1 << 16
UNKNOWN_FAULT = 0xFFFFFFFF


@pytest.fixture(scope="session", params=EMULATED, ids=lambda board: board.name)
def rpc_firmware(
    request: pytest.FixtureRequest, model_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Firmware:
    build_dir = tmp_path_factory.mktemp("rpc") / "a build, too"
    return build_firmware(model_dir, request.param, build_dir, APP, harness="rpc", profile=True)


@pytest.fixture
def link(rpc_firmware: Firmware) -> Iterator[Link]:
    with emulator_link(rpc_firmware.elf, rpc_firmware.board) as link:
        yield link


def load(link: Link, data: bytes) -> None:
    link.load(*parts(data))


def test_values(link: Link, rpc_firmware: Firmware, model_dir: Path) -> None:
    board = rpc_firmware.board
    hello = link.hello()
    assert (hello.board, hello.model) == (board.name, "fake")
    assert hello.clock_hz == CLOCKS_HZ[board.name]
    assert hello.largest_payload == (256 if board.ram.size_bytes <= 16 * KIBI else 1024)
    assert (hello.layers, hello.thresholds) == (2, 0)
    assert (hello.input_bytes, hello.output_bytes) == ((15, 2), (15,))
    assert (hello.fault_status, hello.fault_address) == (0, 0)
    assert hello.fingerprint == fingerprint_of_folder(model_dir)
    # no core that QEMU emulates counts its cycles
    assert hello.cycles_source == 0
    for seed in range(20):
        data = sample(seed)
        load(link, data)
        assert link.run(1 + seed % 3) == (0, 0, 0)
        assert link.read(0, 15) == Answer(Status.DONE, expected(data))
    assert link.layers() == (0, 0)
    assert link.ask(Kind.THRESHOLD, bytes(8)) == Answer(Status.OUT_OF_RANGE)


def test_the_stack(link: Link, rpc_firmware: Firmware) -> None:
    link.hello()
    link.run()
    usual = link.counters()
    assert 32 <= usual.stack_peak_bytes < 512
    # without the guard's bytes, and those that a restart keeps
    assert usual.stack_bytes == rpc_firmware.board.stack_bytes - 32 - 16
    load(link, sample(1, Command.LARGE_FRAME))
    link.run()
    large = link.counters().stack_peak_bytes
    assert 1000 <= large <= 1000 + usual.stack_peak_bytes


def fail(link: Link, command: Command) -> None:
    """A run that does not come back; the device answers again when it has restarted."""
    link.hello()
    load(link, sample(1, command))
    link.send(stuffed(body(Kind.RUN, struct.pack("<I", 1), SESSION, 500)))
    answer = link.ask(Kind.RUN, struct.pack("<I", 1), sequence=500, again_after_seconds=0.5)
    assert answer == Answer(Status.NO_SESSION)


def test_a_fault_is_told_after_the_restart(link: Link, rpc_firmware: Firmware) -> None:
    fail(link, Command.FAULT)
    is_v6m = rpc_firmware.board.core.name == "cortex-m0"
    for _ in range(2):
        hello = link.hello()
        assert hello.fault_status == (UNKNOWN_FAULT if is_v6m else UNDEFINED_INSTRUCTION)
        (run,) = [s for s in rpc_firmware.sizes.symbols if s.name == "tvmgen_fake_run"]
        assert run.address <= hello.fault_address < run.address + run.size_bytes
    # it works as before, and the next start knows of no fault
    load(link, sample(2))
    link.run()
    assert link.read(0, 15).payload == expected(sample(2))
    assert link.ask(Kind.RESET) == Answer(Status.DONE)
    assert link.hello().fault_status == 0


def test_a_stack_overflow_is_told_after_the_restart(link: Link) -> None:
    fail(link, Command.STACK_OVERFLOW)
    hello = link.hello()
    assert (hello.fault_status, hello.fault_address) == (STACK_OVERFLOW, 0)
    load(link, sample(3))
    link.run()
    assert link.read(0, 15).payload == expected(sample(3))


def test_recursion_is_told_after_the_restart(link: Link, rpc_firmware: Firmware) -> None:
    """At the end of the stack, where the core can watch; else at the end of all RAM."""
    guarded = rpc_firmware.board.core.name != "cortex-m0"
    fail(link, Command.RECURSION)
    hello = link.hello()
    status = STACK_OVERFLOW if guarded else UNKNOWN_FAULT
    assert (hello.fault_status, hello.fault_address) == (status, 0)


def test_reset(link: Link) -> None:
    link.hello()
    load(link, sample(4))
    assert link.ask(Kind.RESET) == Answer(Status.DONE)
    answer = link.ask(Kind.COUNTERS, again_after_seconds=0.5)
    assert answer == Answer(Status.NO_SESSION)
    link.hello()
    assert link.read(0, 15) == Answer(Status.NO_RESULT)
    link.run()
    assert link.read(0, 15).payload == expected(bytes(17))


def test_bytes_that_came_before_the_device_was_ready(rpc_firmware: Firmware) -> None:
    with emulator_link(rpc_firmware.elf, rpc_firmware.board) as link:
        link.send(b"\x55" * 3000)
        assert link.hello().model == "fake"


# --- what the link costs ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mps2-an386", "netduinoplus2", "microbit", "nucleo-f746zg"])
def test_flash_and_ram(name: str, model_dir: Path, tmp_path: Path) -> None:
    """All of the link and the board's port, whether the image needs it or not: under 4 KB of flash,
    and 600 bytes of RAM besides the buffer of a frame."""
    build_firmware(model_dir, BOARDS[name], tmp_path, APP, harness="rpc", profile=True)
    folders = ("rpc", "boards", "drivers")
    objects = [p for p in tmp_path.rglob("*.obj") if set(folders) & set(p.parts)]
    assert len(objects) >= 8
    flash_bytes = ram_bytes = 0
    for path in objects:
        with path.open("rb") as file:
            for section in ELFFile(file).iter_sections():
                if section.name.startswith((".text", ".rodata", ".data")):
                    flash_bytes += section["sh_size"]
                if section.name.startswith((".bss", ".data")):
                    ram_bytes += section["sh_size"]
    frame_bytes = 6 + (256 if name == "microbit" else 1024) + 4
    assert 2000 < flash_bytes < 4096
    assert 0 < ram_bytes - frame_bytes < 600


def test_one_record_for_each_inference(model_dir: Path, tmp_path: Path) -> None:
    """The emulator's plugin counts what it counts of a firmware that runs by itself."""
    layers = ["fake_use_stack", "fake_scale"]
    data = [sample(seed) for seed in range(3)] + [sample(9, Command.LARGE_FRAME)]
    rpc = build_firmware(model_dir, M4, tmp_path / "rpc", APP, harness="rpc")
    alone = build_firmware(model_dir, M4, tmp_path / "alone", APP)
    records = tmp_path / "records.jsonl"
    counting = plugin_arguments(build_plugin(), rpc.elf, layer_functions=layers)
    with emulator_link(rpc.elf, M4, "-plugin", f"{counting},out={records}") as link:
        link.hello()
        for number, each in enumerate(data, start=1):
            load(link, each)
            link.run(2)
            # at once, not when the emulator ends
            assert len(read_records(records)) == 2 * number
    counting = plugin_arguments(build_plugin(), alone.elf, layer_functions=layers)
    run = run_firmware(alone.elf, M4, data, 15, plugin_arguments=counting)
    (tmp_path / "alone.jsonl").write_text(run.plugin_output)
    both = zip(read_records(records)[::2], read_records(tmp_path / "alone.jsonl"), strict=True)
    for over_link, by_itself in both:
        assert over_link.cycles == by_itself.cycles
        assert over_link.instructions == by_itself.instructions
        assert over_link.layers == by_itself.layers
