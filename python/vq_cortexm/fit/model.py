"""A quantized network as it would be shipped: compiled, measured and tried on held-out data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..compiled_model import CompiledModel
from ..quantize.graph import FloatArray
from ..quantize.quantize_graph import QuantizedGraph
from ..report.layers import LayerReport
from .bench import Bench, run_on_host
from .problem import Plan
from .sensitivity import loss_between

Strategy = Literal["8-bit", "n-ary", "pruned"]


@dataclass(frozen=True)
class Figures:
    """What a model is worth and what it takes; `weight_bytes` are those of all layers' reports.

    `accuracy` is the share of right answers on the held-out data, None without classes.
    `agreement` is the share of answers that are the 8-bit network's; of a network that does not
    classify, the share of the variance of the 8-bit network's result that it explains. `cycles`
    are one inference's, None where the core has no model.
    """

    accuracy: float | None
    agreement: float
    weight_bytes: int
    flash_bytes: int
    ram_bytes: int
    cycles: int | None

    @property
    def score(self) -> float:
        """Accuracy, or agreement where there is none."""
        return self.agreement if self.accuracy is None else self.accuracy

    def dominates(self, other: Figures) -> bool:
        """Whether this one is at least as good in everything, and better in something."""
        mine, others = self._ranks(), other._ranks()
        return mine != others and all(a <= b for a, b in zip(mine, others, strict=True))

    def _ranks(self) -> tuple[float, ...]:
        return (-self.score, self.flash_bytes, self.ram_bytes, self.cycles or 0)


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Real inputs (N, ...) and classes (N,) that no choice looks at, and whether the network's
    result are classes."""

    x: FloatArray
    y: NDArray[Any] | None
    is_classifier: bool


@dataclass(frozen=True, eq=False)
class FittedModel:
    """One point of the search, as planned; `removed` are numbers of channels by layer."""

    strategy: Strategy
    plan: Plan
    removed: Mapping[str, int]
    quantized: QuantizedGraph
    figures: Figures
    layers: tuple[LayerReport, ...]


def verify(
    compiled: CompiledModel,
    held_out: HeldOut,
    reference: FloatArray,
    bench: Bench,
) -> tuple[Figures, tuple[LayerReport, ...]]:
    """Runs the compiled code: on this computer for the held-out data, on the board for its costs.

    `reference` (N, ...) is what the 8-bit network makes of the data.
    """
    result = run_on_host(compiled, held_out.x)
    run = bench.profile(compiled)
    stored = sum(layer.weight_bytes for layer in run.layers)
    accuracy = None if held_out.y is None else float((_answers(result) == held_out.y).mean())
    if held_out.is_classifier:
        agreement = float((_answers(result) == _answers(reference)).mean())
    else:
        agreement = 1.0 - loss_between(reference, result, is_classifier=False)
    figures = Figures(accuracy, agreement, stored, run.flash["total"], run.ram["total"], run.cycles)
    return figures, run.layers


def _answers(result: FloatArray) -> NDArray[np.int64]:
    return np.asarray(result.reshape(len(result), -1).argmax(axis=1))
