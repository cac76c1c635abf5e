"""What `fit` writes: the chosen model, its levels, the front and a plot of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..files import write_atomically
from ..report.svg import MatplotlibMissingError
from .model import FittedModel
from .plot import draw
from .problem import Cost, Costs
from .sensitivity import Sensitivity
from .session import Fit, Pair

MODEL, LEVELS, PRUNED, FRONT, PLOT = (
    "model.onnx",
    "vq.json",
    "pruned.onnx",
    "pareto.json",
    "pareto.svg",
)


def describe(fit: Fit) -> dict[str, Any]:
    """The content of pareto.json.

    {"model", "sha256", "board", "rounding", "samples", "verified", "budgets": {...},
     "eight_bit": {...}, "chosen": {"n-ary": {...}, "pruned": {...} | null},
     "front": [{"n-ary": {...}, "pruned": {...} | null}, ...],
     "sensitivity": {layer: {levels: loss}}, "costs": {objective: [{"layer", "levels",
     "realisation", "weight_bytes", "flash_bytes", "ram_bytes", "cycles"}]}}

    with one object a model: {"strategy", "objective", "accuracy", "agreement", "weight_bytes",
    "flash_bytes", "ram_bytes", "cycles", "on_front", "layers": [{"name", "levels", "realisation",
    "cycles", "weight_bytes", "flash", "removed"}]}.
    """
    return {
        **vars(fit.origin),
        "board": fit.options.board,
        "rounding": fit.options.rounding,
        "verified": fit.verified,
        "budgets": vars(fit.options.budgets),
        "eight_bit": _describe_model(fit, fit.eight_bit),
        "chosen": _describe_pair(fit, fit.chosen),
        "front": [_describe_pair(fit, pair) for pair in fit.front],
        "sensitivity": _describe_losses(fit.sensitivity),
        "costs": {objective: _describe_costs(costs) for objective, costs in fit.costs.items()},
    }


def write(fit: Fit, directory: Path) -> str | None:
    """Writes the files into `directory`; returns why there is no plot, if there is none.

    UsageError if the folder cannot be written.
    """
    described = describe(fit)
    vq = json.dumps(fit.chosen.nary.plan.config.to_json(), indent=2)
    files = {
        MODEL: _onnx(fit, fit.chosen.nary),
        LEVELS: f"{vq}\n".encode(),
        FRONT: f"{json.dumps(described, indent=2)}\n".encode(),
    }
    if fit.chosen.pruned is not None:
        files[PRUNED] = _onnx(fit, fit.chosen.pruned)
    reason = None
    try:
        files[PLOT] = draw(described)
    except MatplotlibMissingError as error:
        reason = str(error)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_atomically(directory / name, content)
    except OSError as error:
        raise UsageError(f"{directory}: {error.strerror}") from None
    return reason


def _describe_losses(sensitivity: Sensitivity) -> dict[str, dict[str, float]]:
    described: dict[str, dict[str, float]] = {}
    for (layer, levels), loss in sensitivity.losses.items():
        described.setdefault(layer, {})[str(levels)] = loss
    return described


def _describe_costs(costs: Costs) -> list[dict[str, Any]]:
    """Without the shared code, of which a candidate has but a part."""
    shown = [name for name in Cost.__dataclass_fields__ if name != "routines"]
    return [
        {**candidate._asdict(), **{name: getattr(cost, name) for name in shown}}
        for candidate, cost in costs.layers.items()
    ]


def _onnx(fit: Fit, model: FittedModel) -> bytes:
    return bytes(fit.to_onnx(model).SerializeToString(deterministic=True))


def _describe_pair(fit: Fit, pair: Pair) -> dict[str, Any]:
    return {
        "n-ary": _describe_model(fit, pair.nary),
        "pruned": None if pair.pruned is None else _describe_model(fit, pair.pruned),
    }


def _describe_model(fit: Fit, model: FittedModel) -> dict[str, Any]:
    levels = {candidate.layer: candidate.levels for candidate in model.plan.layers}
    return {
        "strategy": model.strategy,
        "objective": model.plan.objective,
        **vars(model.figures),
        "on_front": fit.is_on_front(model),
        "layers": [
            {
                "name": layer.name,
                "levels": levels[layer.name],
                "realisation": layer.realisation,
                "cycles": layer.cycles,
                "weight_bytes": layer.weight_bytes,
                "flash": layer.flash,
                "removed": model.removed.get(layer.name, 0),
            }
            for layer in model.layers
            if layer.name in levels
        ],
    }
