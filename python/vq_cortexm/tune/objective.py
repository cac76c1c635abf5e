"""What tuning makes small: cycles, flash, RAM, or a weighted sum of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import UsageError
from .database import figures
from .measure import Outcome

_NAMES = ("cycles", "flash", "ram")


@dataclass(frozen=True)
class Objective:
    """Weights of a cycle, a byte of flash and a byte of RAM; what weighs nothing decides between
    equals, in this order, at the end."""

    cycles: float = 1.0
    flash: float = 0.0
    ram: float = 0.0

    def cost(self, outcome: Outcome) -> float:
        """The weighted sum; of a failure infinite."""
        weights = (self.cycles, self.flash, self.ram)
        pairs = zip(weights, figures(outcome), strict=True)
        return sum(weight * figure for weight, figure in pairs if weight)

    def order(self, outcome: Outcome) -> tuple[float, ...]:
        """To sort by: the sum, then each figure."""
        return (self.cost(outcome), *figures(outcome))

    def __str__(self) -> str:
        """As `parse_objective` reads it."""
        weights = [(name, getattr(self, name)) for name in _NAMES if getattr(self, name)]
        return "+".join(name if weight == 1 else f"{weight:g}*{name}" for name, weight in weights)


def parse_objective(text: str) -> Objective:
    """ "cycles", "flash", "ram", or a sum as "cycles+20*flash"; UsageError for anything else."""
    weights = dict.fromkeys(_NAMES, 0.0)
    for term in text.split("+"):
        found = re.fullmatch(r"\s*(?:([0-9.]+)\s*\*)?\s*(cycles|flash|ram)\s*", term)
        try:
            assert found
            weights[found[2]] += float(found[1] or 1)
        except (AssertionError, ValueError):
            raise UsageError(
                f"objective {text!r} is not understood; "
                '"cycles", "flash", "ram" and sums like "cycles+20*flash" work'
            ) from None
    return Objective(**weights)
