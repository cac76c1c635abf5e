"""Every fact about cores and boards: ISA features, memories, clocks, emulation, debug probes.

TVM's own target object carries only what its registry knows (kind, mcpu, keys); everything else is
looked up here by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from .errors import UsageError

KIBI = 1024

Emulation = Literal["qemu", "host", "none"]
"""What plays a board here: QEMU, this computer itself, or nothing: there only is the hardware."""
Isa = Literal["dsp", "thumb2", "thumb"]
"""Instructions that kernels use: those of Armv7E-M (SMLAD, SXTB16, SMMLA), of Armv7-M (Thumb-2 with
MLA, SMULL, SSAT) or of Armv6-M. Each has all of the next."""


@dataclass(frozen=True)
class Core:
    """An Arm Cortex-M core (or the host) as the kernels see it.

    `cflags` are the machine flags of gcc; `isa` is None on the host; `has_fpu` means
    single-precision VFP arithmetic.
    """

    name: str
    cflags: tuple[str, ...]
    isa: Isa | None = None
    has_fpu: bool = False
    models_cycles: bool = False
    """Whether the emulator's cycle model applies (Cortex-M4); elsewhere instructions only."""


@dataclass(frozen=True)
class Memory:
    """A contiguous memory of a part: address and size in bytes."""

    origin: int
    size_bytes: int


@dataclass(frozen=True)
class Probe:
    """How the two programs that flash a part through its debug probe call it."""

    pyocd_target: str
    openocd_files: tuple[str, ...]
    """Of OpenOCD's scripts: the probe's, then the part's."""


@dataclass(frozen=True)
class Board:
    """A part with its core and memories, and how a program gets onto it."""

    name: str
    core: Core
    flash: Memory
    ram: Memory
    emulation: Emulation
    machine: str = ""
    """QEMU's machine name."""
    description: str = ""
    clock_hz: int | None = None
    """Of the core, as its port sets it up and QEMU has it; None for the host."""
    least_baud: int = 1200
    most_baud: int = 4_000_000
    """Of the link: what a computer's port does, unless the board's UART does less. Its clock, with
    the core at `clock_hz`, is divided by 16 to 65,535, an LPUART's by 3 to 4,095.99."""
    data_cache_bytes: int = 0
    probe: Probe | None = None
    stack_bytes: int = 4 * KIBI
    """Reserved at the top of RAM; the linker script and the RAM budget both count it."""
    picojoules_per_cycle: float | None = None
    """What the part takes while it runs from flash, by its data sheet's typical current; None where
    there is no part, or no figure. For estimates: supply and clock change it."""


