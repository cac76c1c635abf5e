"""Guided search of large spaces: MetaSchedule's evolutionary search with TVM's XGBoost cost model.

To MetaSchedule a task is an empty function, and a candidate the annotations on its root block: one
number of a schedule for each layer. Samples, mutations, builder, runner and features are ours; what
it adds is the population, the choice of what to measure next, and the cost model. The stock feature
extractor would see nothing in such functions, and the stock search would never be guided.
"""

from __future__ import annotations

import logging
import math
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import tvm

from ..compat import (
    PrimFunc,
    derived_object,
    meta_schedule,
    runtime_tensor,
    without_tensor_intrinsics,
)
from ..kernels.tir import FunctionBuilder, T, store
from .points import Point, Space

ms: Any = meta_schedule()
Evaluate = Callable[[list[Point]], list[float]]
"""Costs of points, measured together; infinite where one failed."""

_ANNOTATION = "vq.layer"
_LOGGER = "tvm.s_tir.meta_schedule"
_WARM_UP = 16
"""Points that are chosen at random before the cost model says anything."""
_PER_ROUND = 16


def guided_search(space: Space, trials: int, seed: int, evaluate: Evaluate) -> None:
    """Evaluates `trials` points, each once, that come to be better and better; fewer if the space
    is exhausted. The same seed and costs give the same points."""
    chance = random.Random(seed)
    with (
        tempfile.TemporaryDirectory(prefix="vq-tune-") as folder,
        _alone(seed),
        without_tensor_intrinsics(),
    ):
        ms.tune_tir(
            _function(),
            tvm.target.Target({"kind": "c"}),
            work_dir=folder,
            max_trials_global=trials,
            num_trials_per_iter=min(_PER_ROUND, trials),
            builder=_Builder(),
            runner=_Runner(evaluate),
            database=ms.database.MemoryDatabase(),
            cost_model=ms.cost_model.XGBModel(
                extractor=_Features(space), num_warmup_samples=_WARM_UP, num_tuning_cores=1
            ),
            measure_callbacks=[
                ms.measure_callback.AddToDatabase(),
                ms.measure_callback.UpdateCostModel(),
            ],
            task_scheduler=ms.task_scheduler.RoundRobin(),
            space=ms.space_generator.ScheduleFn(
                lambda schedule: _sample(schedule, space),
                sch_rules=[],
                postprocs=[],
                mutator_probs={_Mutator(space, chance): 1.0},
            ),
            strategy=ms.search_strategy.EvolutionarySearch(
                population_size=128,
                init_measured_ratio=0.5,
                init_min_unmeasured=32,
                max_fail_count=50,
                genetic_num_iters=4,
                eps_greedy=0.1,
            ),
            num_tuning_cores=1,
            seed=seed,
        )


def random_search(space: Space, trials: int, seed: int, evaluate: Evaluate) -> None:
    """Evaluates as many points of equal chance, each once."""
    chance = random.Random(seed)
    sizes, count = space.sizes, min(trials, len(space))
    points: dict[Point, None] = {}
    while len(points) < count:
        points[tuple(chance.randrange(size) for size in sizes)] = None
    chosen = list(points)
    for first in range(0, count, _PER_ROUND):
        evaluate(chosen[first : first + _PER_ROUND])


def _function() -> PrimFunc:
    """What all tasks are to MetaSchedule."""
    with FunctionBuilder("main") as builder:
        x = builder.parameter("x", (1,), "int8")
        with T.sblock("root"):
            store(x, [0], x[0])
    return builder.function


def _sample(schedule: Any, space: Space) -> None:
    """A random point as annotations of the root block."""
    block = schedule.get_sblock("root")
    for layer, size in enumerate(space.sizes):
        index = schedule.sample_categorical(list(range(size)), [1 / size] * size)
        schedule.annotate(block, f"{_ANNOTATION}{layer}", index)


def _point(module: Any, layers: int) -> Point:
    """The point that a candidate is."""
    annotations = module["main"].body.block.annotations
    return tuple(int(annotations[f"{_ANNOTATION}{layer}"]) for layer in range(layers))


def _layers(module: Any) -> int:
    annotations = module["main"].body.block.annotations
    return sum(str(name).startswith(_ANNOTATION) for name in annotations)


