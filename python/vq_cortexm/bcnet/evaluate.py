"""Accuracy and costs of a composed model, beside its nets alone and a plain 8-bit net."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..build import build_folded
from ..compat import IRModule
from ..errors import UsageError, naming
from ..micro.job import RunJob
from ..op.bc_net import ALWAYS_ESCALATE, NEVER_ESCALATE, PATHS
from ..op.escalate import Confidence
from ..samples import random_samples
from ..target import DEFAULT_TARGET, Board
from ..transform.composed import policy_of
from .answers import collect, single
from .compose import Policy, compose
from .statistics import Interval, bootstrap
from .sweep import PathCycles, Point, sweep


@dataclass(frozen=True)
class Costs:
    """On a board; `cycles` are of an inference, modelled or counted by hardware; `accurate` is the
    worst case."""

    cycles: PathCycles
    flash_bytes: int
    ram_bytes: int


@dataclass(frozen=True)
class Row:
    """A model at its operating point. `difference` is its accuracy less the plain net's, or less
    the accurate net's where there is no plain one. `microjoules` are an estimate of an inference
    from the board's current, None where that is not known."""

    name: str
    accuracy: Interval
    difference: Interval
    escalated: float
    mean_cycles: float
    worst_cycles: float
    flash_bytes: int
    ram_bytes: int
    microjoules: float | None


@dataclass(frozen=True)
class Evaluation:
    """All rows, and the sweeps over the thresholds of BC-Net and, with a plain net, of CoopNet."""

    rows: tuple[Row, ...]
    points: tuple[Point, ...]
    coopnet_points: tuple[Point, ...]


def costs(module: IRModule, board: Board, elsewhere: RunJob | None = None) -> Costs:
    """Of a composed module by running both of its paths on an emulated board, or of a single net.

    `elsewhere` runs them in this computer's place. UsageError: the board is emulated without a
    cycle model.
    """
    if board.emulation != "none" and not board.core.models_cycles:
        raise UsageError(f"{board.name} has no cycle model; mps2-an386 has")
    compiled = build_folded(module, f"{DEFAULT_TARGET}/{board.core.name}", name="net")
    sample = list(random_samples(compiled.program.inputs, 1, seed=1))
    is_composed = policy_of(module) is not None
    forced = ([NEVER_ESCALATE], [ALWAYS_ESCALATE]) if is_composed else ([],)
    how: dict[str, Any] = {"check": True, "elsewhere": elsewhere}
    runs = [compiled.run(sample, board, thresholds=each, **how) for each in forced]
    cycles = [float(run.cycles or 0) for run in runs]
    sizes = runs[0].flash["total"], runs[0].ram["total"]
    return Costs(PathCycles(cycles[0], cycles[-1]), *sizes)


def evaluate(
    module: IRModule,
    x: NDArray[Any],
    labels: NDArray[Any],
    board: Board,
    plain: IRModule | None = None,
    elsewhere: RunJob | None = None,
) -> Evaluation:
    """A composed module at its own thresholds on labelled samples x (N, ...), by its compiled code.
    A net alone answers with its own logits.

    `plain` is an 8-bit net that was trained alone: it is the reference then, and composed with the
    fast net without any combination it is CoopNet's scheme, at the threshold at which most nearly
    as many samples escalate as in the module. What runs on the board is run by `elsewhere`, where
    that is given, in this computer's place.
    """
    fast, second = (single(module, name) for name in PATHS)
    # before the measurements, which take minutes: the plain net may be of another shape
    coop = None if plain is None else _coopnet(module, fast, plain)
    answers = collect(module, x, labels)
    cost = partial(costs, board=board, elsewhere=elsewhere)
    both = cost(module)
    share = float(answers.escalated(answers.attrs.thresholds).mean())
    accurate = answers.accurate_alone_right
    models = [
        _Model("fast net alone", answers.fast_alone_right, 0.0, cost(fast)),
        _Model("accurate net alone", accurate, 1.0, cost(second)),
    ]
    coop_points: list[Point] = []
    if coop is not None:
        coop_answers, coop_costs = collect(coop, x, labels), cost(coop)
        coop_points = sweep(coop_answers, coop_costs.cycles)
        nearest = min(coop_points, key=lambda point: abs(point.escalated - share))
        alone, right = coop_answers.accurate_alone_right, coop_answers.right(nearest.thresholds)
        models += [
            _Model("plain net alone", alone, 1.0, cost(single(coop, "accurate"))),
            _Model("CoopNet", right, nearest.escalated, coop_costs),
        ]
    base = models[-2].right if coop is not None else accurate
    models.append(_Model("BC-Net", answers.right(answers.attrs.thresholds), share, both))
    rows = tuple(_row(model, base, board) for model in models)
    return Evaluation(rows, tuple(sweep(answers, both.cycles)), tuple(coop_points))


def _coopnet(module: IRModule, fast: IRModule, plain: IRModule) -> IRModule:
    """The fast net of the module, and the plain one where it is unsure."""
    policy = policy_of(module)
    assert policy is not None
    with naming("the plain net, in the accurate one's place"):
        return compose(fast, plain, Policy(cast(Confidence, policy.confidence)))


@dataclass(frozen=True, eq=False)
class _Model:
    """Which samples it answers rightly, (N,), and the share that it escalates."""

    name: str
    right: NDArray[np.bool_]
    escalated: float
    costs: Costs


def _row(model: _Model, base: NDArray[np.bool_], board: Board) -> Row:
    right = model.right.astype(np.float64)
    cycles = model.costs.cycles
    mean = cycles.mean(model.escalated)
    energy = board.picojoules_per_cycle
    return Row(
        model.name,
        bootstrap([right]),
        bootstrap([right - base]),
        model.escalated,
        mean,
        cycles.accurate,
        model.costs.flash_bytes,
        model.costs.ram_bytes,
        None if energy is None else mean * energy / 1e6,
    )
