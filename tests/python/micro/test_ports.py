"""The ports of STM32 boards, compiled for this computer, on fake registers: clock trees within the
limits of the data sheets, UARTs, bounded waiting. No hardware was asked."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from clock_trees import MHZ, Part, Stm32F4, Stm32H7, Stm32L4Plus, Uart, Working
from fake_registers import BAUD, FakeBoard, build_port

from vq_cortexm.errors import UsageError
from vq_cortexm.micro.transport import DEFAULT_BAUD, check_baud
from vq_cortexm.target import BOARDS

PARTS: dict[str, Part] = {
    "netduinoplus2": Stm32F4(
        Uart(
            0x4001_1000, 0x4002_0400, (6, 7), 7, {0x4002_3830: 1 << 1, 0x4002_3844: 1 << 4}, False
        ),
        hse_hz=25 * MHZ,
        hse_bypass=False,
        full_hz=168 * MHZ,
        apb1_limit_hz=42 * MHZ,
        wait_states=5,
        apb_bus=2,
    ),
    "stm32f4-discovery": Stm32F4(
        Uart(
            0x4000_4400, 0x4002_0000, (2, 3), 7, {0x4002_3830: 1 << 0, 0x4002_3840: 1 << 17}, False
        ),
        hse_hz=8 * MHZ,
        hse_bypass=False,
        full_hz=168 * MHZ,
        apb1_limit_hz=42 * MHZ,
        wait_states=5,
    ),
    "nucleo-f746zg": Stm32F4(
        Uart(0x4000_4800, 0x4002_0C00, (8, 9), 7, {0x4002_3830: 1 << 3, 0x4002_3840: 1 << 18}),
        hse_hz=8 * MHZ,
        hse_bypass=True,
        full_hz=216 * MHZ,
        apb1_limit_hz=54 * MHZ,
        wait_states=7,
        over_drive=True,
    ),
    "nucleo-l4r5zi": Stm32L4Plus(
        Uart(
            0x4000_8000,
            0x4800_1800,
            (7, 8),
            8,
            # VDDIO2 besides the clocks
            {0x4002_104C: 1 << 6, 0x4002_105C: 1 << 0, 0x4000_7004: 1 << 9},
        )
    ),
    "nucleo-h743zi": Stm32H7(
        Uart(0x4000_4800, 0x5802_0C00, (8, 9), 7, {0x5802_44E0: 1 << 3, 0x5802_44E8: 1 << 18})
    ),
}


def test_every_board_works_with_the_default_rate() -> None:
    for board in BOARDS.values():
        check_baud(board, DEFAULT_BAUD)


EVERYTHING, NO_HSE, NOTHING = Working(), Working(hse=False), Working(hse=False, pll=False)

# sets - 1 from bit 13, ways - 1 from bit 3, of 4 ways and lines of 32 bytes
CCSIDR, CCR, DCISW = 0xE000_ED80, 0xE000_ED14, 0xE000_EF60
CACHE_WAYS, CACHE_LINE_BYTES = 4, 32

Fake = Callable[[str, Working], FakeBoard]


@pytest.fixture(scope="session")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Fake:
    libraries: dict[str, Path] = {}

    def make(name: str, working: Working = EVERYTHING) -> FakeBoard:
        if name not in libraries:
            libraries[name] = build_port(name, tmp_path_factory.mktemp("port"))
        part, cache = PARTS[name], BOARDS[name].data_cache_bytes
        reset = dict(part.reset)
        if cache:
            sets = cache // CACHE_LINE_BYTES // CACHE_WAYS
            reset[CCSIDR] = sets - 1 << 13 | CACHE_WAYS - 1 << 3
        return FakeBoard(libraries[name], reset, part.answers(working))

    return make


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("working", [EVERYTHING, NO_HSE, NOTHING], ids=["all", "no HSE", "nothing"])
def test_the_clock_is_the_one_that_is_told(fake: Fake, name: str, working: Working) -> None:
    part, board = PARTS[name], fake(name, working)
    told = board.open()
    clocks = part.clocks(board.values)
    assert told == clocks.core == (part.full_hz if working.pll else part.rest_hz)
    divider = board.values[part.uart.address + (0x0C if part.uart.has_isr else 0x08)]
    assert 16 <= divider < 1 << 20
    # the nearest there is, and near enough for the other side
    assert abs(clocks.uart / BAUD - divider) <= 0.5
    assert abs(clocks.uart / divider / BAUD - 1) < 0.01


@pytest.mark.parametrize("name", PARTS)
def test_what_target_says(fake: Fake, name: str) -> None:
    assert fake(name, EVERYTHING).name == name
    assert PARTS[name].full_hz == BOARDS[name].clock_hz


@pytest.mark.parametrize("name", PARTS)
def test_rates_that_the_divider_takes(fake: Fake, name: str) -> None:
    part, board, told = PARTS[name], fake(name), BOARDS[name]
    board.open()
    clock = part.clocks(board.values).uart
    # BRR: 20 bits, 768 at least, of an LPUART; of a USART 16 bits, 16 at least
    least, most = (0x300, 0xFFFFF) if isinstance(part, Stm32L4Plus) else (16, 0xFFFF)
    assert told.least_baud == max(1200, math.ceil(clock / most))
    assert told.most_baud == min(4_000_000, math.floor(clock / least))
    for baud in (told.least_baud, told.most_baud):
        check_baud(told, baud)
        assert least <= (int(clock) + baud // 2) // baud <= most
    for baud in (0, told.least_baud - 1, told.most_baud + 1):
        with pytest.raises(UsageError, match=f"baud {baud}: the UART of {name} works with "):
            check_baud(told, baud)


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("working", [EVERYTHING, NO_HSE], ids=["all", "no HSE"])
def test_nothing_is_too_fast_for_a_moment(fake: Fake, name: str, working: Working) -> None:
    part, board = PARTS[name], fake(name, working)
    board.open()
    switch = next(i for i, (a, v) in enumerate(board.writes) if a == part.switch and v & 3)
    part.check_switch({**part.reset, **dict(board.writes[:switch])}, board.writes[switch][1])


@pytest.mark.parametrize("name", PARTS)
def test_waiting_ends(fake: Fake, name: str) -> None:
    board = fake(name, NOTHING)
    board.open()
    # three waits of 100,000 looks at most: HSE, over-drive or voltage, PLL
    assert 100_000 <= board.looks < 301_000
    board.looks = 0
    sent = len(board.writes)
    board.put(0x55)
    assert board.looks == 100_000 and len(board.writes) == sent


@pytest.mark.parametrize("name", PARTS)
def test_pins_and_uart_are_on(fake: Fake, name: str) -> None:
    uart, board = PARTS[name].uart, fake(name, EVERYTHING)
    board.open()
    for address in (uart.address + (0x0C if uart.has_isr else 0x08), uart.port):
        for enable, bits in uart.enabled.items():
            assert board.before[address].get(enable, 0) & bits == bits
    for pin in uart.pins:
        assert board.values[uart.port] >> 2 * pin & 3 == 2
        assert board.values[uart.port + 0x0C] >> 2 * pin & 3 == 1
        function = board.values[uart.port + (0x20 if pin < 8 else 0x24)] >> 4 * (pin % 8) & 15
        assert function == uart.function
    on = 1 << 0 if uart.has_isr else 1 << 13
    assert board.values[uart.address + (0 if uart.has_isr else 0x0C)] == on | 1 << 2 | 1 << 3


@pytest.mark.parametrize("name", PARTS)
def test_bytes(fake: Fake, name: str) -> None:
    uart, board = PARTS[name].uart, fake(name, EVERYTHING)
    status, receive, send = (
        uart.address + offset for offset in ((0x1C, 0x24, 0x28) if uart.has_isr else (0, 4, 4))
    )
    board.open()
    received, transmit_ready, overrun, framing = 1 << 5, 1 << 7, 1 << 3, 1 << 1
    assert (board.get(), board.receiver_errors()) == (-1, 0)
    board.values |= {status: received, receive: 0x1A5}
    assert (board.get(), board.receiver_errors()) == (0xA5, 0)
    board.values[status] = received | overrun
    assert (board.get(), board.receiver_errors()) == (0xA5, 1)
    if uart.has_isr:
        assert board.writes[-1] == (uart.address + 0x20, 15)
    board.values[status] = framing
    assert (board.get(), board.receiver_errors()) == (-1, 2)
    board.values[status] = transmit_ready
    board.put(0xC3)
    assert board.writes[-1] == (send, 0xC3)


@pytest.mark.parametrize("name", [name for name in PARTS if BOARDS[name].data_cache_bytes])
def test_caches_are_emptied_and_on(fake: Fake, name: str) -> None:
    board = fake(name, EVERYTHING)
    board.open()
    emptied = [value for address, value in board.writes if address == DCISW]
    sets = BOARDS[name].data_cache_bytes // CACHE_LINE_BYTES // CACHE_WAYS
    assert sorted(emptied) == sorted(s << 5 | w << 30 for s in range(sets) for w in range(4))
    assert board.values[CCR] == 1 << 16 | 1 << 17
    assert board.writes.index((CCR, 1 << 16 | 1 << 17)) > board.writes.index((DCISW, emptied[-1]))


@pytest.mark.parametrize(
    ("revision", "mended"), [(0x1001, 1), (0x1003, 1), (0x2001, 0), (0x2003, 0)]
)
def test_axi_sram_of_early_parts(fake: Fake, revision: int, mended: int) -> None:
    board = fake("nucleo-h743zi", EVERYTHING)
    board.values[0x5C00_1000] = revision << 16 | 0x6450
    board.open()
    assert board.values.get(0x5100_8108, 0) == mended
