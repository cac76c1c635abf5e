"""What runs on a device took: seconds, and where they are from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..compat import BenchmarkResult
from ..target import BOARDS
from .cycle_model import InferenceRecord
from .device import Device, RunCost
from .messages import CycleCounter

_COUNTERS = {CycleCounter.DWT: "cycles of the DWT", CycleCounter.SYSTICK: "cycles of SysTick"}


class DeviceTimes(BenchmarkResult):  # type: ignore[misc]
    """TVM's result of a time evaluator, with what the seconds are made of."""

    def __init__(self, results: Sequence[float], source: str) -> None:
        super().__init__(results)
        self.source = source
        """As "modelled cycles at 25 MHz"."""

    def __str__(self) -> str:
        return f"{super().__str__()}\nof {self.source}"


@dataclass(frozen=True)
class LayerTime:
    """A layer in the last inference: `cycles` counted on the device or modelled in the emulator,
    None where there are none; `instructions` only from the emulator. 0 where it was skipped."""

    name: str
    op: str
    macs: int
    cycles: int | None
    instructions: int | None
    source: str


def time_of(device: Device, cost: RunCost) -> tuple[float, str]:
    """Seconds of one inference, and what they are made of.

    A device that counts cycles is believed; in the emulator they are modelled, or where the core
    has no model, its instructions are taken for cycles; else it is what this computer's clock says,
    the link's share included.
    """
    hello = device.hello
    if cost.cycles is not None:
        seconds = cost.cycles / cost.inferences / hello.clock_hz
        return seconds, f"{_COUNTERS[hello.counter]} {_at(hello.clock_hz)}"
    if cost.records:
        # of the part: an emulated board need not have its clock tree
        hertz = BOARDS[hello.board].clock_hz or hello.clock_hz
        total = sum(cycles_or_instructions(record) for record in cost.records)
        modelled = cost.records[0].cycles is not None
        kind = "modelled cycles" if modelled else "instructions in the emulator, not cycles,"
        return total / len(cost.records) / hertz, f"{kind} {_at(hertz)}"
    return cost.seconds / cost.inferences, "this computer's clock, the link included"


def _at(hertz: int) -> str:
    return f"at {hertz / 1e6:g} MHz"


def cycles_or_instructions(record: InferenceRecord) -> int:
    """Modelled cycles, or instructions where the core has no model."""
    count = record.instructions if record.cycles is None else record.cycles
    assert count is not None, "an inference is counted in one of them at least"
    return count


def layer_times(device: Device, cost: RunCost) -> tuple[LayerTime, ...]:
    """All layers, in order, in the last inference of `cost`."""
    _, source = time_of(device, cost)
    layers = device.model.layers
    cycles: list[int | None] = [None] * len(layers)
    instructions: list[int | None] = [None] * len(layers)
    if cost.records:
        # an inference that skips layers skips the last ones
        ran = cost.records[-1].layers
        skipped = [0] * (len(layers) - len(ran))
        instructions = [*(layer.instructions for layer in ran), *skipped]
        if cost.records[-1].cycles is not None:
            cycles = [*(layer.cycles for layer in ran), *skipped]
    elif cost.cycles is not None and any(counted_on_device := device.layer_cycles()):
        # a firmware that was built without `profile` has noughts
        cycles = list(counted_on_device)
    return tuple(
        LayerTime(layer.name, layer.op, layer.macs, counted, executed, source)
        for layer, counted, executed in zip(layers, cycles, instructions, strict=True)
    )
