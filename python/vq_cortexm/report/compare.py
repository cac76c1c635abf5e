"""Two builds side by side: totals, and the layers that differ."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UsageError
from .folder import Build
from .schema import Layer

LAYER_FIGURES = ("cycles", "flash", "weight_bytes", "levels")


@dataclass(frozen=True)
class Change:
    """A quantity of both builds: `own` and `other` are None where one does not know it; `figure`
    names where it is from, as in `report.measured.cycles`. Less is better."""

    name: str
    figure: str
    own: int | None
    other: int | None

    @property
    def difference(self) -> int | None:
        """Of this build from the other."""
        return None if self.own is None or self.other is None else self.own - self.other

    @property
    def ratio(self) -> float | None:
        """The difference as a share of the other's."""
        difference = self.difference
        return difference / self.other if difference is not None and self.other else None


@dataclass(frozen=True)
class LayerChange:
    """A layer by its name; `own` and `other` are its indices, None where it is in but one build."""

    name: str
    own: int | None
    other: int | None
    changes: tuple[Change, ...]


def check_comparable(build: Build, against: Build | None) -> None:
    """UsageError unless both hold a compiled model, where there are two."""
    for each in (build, against) if against is not None else ():
        if each.report is None:
            raise UsageError(
                f"{each.folder}: no compiled model in it to compare; folders that `vq-cortexm "
                "compile` made work"
            )


def totals(build: Build, other: Build) -> list[Change]:
    """The quantities of whole models that at least one of both builds knows."""
    found = [
        Change(name, figure, _look_up(build, figure), _look_up(other, figure))
        for name, figure in _TOTALS
    ]
    return [change for change in found if (change.own, change.other) != (None, None)]


def changed_layers(build: Build, other: Build) -> list[LayerChange]:
    """The layers, paired by name, of which a figure differs or that are in one build alone.

    Where only one build was measured, what is known without a run is compared.
    """
    both = build.measured is not None and other.measured is not None
    own, others = (_layers(b, both) for b in (build, other))
    place = "report.measured.layers" if both else "report.layers"
    found = []
    for name in dict.fromkeys([*own, *others]):
        pair = own.get(name), others.get(name)
        indices = [None if each is None else each[0] for each in pair]
        known = [None if each is None else each[1] for each in pair]
        changes = tuple(
            Change(
                key,
                f"{place}[{indices[0]}].{key}",
                *(None if layer is None else _figure(layer, key) for layer in known),
            )
            for key in LAYER_FIGURES
        )
        if None in pair or any(change.own != change.other for change in changes):
            found.append(LayerChange(name, indices[0], indices[1], changes))
    return found


_TOTALS = (
    ("cycles", "report.measured.cycles"),
    ("instructions", "report.measured.instructions"),
    ("MACs", "report.macs"),
    ("flash, bytes", "report.measured.flash.total"),
    ("code, bytes", "report.measured.flash.text"),
    ("constants, bytes", "report.constants_bytes"),
    ("RAM, bytes", "report.measured.ram.total"),
    ("arena, bytes", "report.arena_bytes"),
    ("stack at its peak, bytes", "report.measured.ram.stack_peak"),
)


def _look_up(build: Build, figure: str) -> int | None:
    """A whole number of report.json by its place; None where it is not there."""
    value: object = build.report
    for key in figure.split(".")[1:]:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, int) else None


def _layers(build: Build, measured: bool) -> dict[str, tuple[int, Layer]]:
    """By name, each with its index."""
    assert build.report is not None
    source = build.measured if measured and build.measured is not None else build.report
    return {layer["name"]: (index, layer) for index, layer in enumerate(source["layers"])}


def _figure(layer: Layer, key: str) -> int | None:
    """A layer without weights has no levels to show."""
    if key == "levels" and not layer["weight_bytes"]:
        return None
    value = dict(layer)[key]
    return value if isinstance(value, int) else None
