"""From a model file, data and budgets to the chosen model, the front and the files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from .. import target as targets
from ..errors import BudgetError, ModelError, UsageError
from ..nary.types import LARGEST_LEVELS
from ..op.rounding import Rounding
from ..quantize.calibration_data import CalibrationData, read_data
from ..quantize.graph import FloatGraph
from ..quantize.quantize_graph import Watch
from ..quantize.session import SAMPLES, Origin, export_onnx, read_model
from ..target import Board
from ..transform.lower_to_tir import Objective
from .bench import Bench
from .model import Figures, FittedModel, HeldOut
from .problem import Budgets, Costs
from .search import Search
from .sensitivity import Sensitivity, result_tensor

LEVELS = (2, 3, 4, 5, 8, 11, 16, 32, 64, 128, 256)
"""That a layer may have, by default."""
VERIFIED = 2000
"""Held-out samples, at most, by default."""
_EVERY = 4
"""One sample of so many is held out where no others are given."""


@dataclass(frozen=True)
class FitOptions:
    """What `fit_file` is asked for; inputs are (x - mean) * scale.

    `held_out` is another D.npz; without it samples are used that the calibration leaves.
    `points` is how many budgets of flash the front is sought for.
    """

    budgets: Budgets = field(default_factory=Budgets)
    board: str = "mps2-an386"
    rounding: Rounding = "single"
    scale: tuple[float, ...] = (1.0,)
    mean: tuple[float, ...] = (0.0,)
    samples: int = SAMPLES
    held_out: Path | None = None
    verified: int = VERIFIED
    levels: tuple[int, ...] = LEVELS
    points: int = 8


@dataclass(frozen=True)
class Pair:
    """An n-ary model, and the pruned 8-bit one whose weights take as much; None: there is none."""

    nary: FittedModel
    pruned: FittedModel | None


@dataclass(frozen=True, eq=False)
class Fit:
    """The 8-bit network, the chosen pair, and pairs for budgets of flash from least to most."""

    origin: Origin
    options: FitOptions
    verified: int
    eight_bit: FittedModel
    chosen: Pair
    front: tuple[Pair, ...]
    sensitivity: Sensitivity
    costs: Mapping[Objective, Costs]

    @property
    def models(self) -> list[FittedModel]:
        """All that were measured, each once."""
        pairs = (self.chosen, *self.front)
        found = [model for pair in pairs for model in (pair.nary, pair.pruned) if model]
        return [self.eight_bit, *dict.fromkeys(found)]

    def is_on_front(self, model: FittedModel) -> bool:
        """Whether no other model is as good in everything and better in something."""
        return not any(other.figures.dominates(model.figures) for other in self.models)

    def to_onnx(self, model: FittedModel) -> ModelProto:
        """The ONNX QDQ file of one of the models."""
        return export_onnx(model.quantized, self.origin, model.plan.config)


def fit_file(model: Path, data: Path, options: FitOptions, watch: Watch = lambda name: None) -> Fit:
    """Chooses levels for the layers of a float or int8 file, ONNX or TFLite.

    BudgetError, naming the nearest model, if no choice holds the budgets; ModelError or UsageError
    for a model, data or options that cannot be used.
    """
    board = _check(options)
    source, graph = read_model(model)
    if len(graph.outputs) != 1:  # losses, shares of right answers and agreement are of one
        raise ModelError(f"{model.name}: has {len(graph.outputs)} outputs; one works")
    given, held_out = _data(data, graph, options)
    watch("8 bits")
    levels = sorted({*options.levels, LARGEST_LEVELS})
    search = Search(graph, given, held_out, Bench(board, options.rounding), levels, watch)
    chosen = _chosen(search, options.budgets)
    front = search.sweep(options.points)
    better = [m for m in front if not options.budgets.excess(vars(m.figures))]
    return Fit(
        Origin(model.name, hashlib.sha256(source).hexdigest(), len(given.x)),
        options,
        len(held_out.x),
        search.eight_bit,
        _pair(search, min([chosen, *better], key=search.loss), options.budgets),
        tuple(_pair(search, nary, Budgets()) for nary in front),
        search.sensitivity,
        search.costs,
    )


def _chosen(search: Search, budgets: Budgets) -> FittedModel:
    chosen = search.within(budgets) or search.nearest(budgets)
    if budgets.excess(vars(chosen.figures)):
        raise BudgetError(
            f"no choice of levels holds {_listed(budgets)}; the nearest takes "
            f"{_listed(chosen.figures, budgets)}"
        )
    return chosen


def _pair(search: Search, nary: FittedModel, budgets: Budgets) -> Pair:
    """The n-ary model beside a pruned one whose weights take no more, within the same budgets."""
    same = replace(budgets, weight_bytes=nary.figures.weight_bytes)
    return Pair(nary, None if nary.plan.is_plain else search.pruned(same))


_UNITS = {
    "flash_bytes": "{:,} bytes of flash",
    "ram_bytes": "{:,} bytes of RAM",
    "cycles": "{:,} cycles",
    "weight_bytes": "{:,} bytes of weights",
}


def _listed(figures: Figures | Budgets, asked: Budgets | None = None) -> str:
    """What is asked for, in words: the budgets, or a model's figures for them."""
    names = [name for name, limit in vars(asked or figures).items() if limit is not None]
    parts = [_UNITS[name].format(getattr(figures, name)) for name in names]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)


def _check(options: FitOptions) -> Board:
    board = targets.board_by_name(options.board)
    targets.check_runs_here(board)
    if board.emulation == "host":
        raise UsageError("the host has no flash or cycles to measure; see `vq-cortexm boards`")
    if options.budgets.cycles is not None and not board.core.models_cycles:
        modelled = [b.name for b in targets.BOARDS.values() if b.core.models_cycles]
        raise UsageError(
            f"{board.name} has no cycle model for a budget of cycles; {', '.join(modelled)} have"
        )
    return board


def _data(path: Path, graph: FloatGraph, options: FitOptions) -> tuple[CalibrationData, HeldOut]:
    """What layers are fitted to, and what models are tried on."""

    def read(file: Path, samples: int) -> CalibrationData:
        return read_data(file, graph, options.scale, options.mean, samples)

    given = read(path, options.samples)
    if options.held_out is not None:
        rest = read(options.held_out, 1 << 62)
    else:
        everything = read(path, options.samples + options.verified)
        # the input's scale is that of `quantize` on the same samples
        everything = replace(everything, scale=given.scale)
        given, rest = _split(path, everything, options.samples)
    spread = np.linspace(0, len(rest.x) - 1, options.verified).round().astype(np.int64)
    held_out = _part(rest, np.unique(spread))
    is_classifier = held_out.y is not None or result_tensor(graph) != graph.outputs[0]
    return given, HeldOut(held_out.x, held_out.y, is_classifier)


def _split(
    path: Path, data: CalibrationData, samples: int
) -> tuple[CalibrationData, CalibrationData]:
    """The first `samples` and the others, or, where these are few, every fourth as the others."""
    index = np.arange(len(data.x))
    is_held = index >= samples
    if is_held.sum() < samples // _EVERY:
        is_held = index % _EVERY == _EVERY - 1
    if not is_held.any():
        raise UsageError(f"{path}: {len(data.x)} samples; {_EVERY} or more work")
    return _part(data, index[~is_held]), _part(data, index[is_held])


def _part(data: CalibrationData, index: NDArray[np.int64]) -> CalibrationData:
    return CalibrationData(data.x[index], data.scale, None if data.y is None else data.y[index])
