"""Static memory plan: every storage gets a byte offset in one arena.

Storages that are live in a common step must not overlap, but for a step's output and an input that
dies in it: these may, at the distances that the kernel's access order allows (see
`kernels.access_order`). Elementwise layers have their output where their input is; a convolution's
may start some rows in front of it:

    bytes ^            x: steps 0..1, y: steps 1..2, z: steps 2..3
          |  ┌────┐
          |  │ x  ├────┬────┐
          |  │    │ y  │ z  │   z in the place of y, y some rows in front of x
          |  └────┤    │    │
          +--0----1────2────3--> steps

Placement is first fit over several orders, then random exchanges of the order (fixed seed) until
the lower bound is met or the attempts are used up.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from ..kernels.access_order import AccessOrder
from ..kernels.layer import ALIGNMENT
from .program import Program, Storage

_ATTEMPTS = 2000

_Orders = Mapping[tuple[str, str], AccessOrder | None]
"""(input, output) → access order, for the pairs that may overlap; None: at the same offset only."""


@dataclass(frozen=True)
class Placement:
    """A storage and where it lies in the arena."""

    storage: Storage
    offset: int

    @property
    def end(self) -> int:
        """The first byte after it."""
        return self.offset + self.storage.size_bytes


_Unit = tuple[Placement, ...]
"""Storages that are placed as one, with their offsets from the first."""


@dataclass(frozen=True)
class MemoryPlan:
    """Offsets of all storages in an arena of `arena_bytes`.

    No plan can be smaller than `lower_bound_bytes`: the most bytes that are live in one step, what
    an output can share with its inputs counted once.
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
    orders = _orders(program, storages)
    bound = _lower_bound(storages, orders)
    units = _units(storages, program.adjacent)
    best = {p.storage.name: p for p in _place_best(units, orders, bound)}
    return MemoryPlan(tuple(best[s.name] for s in storages), _extent(best.values()), bound)


def check_plan(plan: MemoryPlan, program: Program) -> None:
    """Raises ValueError if two storages overlap in bytes and steps where no access order proves
    that nothing is overwritten before its last read, or if parts of a concatenation lie apart."""
    orders = _orders(program, [p.storage for p in plan.placements])
    places = {p.storage.name: p for p in plan.placements}
    for group in program.adjacent:
        for name, follower in pairwise(name for name in group if name in places):
            if places[name].end != places[follower].offset:
                raise ValueError(f"{follower} does not follow {name}")
    for i, a in enumerate(plan.placements):
        for b in plan.placements[:i]:
            if _meet(a.storage, b.storage) and not _may_lie(a, b, orders):
                raise ValueError(f"{a.storage.name} overlaps {b.storage.name} while both live")


def _orders(program: Program, storages: Sequence[Storage]) -> _Orders:
    """The pairs of which the input dies in the step that writes the output, and is passed once."""
    known = {s.name: s for s in storages}
    return {
        (name, step.output): order
        for index, step in enumerate(program.steps)
        for name, order in step.inplace.items()
        if {name, step.output} <= known.keys()
        and step.inputs.count(name) == 1
        and known[name].last == index == known[step.output].first
    }


def _may_lie(a: Placement, b: Placement, orders: _Orders) -> bool:
    """Whether two storages that are live together may lie where they are."""
    if a.end <= b.offset or b.end <= a.offset:
        return True
    for x, y in ((a, b), (b, a)):
        pair = (x.storage.name, y.storage.name)
        if pair in orders:
            order, distance = orders[pair], y.offset - x.offset
            if order is None:
                return distance == 0
            return order.allows(x.storage.size_bytes, y.storage.size_bytes, distance)
    return False


def _nearest(x: Storage, y: Storage, order: AccessOrder | None) -> int:
    """Offset of output y less that of input x where both take the fewest bytes."""
    return order.nearest(x.size_bytes, y.size_bytes, ALIGNMENT) if order else 0


