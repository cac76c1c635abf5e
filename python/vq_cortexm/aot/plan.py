"""Static memory plan: every storage gets a byte offset in one arena.

Storages that are live in a common step must not overlap, but an output may start where a dying
input of its step starts, if the kernel allows it (see `Step.inplace`). Such chains are placed as a
whole: a group is a set of rectangles (bytes × steps) with one common offset.

    bytes ^            group = {x: steps 0..1, y: steps 1..3}   both at offset 0
          |  ┌────┐
          |  │ x  ├────┐
          |  │    │ y  │
          +--0----1----3--> steps

Placement is first fit over several orders, then random exchanges of the order (fixed seed) until
the lower bound is met or the attempts are used up.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from .program import Program, Storage

ALIGNMENT = 4
"""Bytes; kernels load words from tensors."""
_ATTEMPTS = 400


@dataclass(frozen=True)
class Placement:
    """A storage and where it lies in the arena."""

    storage: Storage
    offset: int

    @property
    def end(self) -> int:
        """The first byte after it."""
        return self.offset + self.storage.size_bytes


@dataclass(frozen=True)
class MemoryPlan:
    """Offsets of all storages in an arena of `arena_bytes`.

    No plan can be smaller than `lower_bound_bytes`: the most bytes that are live in one step,
    an output in the place of its input counted once.
    """

    placements: tuple[Placement, ...]
    arena_bytes: int
    lower_bound_bytes: int

    def offset(self, storage: str) -> int:
        """Byte offset of a storage."""
        return next(p.offset for p in self.placements if p.storage.name == storage)


def plan_memory(program: Program, in_arena: Sequence[Storage] | None = None) -> MemoryPlan:
    """Places `in_arena` (all storages by default: with the caller's own inputs and outputs, the
    others). The plan is deterministic."""
    storages = list(program.storages if in_arena is None else in_arena)
    placed_inputs = {s.name for s in storages}
    chains = _inplace_chains(program, {s.name: s for s in storages}, placed_inputs)
    groups = _group(storages, chains)
    bound = _lower_bound(groups)
    best = min((_place_best(g, bound) for g in (groups, [[s] for s in storages])), key=_extent)
    by_name = {p.storage.name: p for p in best}
    return MemoryPlan(tuple(by_name[s.name] for s in storages), _extent(best), bound)


def check_plan(plan: MemoryPlan, program: Program) -> None:
    """Raises ValueError if two storages overlap in bytes and steps without being allowed to."""
    allowed = {
        frozenset((step.output, name)): index
        for index, step in enumerate(program.steps)
        for name in step.inplace
    }
    for i, a in enumerate(plan.placements):
        for b in plan.placements[:i]:
            if not (_meet(a.storage, b.storage) and a.offset < b.end and b.offset < a.end):
                continue
            step = allowed.get(frozenset((a.storage.name, b.storage.name)))
            both = (
                max(a.storage.first, b.storage.first),
                min(a.storage.last, b.storage.last),
            )
            if step is None or both != (step, step) or a.offset != b.offset:
                raise ValueError(f"{a.storage.name} overlaps {b.storage.name} while both live")


def _inplace_chains(
    program: Program, storages: dict[str, Storage], movable: set[str]
) -> list[tuple[str, str]]:
    """(input, output) pairs that share their offset: the input dies in the step, is used once
    there, and has not been taken by another output."""
    pairs: list[tuple[str, str]] = []
    for index, step in enumerate(program.steps):
        for name in step.inplace:
            if not {name, step.output} <= movable or step.inputs.count(name) != 1:
                continue
            if storages[name].last == index:
                pairs.append((name, step.output))
                break
    return pairs


def _group(storages: list[Storage], pairs: list[tuple[str, str]]) -> list[list[Storage]]:
    leader = {s.name: s.name for s in storages}
    for first, second in pairs:
        leader[second] = leader[first]
    groups: dict[str, list[Storage]] = {}
    for storage in storages:
        groups.setdefault(leader[storage.name], []).append(storage)
    return list(groups.values())


def _lower_bound(groups: list[list[Storage]]) -> int:
    last = max((s.last for group in groups for s in group), default=0)
    return max(
        sum(
            max((_aligned(s.size_bytes) for s in group if s.first <= t <= s.last), default=0)
            for group in groups
        )
        for t in range(last + 1)
    )


def _place_best(groups: list[list[Storage]], bound: int) -> list[Placement]:
    orders = [
        sorted(groups, key=lambda g: (-max(s.size_bytes for s in g), g[0].first)),
        sorted(groups, key=lambda g: (-(g[-1].last - g[0].first), -max(s.size_bytes for s in g))),
        sorted(groups, key=lambda g: g[0].first),
    ]
    best = min(map(_first_fit, orders), key=_extent)
    rng = random.Random(1)
    order = orders[0]
    for _ in range(_ATTEMPTS if len(groups) > 2 else 0):
        if _extent(best) <= bound:
            break
        trial = list(order)
        i, j = rng.sample(range(len(trial)), 2)
        trial[i], trial[j] = trial[j], trial[i]
        placed = _first_fit(trial)
        if _extent(placed) <= _extent(best):
            best, order = placed, trial
    return best


def _first_fit(groups: Sequence[list[Storage]]) -> list[Placement]:
    placed: list[Placement] = []
    for group in groups:
        candidates = sorted({0, *(_aligned(p.end) for p in placed)})
        offset = next(o for o in candidates if _fits(group, o, placed))
        placed += [Placement(storage, offset) for storage in group]
    return placed


def _fits(group: list[Storage], offset: int, placed: list[Placement]) -> bool:
    return not any(
        _meet(s, p.storage) and offset < p.end and p.offset < offset + s.size_bytes
        for s in group
        for p in placed
    )


def _meet(a: Storage, b: Storage) -> bool:
    return a.first <= b.last and b.first <= a.last


def _extent(placements: Sequence[Placement]) -> int:
    return max((_aligned(p.end) for p in placements), default=0)


def _aligned(size_bytes: int) -> int:
    return -(-size_bytes // ALIGNMENT) * ALIGNMENT