@derived_object
class _Builder(ms.builder.PyBuilder):  # type: ignore[misc]
    """The artifact of a candidate is its point; points are built and run together later."""

    def build(self, build_inputs: list[Any]) -> list[Any]:
        """One artifact each."""
        points = [_point(one.mod, _layers(one.mod)) for one in build_inputs]
        return [ms.builder.BuilderResult(",".join(map(str, point)), None) for point in points]


@derived_object
class _Runner(ms.runner.PyRunner):  # type: ignore[misc]
    """Costs as seconds."""

    def __init__(self, evaluate: Evaluate) -> None:
        super().__init__()
        self.evaluate = evaluate

    def run(self, runner_inputs: list[Any]) -> list[Any]:
        """All at once."""
        points = [tuple(map(int, str(one.artifact_path).split(","))) for one in runner_inputs]
        return [_Done(cost) for cost in self.evaluate(points)]


@derived_object
class _Done(ms.runner.PyRunnerFuture):  # type: ignore[misc]
    """A cost that is there already."""

    def __init__(self, cost: float) -> None:
        super().__init__()
        self.cost = cost

    def done(self) -> bool:
        """Always."""
        return True

    def result(self) -> Any:
        """The cost."""
        if math.isinf(self.cost):
            return ms.runner.RunnerResult(None, "failed")
        return ms.runner.RunnerResult([self.cost * 1e-9], None)


@derived_object
class _Mutator(ms.mutator.PyMutator):  # type: ignore[misc]
    """Moves one layer to a schedule next to its own, or at times to any."""

    def __init__(self, space: Space, chance: random.Random) -> None:
        super().__init__()
        self.space, self.chance = space, chance

    def _initialize_with_tune_context(self, context: Any) -> None:
        pass

    def apply(self, trace: Any, _random_state: int) -> Any:
        """A trace with one other decision; None where there is no other."""
        samples = [i for i in trace.insts if i.kind.name == "SampleCategorical"]
        choices = [layer for layer, size in enumerate(self.space.sizes) if size > 1]
        if not choices:
            return None
        layer = self.chance.choice(choices)
        index = int(trace.decisions[samples[layer]])
        others = self.space.neighbours(layer, index)
        if self.chance.random() < 0.1:
            others = [i for i in range(self.space.sizes[layer]) if i != index]
        return trace.with_decision(samples[layer], self.chance.choice(others), True)

    def clone(self) -> Any:
        """For another population."""
        return _Mutator(self.space, self.chance)


@derived_object
class _Features(ms.feature_extractor.PyFeatureExtractor):  # type: ignore[misc]
    """One row for each candidate."""

    def __init__(self, space: Space) -> None:
        super().__init__()
        self.space = space

    def extract_from(self, context: Any, candidates: Sequence[Any]) -> list[Any]:
        """As TVM's tensors."""
        layers = len(self.space.sizes)
        rows = [self.space.features(_point(one.sch.mod, layers)) for one in candidates]
        return [runtime_tensor(row[np.newaxis]) for row in rows]


@contextmanager
def _alone(seed: int) -> Iterator[None]:
    """Keeps MetaSchedule's many reports away from the terminal, and seeds what its cost model draws
    from before it is trained: NumPy's own source of chance. Afterwards both are as they were.

    MetaSchedule sets its loggers up anew in every run, from the handlers that they have, which need
    names then; it leaves files open in a folder that goes.
    """
    state = np.random.get_state()
    main = logging.getLogger(_LOGGER)
    level, propagates, handlers = main.level, main.propagate, main.handlers
    others = [handler for logger in _children() for handler in logger.handlers]
    main.setLevel(logging.ERROR)
    main.handlers = []
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)
        for logger in (main, *_children()):
            for handler in [one for one in logger.handlers if one not in others]:
                logger.removeHandler(handler)
                handler.close()
        main.setLevel(level)
        main.propagate, main.handlers = propagates, handlers


def _children() -> list[logging.Logger]:
    loggers = logging.Logger.manager.loggerDict.items()
    return [
        logger
        for name, logger in loggers
        if name.startswith(f"{_LOGGER}.") and isinstance(logger, logging.Logger)
    ]
