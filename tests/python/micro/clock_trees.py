"""Clock trees of parts, read off the values of their registers after ST's reference manuals, with
the limits of the data sheets: what a port writes is checked against these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fake_registers import Answer, Registers

MHZ = 1_000_000


@dataclass(frozen=True)
class Working:
    """What starts after reset."""

    hse: bool = True
    pll: bool = True
    """And the voltage or over-drive that it needs."""


@dataclass(frozen=True)
class Clocks:
    """In Hz."""

    core: float
    uart: float
    """What feeds the UART; an LPUART's 256-fold."""


@dataclass(frozen=True)
class Uart:
    """Its address, its two pins and their function, and what must be on before either is used."""

    address: int
    port: int
    pins: tuple[int, int]
    function: int
    enabled: Mapping[int, int]
    """Bits of registers by address."""
    has_isr: bool = True
    """ISR, RDR and TDR in place of SR and DR."""


def _apb(code: int) -> int:
    """What an APB's prescaler divides by."""
    return 1 << (code - 3) if code & 4 else 1


def _ahb(code: int) -> int:
    """The same for an AHB, or the H7's core; those that the ports use."""
    return 1 << (code - 7) if code & 8 else 1


@dataclass(frozen=True)
class Stm32F4:
    """STM32F4 and F7: RM0090, RM0385."""

    uart: Uart
    hse_hz: int
    hse_bypass: bool
    full_hz: int
    apb1_limit_hz: int
    wait_states: int
    apb_bus: int = 1
    """Of the UART."""
    over_drive: bool = False
    rest_hz: int = 16 * MHZ
    """After reset."""
    switch: int = 0x4002_3808
    reset: Mapping[int, int] = field(default_factory=lambda: {0x4002_3800: 0x83})

    def answers(self, working: Working) -> dict[int, Answer]:
        """RCC_CR, RCC_CFGR and PWR_CSR1 show what has started."""

        def cr(values: Registers) -> int:
            value = values[0x4002_3800]
            hse = value & 1 << 16 and working.hse
            return value | (bool(hse) << 17) | (bool(value & 1 << 24 and working.pll) << 25)

        def cfgr(values: Registers) -> int:
            value = values.get(0x4002_3808, 0)
            return value | (value & 3) << 2

        def csr1(values: Registers) -> int:
            value = values.get(0x4000_7000, 0)
            return value & 3 << 16 if working.pll and values[0x4002_3840] & 1 << 28 else 0

        return {0x4002_3800: cr, 0x4002_3808: cfgr, 0x4000_7004: csr1}

    def clocks(self, values: Registers) -> Clocks:
        """As the registers say; AssertionError where they are out of the part's limits."""
        cfgr = values[0x4002_3808]
        core = self.rest_hz if cfgr & 3 == 0 else self._pll(values)
        core /= _ahb(cfgr >> 4 & 15)
        apb1, apb2 = (core / _apb(cfgr >> shift & 7) for shift in (10, 13))
        assert apb1 <= self.apb1_limit_hz and apb2 <= 2 * self.apb1_limit_hz
        return Clocks(core, apb1 if self.apb_bus == 1 else apb2)

    def _pll(self, values: Registers) -> float:
        pllcfgr = values[0x4002_3804]
        from_hse = bool(pllcfgr & 1 << 22)
        if from_hse:
            assert bool(values[0x4002_3800] & 1 << 18) == self.hse_bypass
        vco_in = (self.hse_hz if from_hse else 16 * MHZ) / (pllcfgr & 63)
        assert MHZ <= vco_in <= 2 * MHZ
        vco = vco_in * (pllcfgr >> 6 & 511)
        assert 100 * MHZ <= vco <= 432 * MHZ
        q = pllcfgr >> 24 & 15
        assert q >= 2 and vco / q <= 48 * MHZ
        return vco / (2 * ((pllcfgr >> 16 & 3) + 1))

    def check_switch(self, values: Registers, written: int) -> None:
        """Wait states, buses and over-drive before the core is fast."""
        assert values[0x4002_3C00] & 15 == self.wait_states
        if self.over_drive:
            assert values[0x4000_7000] & 3 << 16 == 3 << 16
        self.clocks({**values, self.switch: written})


