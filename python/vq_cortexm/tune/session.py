"""Tuning a model: its layers, each kind once, in the order in which cycles can be won.

Every round goes to the layers that still have most to win: their cycles, times how many such layers
there are, times the share of their schedules that nobody has measured. Spaces are enumerated that
way; one that is larger than the budget, and than `ENUMERATED`, is searched (`guided`). What a
database knows already is not measured again, so an interrupted run goes on where it was.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from .._version import __version__
from ..compat import Expr, IRModule, op_name
from ..errors import UsageError
from ..kernels import KERNELS
from ..kernels.knobs import Schedule
from ..kernels.layer import Layer
from ..micro.toolchain import tool_version
from ..nary.encoding import Realisation
from ..op.binary_conv2d import BinaryConv2dAttrs
from ..target import Board, check_runs_here
from ..transform.composed import nets_of
from ..transform.lower_to_tir import layer_of, realisations
from ..transform.rewriting import bindings_of
from ..transform.select_realisation import possible_layers
from ..transform.virtual_quantize import count_levels
from .database import Database, Record
from .image import Cost
from .measure import BATCH, Outcome, RunImage, Trial, emulate, measure
from .objective import Objective
from .points import Point, Space
from .task import REALISATION, Task, describe, digest, layer_key, with_realisation

ENUMERATED = 512
"""Trials that a searched space gets at most."""
_CODE_BYTES = 6000
"""Of a candidate, at most, about."""
_FEW_LEVELS = 64
"""Up to which storing weights otherwise is part of the space."""


@dataclass(frozen=True)
class TuneOptions:
    """`trials` candidates are measured at most, `jobs` images at a time."""

    trials: int = 2000
    objective: Objective = field(default_factory=Objective)
    seed: int = 1
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)


@dataclass
class Progress:
    """How far a kind of layer is; `best` and `own` are figures of the best schedule and of the
    kernel's own."""

    name: str
    alike: int
    points: int
    measured: int = 0
    failed: int = 0
    own: Outcome | None = None
    best: Record | None = None


Watch = Callable[[Sequence[Progress]], None]
"""Told after every round."""


def compiler_id() -> str:
    """Of this package and the C compiler."""
    return f"vq-cortexm {__version__}, gcc {tool_version('arm-none-eabi-gcc')}"


def measured_by(board: Board) -> str:
    """Under which figures of a board are kept: cycles that hardware counts are not those that are
    modelled for a core, nor those of another board."""
    return f"{compiler_id()}, {board.name}" if board.emulation == "none" else compiler_id()


def tune_module(
    folded: IRModule,
    board: Board,
    database: Database,
    options: TuneOptions = TuneOptions(),
    watch: Watch = lambda _progress: None,
    run: RunImage | None = None,
) -> list[Progress]:
    """Tunes the kernels of a folded module for a board's core; results go to `database`.

    `run` runs images on the board, by default on this computer, in the emulator. Deterministic: the
    same module, database, options and compiler give the same measurements, where the board does.
    UsageError: the board is neither emulated nor behind `run`, or is this computer.
    """
    if run is None:
        check_runs_here(board)
    if board.emulation == "host":
        raise UsageError(f"board {board.name!r} is not emulated; `vq-cortexm boards` names others")
    session = _Session(board, database, options, run or emulate(board), measured_by(board))
    kinds = session.kinds(folded)
    left = options.trials
    for kind in kinds[:left]:
        left -= session.measure(kind, [(0,)])
        watch([one.progress for one in kinds])
    while left > 0 and any(kind.to_come for kind in kinds):
        left -= session.round(max(kinds, key=session.left_to_win), left)
        watch([one.progress for one in kinds])
    return [kind.progress for kind in kinds]


@dataclass(eq=False)
class _Kind:
    """Layers of one key, and which of their points are to come."""

    task: Task
    space: Space
    progress: Progress
    to_come: list[Point] = field(default_factory=list)

    def layer_at(self, point: Point) -> tuple[Layer, Schedule]:
        """The layer with its weights stored as the point says, and the rest of its schedule."""
        schedule = dict(self.space.at(point)[0])
        stored = str(schedule.pop(REALISATION, self.task.layers[0].realisation))
        return with_realisation(self.task.layers[0], stored), schedule

    def is_own(self, point: Point) -> bool:
        """Whether the kernel of weights stored that way has the schedule by itself."""
        schedules = self.space.schedules[0]
        stored = schedules[point[0]].get(REALISATION)
        return all(one.get(REALISATION) != stored for one in schedules[: point[0]])


