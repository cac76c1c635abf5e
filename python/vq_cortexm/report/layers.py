"""One record per layer: work, modelled cycles, flash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..aot.library import function_symbols
from ..aot.program import Program
from ..micro.cycle_model import InferenceRecord
from ..micro.firmware import FirmwareSizes


@dataclass(frozen=True)
class LayerReport:
    """A layer's cost.

    `flash` counts its constants and, where a firmware was linked, its code (a function that
    several layers share counts at the first of them). `cycles` and `instructions` are one
    inference's, None where nothing was run.
    """

    name: str
    op: str
    macs: int
    cycles: int | None
    instructions: int | None
    flash: int
    realisation: str = "plain"
    levels: int = 256


def describe_layers(
    program: Program,
    model: str,
    records: Sequence[InferenceRecord] = (),
    sizes: FirmwareSizes | None = None,
) -> tuple[LayerReport, ...]:
    """Records of all layers, in order; costs are medians over `records`."""
    symbols = function_symbols(program, model)
    code = {s.name: s.size_bytes for s in sizes.symbols} if sizes else {}
    constants = {c.name: c.value.nbytes for c in program.constants}
    seen: set[str] = set()
    layers = []
    for index, step in enumerate(program.steps):
        used = {symbols[step.function], *(a.name for a in step.arguments if a.is_constant)}
        fresh = used - seen
        seen |= fresh
        flash = sum(code.get(name, 0) + constants.get(name, 0) for name in fresh)
        costs = [record.layers[index] for record in records]
        layers.append(
            LayerReport(
                step.layer,
                step.op,
                step.macs,
                median([cost.cycles for cost in costs if cost.cycles is not None]),
                median([cost.instructions for cost in costs]),
                flash,
            )
        )
    return tuple(layers)


def median(values: Sequence[int]) -> int | None:
    """The lower median, so that it is a value that occurred; None of nothing."""
    return sorted(values)[(len(values) - 1) // 2] if values else None
