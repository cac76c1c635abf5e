"""Choices for all layers at once: what is best for a layer depends on the routines of others.

    size        the fewest bytes of flash
    balanced    the least product of bytes and squared cycles: speed shall not suffer
    speed       the fewest cycles, and of nearly as many the fewest bytes

Bytes are those of the kernels' constants, exactly, and of the routines' code, about; a routine that
several layers call is there once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..codegen.micro_kernel import code_bytes
from ..kernels.layer import Kernel
from .lower_to_tir import Objective

_TIE = 1e-9
_SIMILAR = 1e-2
"""Of `speed`: a percent of cycles may be given for as large a part of all bytes."""


@dataclass(frozen=True)
class Choice:
    """What a layer takes with one of its kernels; `code` has bytes by routine."""

    constant_bytes: int
    cycles: float
    code: Mapping[str, int]


Key = TypeVar("Key")
AnyChoice = TypeVar("AnyChoice", bound=Choice)


def constant_bytes(kernel: Kernel) -> int:
    """Of all constants."""
    return sum(constant.nbytes for constant in kernel.constants)


def code_of(kernel: Kernel) -> dict[str, int]:
    """Bytes by routine."""
    return {micro.symbol: code_bytes(micro) for micro in kernel.micro}


def choose_together(
    choices: Mapping[Key, Sequence[AnyChoice]], objective: Objective
) -> dict[Key, AnyChoice]:
    """Layer by layer the choice that is best beside all others', until none changes. A routine may
    pay only for several layers together: layers with the same routines to choose from change
    together first, and there are three starts."""

    def total(chosen: Mapping[Key, AnyChoice]) -> float:
        code = {k: v for choice in chosen.values() for k, v in choice.code.items()}
        flash_bytes = sum(choice.constant_bytes for choice in chosen.values()) + sum(code.values())
        return _COSTS[objective](flash_bytes, sum(choice.cycles for choice in chosen.values()))

    def descend(chosen: dict[Key, AnyChoice]) -> dict[Key, AnyChoice]:
        while True:
            before = dict(chosen)
            for names in moves:
                every = [{name: choices[name][i] for name in names} for i in _indices(names)]
                totals = [total({**chosen, **together}) for together in (chosen, *every)]
                chosen = {**chosen, **(chosen, *every)[totals.index(min(totals))]}
            if total(chosen) >= total(before):
                return before

    def _indices(names: Sequence[Key]) -> range:
        return range(len(choices[names[0]]))

    moves = _moves(choices)
    first = {name: every[0] for name, every in choices.items()}
    fewest = {name: min(every, key=_constant_bytes) for name, every in choices.items()}
    smallest = {name: min(every, key=_bytes) for name, every in choices.items()}
    return min(descend(first), descend(fewest), descend(smallest), key=total)


def _moves(choices: Mapping[Key, Sequence[Choice]]) -> list[list[Key]]:
    """Layers that change together: those of equal routines, then each alone."""
    alike: dict[tuple[frozenset[str], ...], list[Key]] = {}
    for name, every in choices.items():
        if len(every) > 1:
            alike.setdefault(tuple(frozenset(one.code) for one in every), []).append(name)
    groups = [names for names in alike.values() if len(names) > 1]
    return groups + [[name] for names in alike.values() for name in names]


def _constant_bytes(choice: Choice) -> int:
    return choice.constant_bytes


def _bytes(choice: Choice) -> int:
    return choice.constant_bytes + sum(choice.code.values())


def _size(flash_bytes: float, cycles: float) -> float:
    return flash_bytes + _TIE * cycles


def _balance(flash_bytes: float, cycles: float) -> float:
    return flash_bytes * cycles**2


def _speed(flash_bytes: float, cycles: float) -> float:
    return float(cycles * flash_bytes**_SIMILAR)


_COSTS: dict[Objective, Callable[[float, float], float]] = {
    "size": _size,
    "balanced": _balance,
    "speed": _speed,
}
