"""Cycles on the device: what counts them, and how they are shared among layers."""

from __future__ import annotations

import ctypes
import dataclasses
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cobs import cobs
from fake_model import APP, IO, Command, sample
from memory_link import SOURCES, MemoryLink
from rpc_link import SESSION, Answer, Kind, Status, body, parts, stuffed
from two_nets import BOTH, accurate, fast, quantiles, samples

from vq_cortexm.bcnet import Policy, compose
from vq_cortexm.build import build
from vq_cortexm.micro.app import AppSpec
from vq_cortexm.micro.frames import FrameReader
from vq_cortexm.micro.toolchain import find_tool
from vq_cortexm.resources import resource_dir
from vq_cortexm.target import BOARDS

RUNTIME = resource_dir("runtime")

# registers of the architecture
DEMCR, DWT_CTRL, DWT_CYCCNT, DWT_LAR = 0xE000EDFC, 0xE0001000, 0xE0001004, 0xE0001FB0
TRCENA, CYCCNTENA, NOCYCCNT = 1 << 24, 1 << 0, 1 << 25

NONE, DWT, SYSTICK = 0, 1, 2


# --- what counts -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """runtime/rpc/cycles.c of a core with a DWT, on fake registers."""
    library = tmp_path_factory.mktemp("cycles") / "cycles.so"
    fake = SOURCES.parent / "fake_registers" / "fake_registers.c"
    command = [find_tool("cc"), "-std=c11", "-O1", "-shared", "-fPIC", "-DVQ_FAKE_REGISTERS"]
    command += [f"-I{RUNTIME / 'drivers'}", "-o", library, RUNTIME / "rpc" / "cycles.c", fake]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(library))


class Core:
    """A core whose counter runs by `step` between two looks, once it is unlocked and enabled."""

    def __init__(self, counter: ctypes.CDLL, step: int = 3, ctrl: int = 0) -> None:
        self.registers = {DWT_CTRL: ctrl}
        self.step = step
        self.counter = counter
        # kept, since the library only has their addresses
        self.callbacks: list[Callable[..., object]] = [
            ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_uint32)(self.read),
            ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32)(self.write),
        ]
        for name, callback in zip(("vq_fake_read", "vq_fake_write"), self.callbacks, strict=True):
            address = ctypes.cast(callback, ctypes.c_void_p)  # type: ignore[arg-type]
            ctypes.c_void_p.in_dll(counter, name).value = address.value
        self.source = counter.vq_cycles_open()

    def read(self, address: int) -> int:
        enabled = self.registers.get(DEMCR, 0) & TRCENA and self.registers[DWT_CTRL] & CYCCNTENA
        if address == DWT_CYCCNT and enabled:
            self.registers[DWT_CYCCNT] = (self.registers[DWT_CYCCNT] + self.step) & 0xFFFFFFFF
        return self.registers.get(address, 0)

    def write(self, address: int, value: int) -> None:
        if address in (DWT_CTRL, DWT_CYCCNT) and self.registers.get(DWT_LAR) != 0xC5ACCE55:
            return
        self.registers[address] = value

    def cycles(self) -> int:
        count: int = ctypes.c_uint32(self.counter.vq_cycles()).value
        return count


def test_dwt(counter: ctypes.CDLL) -> None:
    core = Core(counter)
    assert core.source == DWT
    first = core.cycles()
    assert core.cycles() == first + 3
    # other bits of these stay
    assert Core(counter, ctrl=0xF << 28).registers[DWT_CTRL] == 0xF << 28 | CYCCNTENA


@pytest.mark.parametrize(
    ("step", "ctrl"), [(0, 0), (3, NOCYCCNT)], ids=["does not count", "is not there"]
)
def test_no_dwt(counter: ctypes.CDLL, step: int, ctrl: int) -> None:
    core = Core(counter, step, ctrl)
    assert core.source == NONE
    assert core.cycles() == 0