@dataclass(frozen=True)
class Stm32L4Plus:
    """STM32L4R5: RM0432. It has no HSE on this board."""

    uart: Uart
    full_hz: int = 120 * MHZ
    rest_hz: int = 4 * MHZ
    switch: int = 0x4002_1008
    reset: Mapping[int, int] = field(
        default_factory=lambda: {0x4002_1000: 0x63, 0x4000_7080: 0x100, 0x4002_2000: 0x600}
    )

    def answers(self, working: Working) -> dict[int, Answer]:
        """RCC_CR and RCC_CFGR show what has started."""

        def cr(values: Registers) -> int:
            value = values[0x4002_1000]
            hsi = bool(value & 1 << 8)
            return value | hsi << 10 | (bool(value & 1 << 24 and hsi and working.pll) << 25)

        def cfgr(values: Registers) -> int:
            value = values.get(0x4002_1008, 0)
            return value | (value & 3) << 2

        return {0x4002_1000: cr, 0x4002_1008: cfgr}

    def clocks(self, values: Registers) -> Clocks:
        """As the registers say; AssertionError where they are out of the part's limits."""
        cfgr = values.get(0x4002_1008, 0)
        core = float(self.rest_hz) if cfgr & 3 == 0 else self._pll(values)
        core /= _ahb(cfgr >> 4 & 15)
        assert core <= self.full_hz and values.get(0x4002_1088, 0) & 3 << 10 == 0
        return Clocks(core, 256 * core / _apb(cfgr >> 8 & 7))

    def _pll(self, values: Registers) -> float:
        pllcfgr = values[0x4002_100C]
        assert pllcfgr & 3 == 2 and pllcfgr & 1 << 24
        vco_in = 16 * MHZ / ((pllcfgr >> 4 & 15) + 1)
        assert 2.66 * MHZ <= vco_in <= 16 * MHZ
        vco = vco_in * (pllcfgr >> 8 & 127)
        assert 64 * MHZ <= vco <= 344 * MHZ
        return vco / (2 * ((pllcfgr >> 25 & 3) + 1))

    def check_switch(self, values: Registers, written: int) -> None:
        """Wait states and boost mode before the core is fast, and half the clock at first."""
        assert values[0x4002_2000] & 15 == 5
        assert values[0x4000_7080] & 1 << 8 == 0 and values[0x4002_1058] & 1 << 28
        assert self.clocks({**values, self.switch: written}).core == self.full_hz / 2


@dataclass(frozen=True)
class Stm32H7:
    """STM32H743: RM0433, voltage scale 1."""

    uart: Uart
    full_hz: int = 400 * MHZ
    rest_hz: int = 64 * MHZ
    hse_hz: int = 8 * MHZ
    switch: int = 0x5802_4410
    reset: Mapping[int, int] = field(
        default_factory=lambda: {
            0x5802_4400: 0x25,
            0x5802_480C: 0x6,
            0x5802_4818: 0x4000,
            0x5200_2000: 0x37,
            0x5C00_1000: 0x2003_6450,
        }
    )

    def answers(self, working: Working) -> dict[int, Answer]:
        """RCC_CR, RCC_CFGR, PWR_CSR1 and PWR_D3CR show what has started."""

        def cr(values: Registers) -> int:
            value = values[0x5802_4400]
            hse = value & 1 << 16 and working.hse
            return value | (bool(hse) << 17) | (bool(value & 1 << 24 and working.pll) << 25)

        def cfgr(values: Registers) -> int:
            value = values.get(0x5802_4410, 0)
            return value | (value & 7) << 3

        def csr1(values: Registers) -> int:
            return (values[0x5802_480C] & 7 == 6 and working.pll) << 13

        def d3cr(values: Registers) -> int:
            return values[0x5802_4818] | working.pll << 13

        return {0x5802_4400: cr, 0x5802_4410: cfgr, 0x5802_4804: csr1, 0x5802_4818: d3cr}

    def clocks(self, values: Registers) -> Clocks:
        """As the registers say; AssertionError where they are out of the part's limits."""
        sw = values.get(0x5802_4410, 0) & 7
        d1, d2, d3 = (values[0x5802_4418 + offset] for offset in (0, 4, 8))
        core = float(self.rest_hz) if sw == 0 else self._pll(values)
        core /= _ahb(d1 >> 8 & 15)
        axi = core / _ahb(d1 & 15)
        assert axi <= 200 * MHZ
        codes = (d1 >> 4, d2 >> 4, d2 >> 8, d3 >> 4)
        apbs = [axi / _apb(code & 7) for code in codes]
        assert max(apbs) <= 100 * MHZ and values.get(0x5802_4454, 0) & 7 == 0
        return Clocks(core, apbs[1])

    def _pll(self, values: Registers) -> float:
        select, pllcfgr, dividers = (values[0x5802_4428 + offset] for offset in (0, 4, 8))
        assert pllcfgr & 1 << 16 and pllcfgr & 3 == 0  # the wide VCO, no fraction
        if select & 3 == 2:
            assert values[0x5802_4400] & 1 << 18
        vco_in = {0: 64 * MHZ, 2: self.hse_hz}[select & 3] / (select >> 4 & 63)
        low = MHZ << (pllcfgr >> 2 & 3)
        assert max(low, 2 * MHZ) <= vco_in <= 2 * low
        vco = vco_in * ((dividers & 511) + 1)
        assert 192 * MHZ <= vco <= 836 * MHZ
        return vco / ((dividers >> 9 & 127) + 1)

    def check_switch(self, values: Registers, written: int) -> None:
        """Wait states, voltage and buses before the core is fast."""
        assert values[0x5200_2000] == 2 << 4 | 2
        assert values[0x5802_4818] & 3 << 14 == 3 << 14
        self.clocks({**values, self.switch: written})


Part = Stm32F4 | Stm32L4Plus | Stm32H7
