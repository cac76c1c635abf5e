"""What `fit` chooses among, and what the choice may cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..nary.encoding import Realisation
from ..nary.types import LARGEST_LEVELS
from ..transform.lower_to_tir import Objective
from ..transform.vq_config import LayerLevels, VirtualQuantizeConfig


class Candidate(NamedTuple):
    """A layer's name, a number of levels of its weights, and how these are stored."""

    layer: str
    levels: int
    realisation: Realisation


Choice = Mapping[str, Candidate]
"""One candidate for every layer."""


@dataclass(frozen=True)
class Plan:
    """One candidate for every layer, in the network's order, and the build's objective."""

    layers: tuple[Candidate, ...]
    objective: Objective

    @property
    def config(self) -> VirtualQuantizeConfig:
        """As the option --vq has it."""
        return VirtualQuantizeConfig(
            layers={c.layer: LayerLevels(c.levels, realisation=c.realisation) for c in self.layers}
        )

    @property
    def is_plain(self) -> bool:
        """Whether every layer has all levels."""
        return all(c.levels == LARGEST_LEVELS for c in self.layers)


@dataclass(frozen=True)
class Cost:
    """What one candidate takes.

    `weight_bytes` is what its weights are stored in, `flash_bytes` all its constants and its own
    code, `ram_bytes` the RAM while it runs, `routines` the names of the code that it shares.
    """

    weight_bytes: int
    flash_bytes: int
    ram_bytes: int
    cycles: int
    routines: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Costs:
    """Costs of all candidates; `routines` are the bytes of shared code, which is there once if any
    layer needs it. `flash_bytes`, `cycles` and `ram_bytes` are those of everything else."""

    layers: Mapping[Candidate, Cost]
    routines: Mapping[str, int]
    flash_bytes: int
    ram_bytes: int
    cycles: int

    @property
    def choices(self) -> dict[str, list[Candidate]]:
        """The candidates of each layer, by levels."""
        result: dict[str, list[Candidate]] = {}
        for candidate in sorted(self.layers, key=lambda candidate: candidate.levels):
            result.setdefault(candidate.layer, []).append(candidate)
        return result


@dataclass(frozen=True)
class Budgets:
    """The most that a model may take; None: no matter."""

    flash_bytes: int | None = None
    ram_bytes: int | None = None
    cycles: int | None = None
    weight_bytes: int | None = None

    @property
    def limits(self) -> dict[str, int]:
        """Those that there are, by name."""
        return {name: limit for name, limit in vars(self).items() if limit is not None}

    def excess(self, figures: Mapping[str, Any]) -> dict[str, int]:
        """By how much each budget is exceeded, those that are; `figures` by the budgets' names."""
        over = {name: int(figures[name] or 0) - limit for name, limit in self.limits.items()}
        return {name: amount for name, amount in over.items() if amount > 0}
