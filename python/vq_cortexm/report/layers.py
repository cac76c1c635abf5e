"""One record per layer: work, modelled cycles and their limit, flash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..aot.library import function_symbols
from ..aot.program import Program
from ..compat import IRModule
from ..micro.cycle_model import InferenceRecord
from ..micro.firmware import FirmwareSizes
from ..nary.types import LARGEST_LEVELS
from ..transform.lower_bc_net import lower_bc_net
from ..transform.lower_to_tir import kernel_calls
from ..transform.virtual_quantize import count_levels
from .limits import LayerLimit


@dataclass(frozen=True)
class LayerReport:
    """A layer's cost.

    `flash` counts its constants and, where a firmware was linked, its code (a function that
    several layers share counts at the first of them); `weight_bytes` are the weights alone, as they
    are stored: see `nary.encoding` for `realisation`. `cycles` and `instructions` are one
    inference's, None where nothing was run. `limit_cycles` is a bound from the layer's shape,
    `limited_by` what takes most of it (`limits.LayerLimit`); None where there is none. `levels` is
    how many values the weights hold, 256 for a layer without weights.
    """

    name: str
    op: str
    macs: int
    cycles: int | None
    instructions: int | None
    flash: int
    realisation: str = "plain"
    weight_bytes: int = 0
    levels: int = LARGEST_LEVELS
    limit_cycles: int | None = None
    limited_by: str | None = None


def describe_layers(
    program: Program,
    model: str,
    records: Sequence[InferenceRecord] = (),
    sizes: FirmwareSizes | None = None,
    limits: Sequence[LayerLimit | None] = (),
    levels: Sequence[int] = (),
) -> tuple[LayerReport, ...]:
    """Records of all layers, in order; costs are medians over `records`; `limits` and `levels`
    (`layer_levels`) if known."""
    symbols = function_symbols(program, model)
    code = {s.name: s.size_bytes for s in sizes.symbols} if sizes else {}
    constants = {c.name: c.value.nbytes for c in program.constants}
    seen: set[str] = set()
    layers = []
    known = limits or [None] * len(program.steps)
    held = levels or [LARGEST_LEVELS] * len(program.steps)
    for index, (step, limit, held_levels) in enumerate(
        zip(program.steps, known, held, strict=True)
    ):
        used = {symbols[step.function], *(a.name for a in step.arguments if a.is_constant)}
        fresh = used - seen
        seen |= fresh
        flash = sum(code.get(name, 0) + constants.get(name, 0) for name in fresh)
        # an inference that skips layers skips the last ones
        costs = [record.layers[index] for record in records if index < len(record.layers)]
        layers.append(
            LayerReport(
                step.layer,
                step.op,
                step.macs,
                median([cost.cycles for cost in costs]),
                median([cost.instructions for cost in costs]),
                flash,
                step.realisation,
                step.weight_bytes,
                levels=held_levels,
                limit_cycles=limit.cycles if limit else None,
                limited_by=limit.limited_by if limit else None,
            )
        )
    return tuple(layers)


def layer_levels(module: IRModule) -> tuple[int, ...]:
    """How many values the weights of a folded module's layers hold (`LayerReport.levels`)."""
    return tuple(count_levels(call) for call in kernel_calls(lower_bc_net(module)["main"]))


def median(values: Sequence[int | None]) -> int | None:
    """The lower median of those that are known, so that it is a value that occurred; None of
    nothing."""
    known = sorted(value for value in values if value is not None)
    return known[(len(known) - 1) // 2] if known else None
