"""What a run of a compiled model on a board gives and costs."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .aot.plan import MemoryPlan
from .aot.program import Program
from .micro.runner import DeviceRun
from .op.bc_net import PATHS, Path
from .report.layers import LayerReport, median
from .target import Board


@dataclass(frozen=True)
class RunResult:
    """Outputs of a run on a board.

    `outputs[sample][output]`; `bit_exact` is None where nothing was compared. `instructions` and
    `cycles` (modelled; None where the core has no model) are medians over the inferences, and
    `path_cycles` over those of each path that some took; `inference_cycles` has those of each.
    """

    board: Board
    outputs: tuple[tuple[NDArray[Any], ...], ...]
    bit_exact: bool | None
    layers: tuple[LayerReport, ...]
    instructions: int | None
    cycles: int | None
    flash: Mapping[str, int]
    ram: Mapping[str, int]
    symbols: Mapping[str, int]
    """Bytes of every function and constant of the model's part; empty on the host."""
    paths: tuple[Path, ...] = ()
    """Which path each sample took; empty where there is but one."""
    path_cycles: Mapping[Path, int | None] = field(default_factory=dict)
    inference_cycles: tuple[int, ...] = ()
    """Empty where the core has no model."""

    @property
    def mean_cycles(self) -> float | None:
        """Of an inference of these samples; None where the core has no model."""
        return statistics.fmean(self.inference_cycles) if self.inference_cycles else None


def describe_device_run(
    program: Program,
    plan: MemoryPlan,
    board: Board,
    device: DeviceRun,
    layers: tuple[LayerReport, ...],
    bit_exact: bool | None,
    caller_io: bool,
) -> RunResult:
    """The result of what a board gave."""
    sizes = device.sizes
    text, rodata, data = (sizes.text, sizes.rodata, sizes.data) if sizes else (0, 0, 0)
    io_bytes = sum(t.size_bytes for t in (*program.inputs, *program.outputs))
    known = {s.name: s.size_bytes for s in program.storages}
    scratch = max((sum(known[n] for n in step.scratch) for step in program.steps), default=0)
    ram = {
        "arena": plan.arena_bytes,
        "io": 0 if caller_io else io_bytes,
        "scratch": scratch,
        "data": data,
        "stack_peak": device.stack_peak_bytes,
        "total": plan.arena_bytes + data,
    }
    paths = tuple(PATHS[number] for number in device.paths)
    cycles = [record.cycles for record in device.records if record.cycles is not None]
    return RunResult(
        board,
        tuple(output_arrays(program, data) for data in device.outputs),
        bit_exact,
        layers,
        median([record.instructions for record in device.records]),
        median(cycles),
        {"text": text, "rodata": rodata, "total": text + rodata},
        ram,
        {s.name: s.size_bytes for s in sizes.symbols} if sizes else {},
        paths,
        cycles_by_path(paths, cycles),
        tuple(cycles),
    )


def cycles_by_path(paths: Sequence[Path], cycles: Sequence[int]) -> dict[Path, int | None]:
    """Medians for the paths that occur; None where no cycles were counted."""
    taken = {path: [n for n, p in enumerate(paths) if p == path] for path in PATHS if path in paths}
    return {path: median([cycles[n] for n in each if cycles]) for path, each in taken.items()}


def output_arrays(program: Program, data: bytes) -> tuple[NDArray[Any], ...]:
    """The outputs of one sample from their bytes, in order."""
    arrays, start = [], 0
    for tensor in program.outputs:
        raw = np.frombuffer(data, tensor.dtype, offset=start, count=int(np.prod(tensor.shape)))
        arrays.append(raw.reshape(tensor.shape))
        start += tensor.size_bytes
    return tuple(arrays)