_M0 = Core("cortex-m0", ("-mcpu=cortex-m0", "-mthumb", "-mfloat-abi=soft"), "thumb")
_M3 = Core("cortex-m3", ("-mcpu=cortex-m3", "-mthumb", "-mfloat-abi=soft"), "thumb2")
_M4F = Core(
    "cortex-m4",
    ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
    isa="dsp",
    has_fpu=True,
    models_cycles=True,
)
_M7F = Core(
    "cortex-m7",
    ("-mcpu=cortex-m7", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"),
    isa="dsp",
    has_fpu=True,
)
_M33F = Core(
    "cortex-m33",
    ("-mcpu=cortex-m33", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"),
    isa="dsp",
    has_fpu=True,
)
_M55F = Core(
    "cortex-m55",
    # kernels use what Armv8-M Main has: no vector instruction may come from the compiler alone
    ("-mcpu=cortex-m55+nomve", "-mthumb", "-mfloat-abi=hard"),
    isa="dsp",
    has_fpu=True,
)
_HOST = Core("host", (), has_fpu=True)

CORES: dict[str, Core] = {core.name: core for core in (_M0, _M3, _M4F, _M7F, _M33F, _M55F, _HOST)}


def _mps2(name: str, core: Core, image: str) -> Board:
    return Board(
        name,
        core,
        Memory(0x0000_0000, 4096 * KIBI),
        Memory(0x2000_0000, 4096 * KIBI),
        emulation="qemu",
        machine=name,
        description=f"Arm MPS2 FPGA board, {image}",
        clock_hz=25_000_000,
        most_baud=25_000_000 // 16,
    )


_STM32_FLASH = 0x0800_0000
"""Also seen at 0, from where the core boots."""
_ST_LINK = "interface/stlink.cfg"

BOARDS: dict[str, Board] = {
    board.name: board
    for board in (
        Board(
            "microbit",
            _M0,
            Memory(0x0000_0000, 256 * KIBI),
            Memory(0x2000_0000, 16 * KIBI),
            emulation="qemu",
            machine="microbit",
            description="BBC micro:bit, Nordic nRF51822 with a Cortex-M0",
            clock_hz=16_000_000,
            most_baud=1_000_000,
            stack_bytes=2 * KIBI,
            # 4.4 mA at 16 MHz and 3 V
            picojoules_per_cycle=825.0,
        ),
        Board(
            "stm32vldiscovery",
            _M3,
            Memory(_STM32_FLASH, 128 * KIBI),
            Memory(0x2000_0000, 8 * KIBI),
            emulation="qemu",
            machine="stm32vldiscovery",
            description="STM32VLDISCOVERY, STM32F100RB with a Cortex-M3",
            clock_hz=24_000_000,
            most_baud=24_000_000 // 16,
            stack_bytes=2 * KIBI,
        ),
        _mps2("mps2-an386", _M4F, "Cortex-M4F image AN386"),
        _mps2("mps2-an385", _M3, "Cortex-M3 image AN385"),
        Board(
            "netduinoplus2",
            _M4F,
            Memory(_STM32_FLASH, 1024 * KIBI),
            # the part's other 64 KB are not next to these, and QEMU has nothing where they are
            Memory(0x2000_0000, 128 * KIBI),
            emulation="qemu",
            machine="netduinoplus2",
            description="Netduino Plus 2, STM32F405RG with a Cortex-M4F",
            clock_hz=168_000_000,
            least_baud=84_000_000 // 65_535 + 1,  # APB2
            # 40 mA at 168 MHz and 3.3 V, peripherals off
            picojoules_per_cycle=786.0,
        ),
        _mps2("mps2-an500", _M7F, "Cortex-M7 image AN500"),
        Board(
            "mps2-an505",
            _M33F,
            # the secure views of SSRAM1, SSRAM2 and SSRAM3: the core starts in the secure state
            Memory(0x1000_0000, 4096 * KIBI),
            Memory(0x3800_0000, 4096 * KIBI),
            emulation="qemu",
            machine="mps2-an505",
            description="Arm MPS2 FPGA board, Cortex-M33 image AN505",
            clock_hz=20_000_000,
            most_baud=20_000_000 // 16,
        ),
        Board(
            "mps3-an547",
            _M55F,
            # the secure views of the ITCM, from where the core boots, and of the internal SRAMs
            Memory(0x1000_0000, 512 * KIBI),
            Memory(0x3100_0000, 4096 * KIBI),
            emulation="qemu",
            machine="mps3-an547",
            description="Arm MPS3 FPGA board, Cortex-M55 image AN547 (Corstone-300)",
            clock_hz=32_000_000,
            most_baud=25_000_000 // 16,  # peripherals
        ),
        Board(
            "nucleo-l4r5zi",
            _M4F,
            Memory(_STM32_FLASH, 2048 * KIBI),
            # SRAM1, SRAM2 at its second address, SRAM3: one after the other
            Memory(0x2000_0000, 640 * KIBI),
            emulation="none",
            description="NUCLEO-L4R5ZI, STM32L4R5ZI with a Cortex-M4F",
            clock_hz=120_000_000,
            least_baud=120_000_000 // 4096 + 1,
            probe=Probe("stm32l4r5zitx", (_ST_LINK, "target/stm32l4x.cfg")),
        ),
        Board(
            "nucleo-f746zg",
            _M7F,
            Memory(_STM32_FLASH, 1024 * KIBI),
            # DTCM of 64 KB, SRAM1, SRAM2: one after the other
            Memory(0x2000_0000, 320 * KIBI),
            emulation="none",
            description="NUCLEO-F746ZG, STM32F746ZG with a Cortex-M7",
            clock_hz=216_000_000,
            most_baud=54_000_000 // 16,  # APB1
            data_cache_bytes=4 * KIBI,
            probe=Probe("stm32f746zgtx", (_ST_LINK, "target/stm32f7x.cfg")),
        ),
        Board(
            "nucleo-h743zi",
            _M7F,
            Memory(_STM32_FLASH, 2048 * KIBI),
            # the AXI SRAM, the largest block; DTCM and SRAM1 to SRAM4 are elsewhere
            Memory(0x2400_0000, 512 * KIBI),
            emulation="none",
            description="NUCLEO-H743ZI or -H743ZI2, STM32H743ZI with a Cortex-M7",
            clock_hz=400_000_000,  # 480 MHz is for revision V alone
            least_baud=100_000_000 // 65_535 + 1,  # APB1
            data_cache_bytes=16 * KIBI,
            probe=Probe("stm32h743zitx", (_ST_LINK, "target/stm32h7x.cfg")),
        ),
        Board(
            "stm32f4-discovery",
            _M4F,
            Memory(_STM32_FLASH, 1024 * KIBI),
            # the other 64 KB, CCM, are not next to these
            Memory(0x2000_0000, 128 * KIBI),
            emulation="none",
            description="STM32F4-Discovery, STM32F407VG with a Cortex-M4F",
            clock_hz=168_000_000,
            most_baud=42_000_000 // 16,  # APB1
            probe=Probe("stm32f407vgtx", (_ST_LINK, "target/stm32f4x.cfg")),
            picojoules_per_cycle=786.0,  # netduinoplus2's data sheet has both parts
        ),
        Board(
            "host",
            _HOST,
            Memory(0, 1 << 31),
            Memory(0, 1 << 31),
            emulation="host",
            description="the same generated C, compiled for this computer",
        ),
    )
}

DEFAULT_TARGET = "vq-cortexm"
DEFAULT_CORE = "cortex-m4"


def board_by_name(name: str) -> Board:
    """The board called `name`; UsageError names the known ones otherwise."""
    if name in BOARDS:
        return BOARDS[name]
    raise UsageError(_unknown("board", name, BOARDS))


def check_runs_here(board: Board) -> None:
    """UsageError, with boards of the same core that are emulated, for one that only is hardware."""
    if board.emulation == "none":
        known = [b.name for b in BOARDS.values() if b.core == board.core and b.machine]
        raise UsageError(
            f"board {board.name!r} is hardware and not emulated: `compile --board {board.name}` "
            "makes its firmware.elf, `run --port` runs it there; "
            f"emulated with a {board.core.name}: {', '.join(known)}"
        )


def core_by_name(name: str) -> Core:
    """The core called `name`, as in gcc's -mcpu; UsageError names the known ones otherwise."""
    if name in CORES:
        return CORES[name]
    raise UsageError(_unknown("core", name, CORES))


def _unknown(what: str, name: str, known: dict[str, Core] | dict[str, Board]) -> str:
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"unknown {what} {name!r}; {hint}known: {', '.join(known)}"