def _lower_bound(storages: Sequence[Storage], orders: _Orders) -> int:
    by_name = {s.name: s for s in storages}
    live: dict[int, int] = {}
    for storage in storages:
        for step in range(storage.first, storage.last + 1):
            live[step] = live.get(step, 0) + _aligned(storage.size_bytes)
    shared: dict[str, int] = {}
    for (input_name, output_name), order in orders.items():
        x, y = by_name[input_name], by_name[output_name]
        together = [Placement(x, 0), Placement(y, _nearest(x, y, order))]
        lowest = min(p.offset for p in together)
        taken = max(_aligned(p.end) for p in together) - lowest
        both = _aligned(x.size_bytes) + _aligned(y.size_bytes)
        shared[output_name] = shared.get(output_name, 0) + max(0, both - taken)
    for name, size_bytes in shared.items():
        live[by_name[name].first] -= min(size_bytes, _aligned(by_name[name].size_bytes))
    return max(live.values(), default=0)


def _units(storages: list[Storage], adjacent: Sequence[tuple[str, ...]]) -> list[_Unit]:
    """The storages, those of a concatenation as one, with what lies before each."""
    by_name = {s.name: s for s in storages}
    group_of = {name: group for group in adjacent for name in group}
    units = []
    for storage in storages:
        group = group_of.get(storage.name, (storage.name,))
        if group[0] == storage.name:
            members = [by_name[name] for name in group]
            offsets = accumulate((m.size_bytes for m in members[:-1]), initial=0)
            units.append(tuple(Placement(m, o) for m, o in zip(members, offsets, strict=True)))
    return units


def _place_best(units: list[_Unit], orders: _Orders, bound: int) -> list[Placement]:
    storages = [p.storage for unit in units for p in unit]
    neighbours = {
        s.name: [other.name for other in storages if other is not s and _meet(s, other)]
        for s in storages
    }
    size = {unit: sum(p.storage.size_bytes for p in unit) for unit in units}
    first = {unit: min(p.storage.first for p in unit) for unit in units}
    last = {unit: max(p.storage.last for p in unit) for unit in units}
    candidates = [
        sorted(units, key=lambda u: (-size[u], first[u])),
        sorted(units, key=lambda u: (-size[u], -first[u])),
        sorted(units, key=lambda u: (first[u] - last[u], -size[u])),
        sorted(units, key=lambda u: first[u]),
    ]
    trials = [(_first_fit(order, neighbours, orders), order) for order in candidates]
    best, order = min(trials, key=lambda trial: _extent(trial[0]))
    rng = random.Random(1)
    for _ in range(_ATTEMPTS if len(units) > 2 else 0):
        if _extent(best) <= bound:
            break
        trial = list(order)
        i, j = rng.sample(range(len(trial)), 2)
        trial[i], trial[j] = trial[j], trial[i]
        placed = _first_fit(trial, neighbours, orders)
        if _extent(placed) <= _extent(best):
            best, order = placed, trial
    return best


def _first_fit(
    order: Sequence[_Unit], neighbours: Mapping[str, list[str]], orders: _Orders
) -> list[Placement]:
    placed: dict[str, Placement] = {}
    for unit in order:
        near = [[placed[n] for n in neighbours[m.storage.name] if n in placed] for m in unit]
        offsets = {0, _extent(p for beside in near for p in beside)}
        for member, beside in zip(unit, near, strict=True):
            for p in beside:
                offsets.update(o - member.offset for o in _places(member.storage, p, orders))
        for offset in sorted(o for o in offsets if o >= 0):
            places = [Placement(m.storage, offset + m.offset) for m in unit]
            pairs = zip(places, near, strict=True)
            if all(_may_lie(place, p, orders) for place, beside in pairs for p in beside):
                placed |= {place.storage.name: place for place in places}
                break
    return list(placed.values())


def _places(storage: Storage, near: Placement, orders: _Orders) -> list[int]:
    """Where a storage may lie beside another: behind it, or over it where an order allows that."""
    places = [_aligned(near.end)]
    name, other = storage.name, near.storage
    if (other.name, name) in orders:
        places.append(near.offset + _nearest(other, storage, orders[other.name, name]))
    if (name, other.name) in orders:
        places.append(near.offset - _nearest(storage, other, orders[name, other.name]))
    return places


def _meet(a: Storage, b: Storage) -> bool:
    return a.first <= b.last and b.first <= a.last


def _extent(placements: Iterable[Placement]) -> int:
    return max((_aligned(p.end) for p in placements), default=0)


def _aligned(size_bytes: int) -> int:
    return -(-size_bytes // ALIGNMENT) * ALIGNMENT
