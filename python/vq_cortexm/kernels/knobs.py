"""Knobs: what of a kernel can be made in several ways, all of them exact.

A kernel asks for each knob where it needs it, and says which values it would take here and which
one it takes by itself. What it does not ask for it does not have, so every schedule is a kernel,
and no two of them are the same one:

    unroll = layer.knobs.choose("unroll", 36, (8, 18, 72))

`every_schedule` finds all of them by asking: it makes the kernel with each answer in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import UsageError

Value = int | str
Schedule = Mapping[str, Value]
"""Knob → value; a knob that is not in it has the kernel's own value."""


@dataclass(frozen=True)
class Knobs:
    """The answers to one kernel's questions; `asked` keeps the questions, in order: the values of
    each knob, the kernel's own first."""

    schedule: Schedule = field(default_factory=dict)
    asked: dict[str, tuple[Value, ...]] = field(default_factory=dict, compare=False)

    def choose(self, name: str, own: Value, others: Sequence[Value] = ()) -> Value:
        """What the schedule says, else `own`. UsageError: the kernel cannot take it here."""
        values = (own, *(value for value in others if value != own))
        self.asked[name] = values
        value = self.schedule.get(name, own)
        if value not in values:
            known = ", ".join(map(str, values))
            raise UsageError(f"the schedule says {name} = {value}; possible here: {known}")
        return value

    def number(self, name: str, own: int, others: Sequence[int] = ()) -> int:
        """`choose` of numbers."""
        value = self.choose(name, own, others)
        assert isinstance(value, int)
        return value

    @property
    def answers(self) -> Schedule:
        """What was answered, the kernel's own values too."""
        return {name: self.schedule.get(name, values[0]) for name, values in self.asked.items()}


def every_schedule(make: Callable[[Knobs], object]) -> Iterator[Schedule]:
    """All schedules of what `make` makes, in full, its own first; made once for each."""
    given: dict[str, Value] = {}
    while True:
        knobs = Knobs(given)
        make(knobs)
        yield knobs.answers
        last = _last_to_turn(knobs)
        if last is None:
            return
        names = list(knobs.asked)
        values = knobs.asked[last]
        turned = values[values.index(knobs.answers[last]) + 1]
        before = names[: names.index(last)]
        given = {**{name: knobs.answers[name] for name in before}, last: turned}


def _last_to_turn(knobs: Knobs) -> str | None:
    """The last knob that has a value left."""
    left = [name for name, values in knobs.asked.items() if knobs.answers[name] != values[-1]]
    return left[-1] if left else None


__all__ = ["Knobs", "Schedule", "Value", "every_schedule"]
