"""What every candidate takes, read from the reports of builds: one for each number of levels, in
which all layers have it, and each objective; run once on the board.

The objective `size` has kernels of its own, with short loops. The others have the same kernels, and
differ in how they store weights: their candidates may be mixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from ..compiled_model import CompiledModel
from ..nary.encoding import Realisation
from ..quantize.quantize_graph import QuantizedGraph, Watch
from ..run_result import RunResult
from ..transform.lower_to_tir import Objective
from .bench import Bench, ram_bytes, routine_symbols
from .problem import Candidate, Cost, Costs
from .sensitivity import Sensitivity, with_levels

_MIXED: dict[Objective, tuple[Objective, ...]] = {
    "size": ("size",),
    "speed": ("speed", "balanced"),
}
"""The objectives of final builds, and those whose candidates they may have."""


@dataclass(frozen=True, eq=False)
class _Build:
    """The network with `levels` everywhere, and what one inference took."""

    levels: int
    compiled: CompiledModel
    run: RunResult


def measure_costs(
    base: QuantizedGraph,
    sensitivity: Sensitivity,
    levels: Sequence[int],
    bench: Bench,
    watch: Watch = lambda name: None,
) -> dict[Objective, Costs]:
    """The costs of all layers at all `levels`, which include 256, for builds of each objective that
    is worth while."""
    known: dict[tuple[str, ...], RunResult] = {}
    result: dict[Objective, Costs] = {}
    for mode, objectives in _MIXED.items():
        builds = []
        for count in levels:
            network = with_levels(base, sensitivity, count)
            for objective in objectives:
                watch(f"costs of {count} levels for {objective}")
                compiled = bench.build(network, objective)
                # equal for builds that are the same
                content = tuple(compiled.sources.values())
                if content not in known:
                    known[content] = bench.profile(compiled)
                builds.append(_Build(count, compiled, known[content]))
        result[mode] = _read_costs(builds)
    return result


def _read_costs(builds: Sequence[_Build]) -> Costs:
    layers: dict[Candidate, Cost] = {}
    routines: dict[str, int] = {}
    others: list[tuple[int, int, int]] = []
    for build in builds:
        run = build.run
        ram, called = ram_bytes(build.compiled, run), routine_symbols(build.compiled)
        weighted = {layer.name for layer in run.layers if layer.weight_bytes}
        costs = {
            Candidate(layer.name, build.levels, cast(Realisation, layer.realisation)): Cost(
                layer.weight_bytes,
                layer.flash,
                ram[layer.name],
                _cycles(layer.cycles, layer.instructions),
                called[layer.name],
            )
            for layer in run.layers
            if layer.name in weighted
        }
        layers |= costs
        shared = frozenset().union(*(cost.routines for cost in costs.values()))
        routines |= {name: run.symbols[name] for name in sorted(shared)}
        flash = sum(cost.flash_bytes for cost in costs.values())
        others.append(
            (
                run.flash["total"] - flash - sum(run.symbols[name] for name in shared),
                max((size for name, size in ram.items() if name not in weighted), default=0),
                _cycles(run.cycles, run.instructions) - sum(c.cycles for c in costs.values()),
            )
        )
    # builds differ a little in what belongs to no layer with weights: the largest is safe
    return Costs(layers, routines, *(max(column) for column in zip(*others, strict=True)))


def _cycles(modelled: int | None, instructions: int | None) -> int:
    """Instructions on a core without a cycle model."""
    return modelled if modelled is not None else instructions or 0
