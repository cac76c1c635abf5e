"""What a debug build poisons and checks around each step, as ranges of the arena's bytes.

The generated executor of debug builds (`codegen/model_poison.h.j2`) runs every step twice: first
with its output apart from everything else, then where the plan has it. Before each run the bytes
that hold nothing live are filled with a pattern, the second time with its complement. Then

* a step that writes outside its output and scratch has changed a byte that is not its own;
* a step that reads memory which holds nothing, or input bytes over which it has written already,
  has two different outputs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .plan import MemoryPlan, Placement
from .program import Program

GUARD_BYTES = 64
"""Behind the arena, and around the output that lies apart: nobody may write there."""


@dataclass(frozen=True)
class ByteRange:
    """Bytes [first, end) of the arena, the guard behind it included."""

    first: int
    end: int


@dataclass(frozen=True)
class StepRanges:
    """Sorted ranges that do not touch each other.

    `dead` holds nothing when the step starts: scratch, the output's place less the live tensors
    that it overlaps, and what no tensor takes. `written` is what the step may change: scratch less
    all tensors that it finds, its output less those that live on, whatever the plan says.
    """

    dead: tuple[ByteRange, ...]
    written: tuple[ByteRange, ...]


def step_ranges(program: Program, plan: MemoryPlan) -> tuple[StepRanges, ...]:
    """The ranges of every step; the last entry is of the time after all steps."""
    end = plan.arena_bytes + GUARD_BYTES
    ranges = []
    for index, step in enumerate(program.steps):
        live = [p for p in plan.placements if _holds_data(p, index)]
        # a branch's result is written for the second time
        found = [p for p in live if p.storage.name != step.output]
        kept = [p for p in found if p.storage.last > index]
        output = _less([p for p in plan.placements if p.storage.name == step.output], kept)
        scratch = _less([p for p in plan.placements if p.storage.name in step.scratch], found)
        ranges.append(StepRanges(_free(found, end), _merged([*output, *scratch])))
    kept = [p for p in plan.placements if _holds_data(p, len(program.steps))]
    return (*ranges, StepRanges(_free(kept, end), ()))


def describe_violation(program: Program, status: int) -> str:
    """What a negative status of a debug build's `run` means, in one line."""
    kind, index = divmod(-status - 1, len(program.steps))
    step = program.steps[index]
    layer = f"layer {step.layer!r} ({step.op}, step {index} of the memory plan)"
    if kind == 0:
        return f"{layer} writes outside its output and scratch"
    return f"{layer} reads memory that holds nothing, or input that it has overwritten"


def _holds_data(placement: Placement, index: int) -> bool:
    """Whether a tensor has a value when step `index` starts that this or a later step reads."""
    storage = placement.storage
    if storage.role == "scratch":
        return False
    written_before = storage.role == "input" or storage.first < index
    return written_before and index <= storage.last


def _free(placements: Iterable[Placement], end: int) -> tuple[ByteRange, ...]:
    """The bytes below `end` outside all of them."""
    taken = _merged(ByteRange(p.offset, p.end) for p in placements)
    firsts = [0, *(r.end for r in taken)]
    ends = [*(r.first for r in taken), end]
    pairs = zip(firsts, ends, strict=True)
    return tuple(ByteRange(first, stop) for first, stop in pairs if first < stop)


def _less(placements: list[Placement], others: list[Placement]) -> list[ByteRange]:
    """The bytes of `placements` outside `others`."""
    return [
        ByteRange(max(free.first, p.offset), min(free.end, p.end))
        for p in placements
        for free in _free(others, p.end)
        if free.first < p.end and p.offset < free.end
    ]


def _merged(ranges: Iterable[ByteRange]) -> tuple[ByteRange, ...]:
    result: list[ByteRange] = []
    for item in sorted(ranges, key=lambda r: r.first):
        if result and item.first <= result[-1].end:
            result[-1] = ByteRange(result[-1].first, max(result[-1].end, item.end))
        else:
            result.append(item)
    return tuple(result)


__all__ = ["GUARD_BYTES", "ByteRange", "StepRanges", "describe_violation", "step_ranges"]
