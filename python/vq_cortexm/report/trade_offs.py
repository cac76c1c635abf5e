"""Charts of what accuracy costs: the front of `fit`, the thresholds of `bcnet eval`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from .charts import Line, Scatter, Spot, scatter
from .schema import Evaluation, Fitted, Front, Pair, Point

_MOST_POINTS = 41
"""Rows of the table of thresholds: every fortieth of what can be escalated."""
_Strategy = Literal["n-ary", "pruned"]
_STRATEGIES: dict[_Strategy, str] = {"n-ary": "fewer levels", "pruned": "8 bits, fewer channels"}


@dataclass(frozen=True)
class FrontModel:
    """A model, its name, and where its figures are from, as in `pareto.front[0].n-ary`."""

    name: str
    figure: str
    model: Fitted


def front_models(front: Front) -> list[FrontModel]:
    """All of them: plain 8 bits, the chosen pair, and the pairs of the other budgets."""
    models = [FrontModel("8 bits", "pareto.eight_bit", front["eight_bit"])]
    for name, figure, pair in _pairs(front):
        for strategy, label in _STRATEGIES.items():
            model = pair[strategy]
            if model is not None:
                models.append(FrontModel(f"{name}: {label}", f"{figure}.{strategy}", model))
    return models


def score_name(front: Front) -> Literal["accuracy", "agreement"]:
    """What models are judged by: agreement with 8 bits where the samples have no classes."""
    return "agreement" if front["eight_bit"]["accuracy"] is None else "accuracy"


def front_charts(front: Front) -> tuple[Scatter, Scatter]:
    """Accuracy against stored weights, and against flash."""
    return (
        _front_chart(front, "weight_bytes", "stored weights"),
        _front_chart(front, "flash_bytes", "flash"),
    )


def _front_chart(front: Front, size: Literal["weight_bytes", "flash_bytes"], what: str) -> Scatter:
    score = score_name(front)

    def place(model: Fitted) -> tuple[float, float]:
        return model[size] / 1000, 100 * (model[score] or 0.0)

    spots, lines = [], []
    for series, (strategy, name) in enumerate(_STRATEGIES.items(), 1):
        models = [m for _, _, pair in _pairs(front) if (m := pair[strategy]) is not None]
        if models:
            lines.append(Line(series, name, sorted({place(model) for model in models})))
    for named in front_models(front):
        series = 3 if named.model is front["eight_bit"] else 1 + named.figure.endswith("pruned")
        x, y = place(named.model)
        label = f"{named.name}: {y:.2f} % {score}, {named.model[size]:,} bytes of {what}"
        shape = "square" if series == 3 else "ring" if ".chosen." in named.figure else "dot"
        spots.append(Spot(x, y, series, shape, label))
    budget = front["budgets"].get(size)
    return scatter(
        f"front-{size.removesuffix('_bytes')}",
        f"{score.capitalize()} against {what}",
        (f"{what}, KB of 1000 bytes", f"{score}, %"),
        lines,
        spots,
        None if budget is None else (budget / 1000, f"budget: {budget:,} bytes"),
    )


def _pairs(front: Front) -> Iterator[tuple[str, str, Pair]]:
    yield "chosen", "pareto.chosen", front["chosen"]
    for index, pair in enumerate(front["front"]):
        yield str(index + 1), f"pareto.front[{index}]", pair


def sweep_chart(evaluation: Evaluation) -> Scatter:
    """Accuracy against mean cycles: BC-Net's thresholds and CoopNet's as curves, each model at its
    operating point."""
    most = max(row["worst_cycles"] for row in evaluation["rows"])
    unit, name = (1e6, "millions") if most >= 1e6 else (1e3, "thousands")
    lines = [_sweep_line(1, "BC-Net", evaluation["points"], unit)]
    if evaluation["coopnet_points"]:
        lines.append(_sweep_line(2, "CoopNet", evaluation["coopnet_points"], unit))
    shapes = {"BC-Net": (1, "ring"), "CoopNet": (2, "ring")}
    spots = [
        Spot(p["mean_cycles"] / unit, 100 * p["accuracy"], 1, "dot", _point_label(p))
        for _, p in shown_points(evaluation)
    ]
    for row in evaluation["rows"]:
        series, shape = shapes.get(row["name"], (3, "square"))
        accuracy = 100 * row["accuracy"]["mean"]
        label = f"{row['name']}: {accuracy:.2f} % accuracy, {row['mean_cycles']:,.0f} mean cycles"
        spots.append(Spot(row["mean_cycles"] / unit, accuracy, series, shape, label))
    return scatter(
        "sweep",
        "Accuracy against mean cycles, for all thresholds",
        (f"mean modelled cycles of an inference, {name}", "accuracy, %"),
        lines,
        spots,
    )


def shown_points(evaluation: Evaluation) -> list[tuple[int, Point]]:
    """Of the thresholds, in order, a few that are spread evenly over the share that escalates, with
    their indices."""
    points = list(enumerate(evaluation["points"]))
    if len(points) <= _MOST_POINTS:
        return points
    wanted = [n / (_MOST_POINTS - 1) for n in range(_MOST_POINTS)]
    nearest = {min(points, key=lambda p: abs(p[1]["escalated"] - n))[0] for n in wanted}
    return [points[index] for index in sorted(nearest)]


def _sweep_line(series: int, name: str, points: Sequence[Point], unit: float) -> Line:
    return Line(series, name, [(p["mean_cycles"] / unit, 100 * p["accuracy"]) for p in points])


def _point_label(point: Point) -> str:
    thresholds = ", ".join(map(str, point["thresholds"]))
    return (
        f"threshold {thresholds}: {point['accuracy']:.2%} accuracy, {point['escalated']:.1%} "
        f"escalated, {point['mean_cycles']:,.0f} mean cycles"
    )
