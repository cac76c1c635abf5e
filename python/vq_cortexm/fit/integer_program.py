"""The exact choice: of every layer one candidate, so that the losses' sum is the least.

    minimise    sum of loss[c] y[c]
    subject to  sum of y[c] = 1                                 over the candidates of each layer
                sum of bytes[c] y[c] + sum of size[r] z[r] <= flash
                sum of ram[c] y[c] <= ram                       over the candidates of each layer
                y[c] <= z[r]                                    for each routine r of c

with y and z 0 or 1: z[r] says that the shared routine r is linked. Weights and cycles are sums over
y as flash is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from .problem import Budgets, Candidate, Choice, Costs

Row = dict[int, float]
"""Coefficients by variable."""
_ROUNDED = 1e-6
"""What a whole number may have lost as a product of floats."""


def choose(losses: Mapping[Candidate, float], costs: Costs, budgets: Budgets) -> Choice | None:
    """The choice of least loss within the budgets; None where there is none."""
    program = _Program(costs, budgets)
    largest = max((abs(loss) for loss in losses.values()), default=0.0) or 1.0
    values = program.minimise({program.y[key]: loss / largest for key, loss in losses.items()})
    return None if values is None else program.choice(values)


def choose_nearest(losses: Mapping[Candidate, float], costs: Costs, budgets: Budgets) -> Choice:
    """The choice that exceeds the budgets by the least share (of the budget, the largest of all),
    and of those the one of least loss."""
    program = _Program(costs, budgets, with_excess=True)
    values = program.minimise({program.excess: 1.0})
    assert values is not None, "any choice is within large enough budgets"
    share = 1.0 + max(0.0, excess_share(costs, program.choice(values), budgets))
    wider = {n: math.floor(limit * share + _ROUNDED) for n, limit in budgets.limits.items()}
    nearest = choose(losses, costs, replace(budgets, **wider))
    assert nearest is not None
    return nearest


class _Program:
    """Variables: y of all candidates, z of all routines, and the excess t: every budget B counts
    as B (1 + t)."""

    def __init__(self, costs: Costs, budgets: Budgets, with_excess: bool = False) -> None:
        self.costs = costs
        self.y = {candidate: index for index, candidate in enumerate(costs.layers)}
        self.z = {name: len(self.y) + index for index, name in enumerate(costs.routines)}
        self.excess = len(self.y) + len(self.z)
        self.with_excess = with_excess
        self.rows: list[tuple[Row, float, float]] = []
        for candidates in costs.choices.values():
            self.rows.append(({self.y[c]: 1.0 for c in candidates}, 1.0, 1.0))
        for candidate, cost in costs.layers.items():
            for name in cost.routines:
                self._at_most({self.y[candidate]: 1.0, self.z[name]: -1.0}, 0.0)
        flash = self._sum("flash_bytes")
        flash |= {self.z[name]: float(size) for name, size in costs.routines.items()}
        self._budget(flash, budgets.flash_bytes, costs.flash_bytes)
        self._budget(self._sum("cycles"), budgets.cycles, costs.cycles)
        self._budget(self._sum("weight_bytes"), budgets.weight_bytes, 0)
        self._budget({}, budgets.ram_bytes, costs.ram_bytes)
        for candidates in costs.choices.values():
            row = {self.y[c]: float(costs.layers[c].ram_bytes) for c in candidates}
            self._budget(row, budgets.ram_bytes, 0)

    def minimise(self, objective: Row) -> NDArray[np.float64] | None:
        """The values of all variables; None where the constraints contradict each other."""
        count = self.excess + 1
        upper = np.ones(count)
        upper[self.excess] = np.inf if self.with_excess else 0.0
        integrality = np.ones(count)
        integrality[self.excess] = 0
        found = milp(
            _dense(objective, count),
            integrality=integrality,
            bounds=Bounds(0, upper),
            constraints=self._constraints(count),
            options={"mip_rel_gap": 0.0},
        )
        return None if found.x is None else np.asarray(found.x, np.float64)

    def choice(self, values: NDArray[np.float64]) -> Choice:
        """What the variables say."""
        return {c.layer: c for c, index in self.y.items() if values[index] > 0.5}

    def _constraints(self, count: int) -> LinearConstraint:
        rows, low, high = zip(*self.rows, strict=True)
        matrix = csr_array(np.stack([_dense(row, count) for row in rows]))
        return LinearConstraint(matrix, low, high)

    def _sum(self, quantity: str) -> Row:
        return {
            self.y[key]: float(getattr(cost, quantity)) for key, cost in self.costs.layers.items()
        }

    def _budget(self, row: Row, limit: int | None, fixed: int) -> None:
        if limit is not None:
            self._at_most({**row, self.excess: -float(limit)}, float(limit - fixed))

    def _at_most(self, row: Row, limit: float) -> None:
        self.rows.append((row, -np.inf, limit))


def _dense(row: Row, count: int) -> NDArray[np.float64]:
    result = np.zeros(count)
    result[list(row)] = list(row.values())
    return result


def excess_share(costs: Costs, choice: Choice, budgets: Budgets) -> float:
    """By how much of it the choice exceeds a budget, the largest of all; at most 0 if none."""
    figures = total(costs, choice)
    return max((figures[name] / limit - 1 for name, limit in budgets.limits.items()), default=0.0)


def total(costs: Costs, choice: Choice) -> dict[str, int]:
    """What a choice takes by the costs, by the budgets' names."""
    chosen = [costs.layers[candidate] for candidate in choice.values()]
    routines = _union(cost.routines for cost in chosen)
    shared = sum(costs.routines[name] for name in routines)
    return {
        "flash_bytes": costs.flash_bytes + shared + sum(cost.flash_bytes for cost in chosen),
        "ram_bytes": max([costs.ram_bytes, *(cost.ram_bytes for cost in chosen)]),
        "cycles": costs.cycles + sum(cost.cycles for cost in chosen),
        "weight_bytes": sum(cost.weight_bytes for cost in chosen),
    }


def _union(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*sets)
