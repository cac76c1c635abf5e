"""The layers' figures as rows of a table, with what follows from them."""

from __future__ import annotations

from dataclasses import dataclass

from .folder import Build
from .schema import Layer


@dataclass(frozen=True)
class LayerRow:
    """A layer, its figures from a run if there was one; `figure` says from where, as in
    `report.layers[0]`. A bar shows `work`, which `unit` counts, as `bar` percent of the longest;
    `limit_mark` is on the same scale, None where there is no limit to show."""

    figure: str
    layer: Layer
    constants_bytes: int
    share: float | None
    cycles_per_mac: float | None
    times_limit: float | None
    work: int
    unit: str
    bar: float
    limit_mark: float | None


def layer_rows(build: Build) -> list[LayerRow]:
    """Of all layers in their order. Their work is cycles; where none are modelled instructions, and
    MACs where nothing was run."""
    if build.report is None:
        return []
    measured = build.measured
    place, layers = "report.layers", build.report["layers"]
    if measured is not None:
        place, layers = "report.measured.layers", measured["layers"]
    unit = "cycles"
    if measured is None or measured["cycles"] is None:
        is_counted = measured is not None and measured["instructions"] is not None
        unit = "instructions" if is_counted else "macs"
    work = [_count(layer, unit) for layer in layers]
    longest, total = max(work, default=0) or 1, sum(work) or 1
    return [
        LayerRow(
            f"{place}[{index}]",
            layer,
            own["flash"],
            None if layer["cycles"] is None else work[index] / total,
            _ratio(layer["cycles"], layer["macs"]),
            _ratio(layer["cycles"], layer["limit_cycles"]),
            work[index],
            unit if unit != "macs" else "MACs",
            round(100 * work[index] / longest, 2),
            None
            if layer["cycles"] is None or layer["limit_cycles"] is None
            else round(100 * layer["limit_cycles"] / longest, 2),
        )
        for index, (layer, own) in enumerate(zip(layers, build.report["layers"], strict=True))
    ]


def limit_of(rows: list[LayerRow]) -> tuple[int, float | None]:
    """The sum of the layers' limits, and how many times that the layers that have one take."""
    limited = [row.layer for row in rows if row.layer["limit_cycles"] is not None]
    least = sum(layer["limit_cycles"] or 0 for layer in limited)
    if any(layer["cycles"] is None for layer in limited):
        return least, None
    return least, _ratio(sum(layer["cycles"] or 0 for layer in limited), least)


def weight_bytes_by_realisation(rows: list[LayerRow]) -> dict[str, int]:
    """Most bytes first."""
    found: dict[str, int] = {}
    for row in rows:
        if row.layer["weight_bytes"]:
            name = row.layer["realisation"]
            found[name] = found.get(name, 0) + row.layer["weight_bytes"]
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _count(layer: Layer, key: str) -> int:
    value = dict(layer)[key]
    return value if isinstance(value, int) else 0


def _ratio(value: int | None, of: int | None) -> float | None:
    return value / of if value is not None and of else None