def test_systick(tmp_path: Path) -> None:
    """On the emulated Cortex-M0, whose real part has none; its time is that of the instructions."""
    board = BOARDS["microbit"]
    memory = ["FLASH_ORIGIN=0", "FLASH_BYTES=0x40000", "RAM_ORIGIN=0x20000000", "RAM_BYTES=0x4000"]
    symbols = [f"-Wl,--defsym=VQ_{each}" for each in (*memory, "STACK_BYTES=0x400")]
    firmware = RUNTIME / "firmware"
    elf = tmp_path / "systick.elf"
    subprocess.run(
        [
            *(find_tool("arm-none-eabi-gcc"), *board.core.cflags, "-std=c11", "-O2"),
            *("-nostartfiles", f"-I{RUNTIME / 'include'}", *symbols),
            *("-T", firmware / "cortexm.ld", "-o", elf),
            *(SOURCES / "systick.c", RUNTIME / "rpc" / "cycles.c"),
            *(path for path in firmware.glob("*.c") if path.name != "main.c"),
        ],
        check=True,
    )
    completed = subprocess.run(
        [
            *("qemu-system-arm", "-M", board.machine, "-nographic", "-monitor", "none"),
            *("-serial", "none", "-icount", "shift=10,sleep=off"),
            *("-semihosting-config", "enable=on,target=native", "-kernel", elf),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert completed.stdout == f"source {SYSTICK} rounds 5 steady 1"


# --- of layers -------------------------------------------------------------------------------


def load(link: MemoryLink, data: bytes) -> None:
    link.load(*parts(data))


def test_layers_that_ran_and_that_did_not(model_dir: Path, tmp_path: Path) -> None:
    link = MemoryLink(model_dir, APP, tmp_path)
    hello = link.hello()
    assert (hello.clock_hz, hello.cycles_source, hello.board) == (1_000_000, DWT, "test")
    load(link, sample(1, Command.LARGE_FRAME))
    # of an inference: its start, that of its first layer, the end of each of two, and its own
    assert link.run() == (0, 0, 4)
    assert link.layers() == (1, 1)
    load(link, sample(1))
    assert link.run(10) == (0, 0, 30)
    assert link.layers() == (0, 1)
    assert link.layers(1) == (1,)


def test_more_layers_than_a_payload_takes(model_dir: Path, tmp_path: Path) -> None:
    app = AppSpec(dataclasses.replace(IO, layers=100), APP.sample)
    link = MemoryLink(model_dir, app, tmp_path)
    assert link.hello().largest_payload == 256
    link.run()
    assert link.layers() == (0, 1, *[0] * 62)
    assert link.layers(64) == (0,) * 36
    assert link.layers(100) == ()
    assert link.ask(Kind.LAYERS, b"\x65\0") == Answer(Status.OUT_OF_RANGE)


def test_layers_that_nobody_told_of_are_left_out(tmp_path: Path) -> None:
    """As where a model has more of them than its app says."""
    library = tmp_path / "steps.so"
    command = [find_tool("cc"), "-std=c11", "-O1", "-shared", "-fPIC", "-DVQ_RPC"]
    command += [f"-I{RUNTIME / 'include'}", "-o", library, SOURCES / "steps.c"]
    subprocess.run([*command, RUNTIME / "rpc" / "layers.c"], check=True)
    steps = ctypes.CDLL(str(library))
    for told in range(4):
        steps.steps_run(told)
        cycles = list((ctypes.c_uint32 * 4).in_dll(steps, "steps_cycles"))
        assert cycles == [1] * told + [99] * (4 - told)


def test_the_answer_to_a_reset_has_left_the_uart_before(model_dir: Path, tmp_path: Path) -> None:
    link = MemoryLink(model_dir, APP, tmp_path)
    link.hello()
    link.send(stuffed(body(Kind.RESET, b"", SESSION, 9)))
    said = link.receive(0.0)
    answer, after = said.rstrip(b"\0"), len(said) - len(said.rstrip(b"\0"))
    assert cobs.decode(answer[1:])[:6] == body(Kind.RESET + 128, b"", SESSION, 9)
    # the end of its frame, and two that are empty
    assert after == 3
    reader = FrameReader()
    assert len(reader.feed(said)) == 1
    assert reader.dropped == 0


def test_a_stack_overflow_has_no_answer(model_dir: Path, tmp_path: Path) -> None:
    link = MemoryLink(model_dir, APP, tmp_path)
    link.hello()
    link.overflow_stack()
    answer = link.ask(Kind.RUN, b"\1\0\0\0", again_after_seconds=0.0)
    assert answer == Answer(Status.NO_SESSION)
    assert link.hello().fault_status == 1 << 20
    assert link.counters().receiver_errors == 5


def test_the_layers_of_two_paths(tmp_path: Path) -> None:
    """In the generated code those of the accurate net are not told where it does not run."""
    policy = Policy(**BOTH)
    data = samples(12)
    least, *_, most = quantiles(policy, data)
    model = build(compose(fast(), accurate(), policy), name="both")
    folder = model.export(tmp_path / "model")
    link = MemoryLink(folder, model.app, tmp_path)
    hello = link.hello()
    steps = [step.layer for step in model.program.steps]
    assert hello.layers == len(steps)
    branch = model.program.branch
    assert branch is not None
    for value, path in ((least, 0), (most, 1)):
        for index in range(hello.thresholds):
            payload = struct.pack("<HHi", index, 1, value)
            assert link.ask(Kind.THRESHOLD, payload).status == Status.DONE
        link.load(data[0][0].tobytes())
        status, taken, cycles = link.run()
        assert (status, taken) == (0, path)
        ran = [path == 1 or not branch.first <= i < branch.end for i in range(len(steps))]
        assert link.layers() == tuple(int(each) for each in ran)
        assert cycles == sum(ran) + 2