@dataclass(eq=False)
class _Session:
    board: Board
    database: Database
    options: TuneOptions
    run: RunImage
    compiler: str

    def kinds(self, folded: IRModule) -> list[_Kind]:
        """Of all layers that have more than one schedule."""
        found: dict[str, _Kind] = {}
        for net in nets_of(folded).values():
            stored = realisations(net)
            for var, call in bindings_of(net):
                if op_name(call) in KERNELS:
                    name = stored.get(str(var.name), "plain")
                    self._add(call, layer_of(call, realisation=name), found)
        return list(found.values())

    def _others(self, call: Expr, layer: Layer) -> tuple[Realisation, ...]:
        """How else the weights of a layer of few levels can be stored."""
        if count_levels(call) > _FEW_LEVELS:
            return ()
        possible = possible_layers(replace(layer, realisation="plain"), self.board.core)
        return tuple(one.realisation for one in possible if one.realisation != layer.realisation)

    def _add(self, call: Expr, layer: Layer, found: dict[str, _Kind]) -> None:
        stored = self._others(call, layer)
        key = layer_key(layer, self.board.core) + " ".join(stored)
        if key in found:
            found[key].progress.alike += 1
            return
        task = Task((layer,), self.board.core, (stored,))
        space = Space(task)
        if len(space) < 2:
            return
        found[key] = kind = _Kind(task, space, Progress(_name(layer), 1, len(space)))
        own = [point for point in space if kind.is_own(point)]
        others = [point for point in space if not kind.is_own(point)]
        random.Random(f"{self.options.seed} {key}").shuffle(others)
        kind.to_come = [*own[1:], *others]

    def left_to_win(self, kind: _Kind) -> float:
        """Cycles, or what else the objective counts."""
        own = kind.progress.own
        cost = self.options.objective.cost(own) if isinstance(own, Cost) else 1e9
        return kind.progress.alike * cost * len(kind.to_come) / kind.progress.points

    def round(self, kind: _Kind, left: int) -> int:
        """Measures some points of a kind; how many."""
        if kind.progress.points > max(ENUMERATED, left):
            return self._search(kind, min(left, ENUMERATED))
        count = min(left, BATCH * self.options.jobs)
        points, kind.to_come = kind.to_come[:count], kind.to_come[count:]
        return self.measure(kind, points)

    def _search(self, kind: _Kind, trials: int) -> int:
        from .guided import guided_search

        measured = 0

        def evaluate(points: list[Point]) -> list[float]:
            nonlocal measured
            measured += self.measure(kind, points)
            return [self.options.objective.cost(self._known(kind, point)) for point in points]

        guided_search(kind.space, trials, self.options.seed, evaluate)
        kind.to_come = []
        return max(measured, 1)

    def measure(self, kind: _Kind, points: Sequence[Point]) -> int:
        """Measures the points that the database does not know; how many."""
        new = [point for point in points if self._find(kind, point) is None]
        trials = [Trial(partial(kind.task.make, kind.space.at(point))) for point in new]
        jobs, batch = self.options.jobs, self._batch(kind.task)
        outcomes = measure(trials, kind.task.exam, self.run, jobs=jobs, batch=batch)
        for point, outcome in zip(new, outcomes, strict=True):
            layer, schedule = kind.layer_at(point)
            self.database.add(
                describe(layer, kind.task.core),
                Record(self._task(layer), self.compiler, schedule, outcome, kind.is_own(point)),
            )
        for point in points:
            self._note(kind, point)
        return len(new)

    def _batch(self, task: Task) -> int:
        """Candidates of an image that fit the board's memories, about: each has an output, and
        weights and code of its own."""
        layer, board = task.layers[-1], self.board
        output_bytes = math.prod(layer.output.shape) * np.dtype(layer.output.dtype).itemsize
        weight_bytes = sum(constant.nbytes for constant in layer.constants)
        in_ram = (board.ram.size_bytes - board.stack_bytes) // 2 // output_bytes
        in_flash = board.flash.size_bytes // (2 * weight_bytes + _CODE_BYTES)
        return max(1, min(BATCH, in_ram, in_flash))

    def _note(self, kind: _Kind, point: Point) -> None:
        progress, outcome = kind.progress, self._known(kind, point)
        progress.measured += 1
        if not any(point):
            progress.own = outcome
        if not isinstance(outcome, Cost):
            progress.failed += 1
            return
        order = self.options.objective.order
        if progress.best is None or order(outcome) < order(progress.best.outcome):
            layer, _ = kind.layer_at(point)
            schedule, is_own = kind.space.at(point)[0], kind.is_own(point)
            progress.best = Record(self._task(layer), self.compiler, schedule, outcome, is_own)

    def _task(self, layer: Layer) -> str:
        return digest(layer_key(layer, self.board.core))

    def _find(self, kind: _Kind, point: Point) -> Outcome | None:
        layer, schedule = kind.layer_at(point)
        return self.database.find(self._task(layer), self.compiler, schedule)

    def _known(self, kind: _Kind, point: Point) -> Outcome:
        outcome = self._find(kind, point)
        assert outcome is not None
        return outcome


def _name(layer: Layer) -> str:
    """As people tell layers apart."""
    shape, to = layer.inputs[0].shape[1:], layer.output.shape[1:]
    if isinstance(layer.attrs, BinaryConv2dAttrs):
        # words hold channels
        outputs = layer.constants[0].shape[0]
        shape, to = (*shape[:-1], layer.attrs.channels), (*to[:-1], outputs)
    weights = [c.shape for c in layer.constants if c.ndim > 2]
    size = "" if not weights else f" {'x'.join(map(str, _kernel_size(layer, weights[0])))}"
    stored: Realisation | str = "" if layer.realisation == "plain" else f", {layer.realisation}"
    x, y = ("x".join(map(str, tensor)) for tensor in (shape, to))
    return f"{layer.op.removeprefix('vq.')}{size} {x} → {y}{stored}"


def _kernel_size(layer: Layer, weights: tuple[int, ...]) -> tuple[int, ...]:
    return weights[:2] if "depthwise" in layer.op else weights[1:3]
