"""What tuning wins, and guided against random search: docs/tuning.md and its plot.

    python benchmarks/tuning.py MODELS [--db ALL.jsonl] [--output docs/tuning.md]

MODELS is the folder of MLPerf Tiny's models; --db is the file of `tune_shipped.py`, which has
every schedule of four of them. What is missing there is measured and added. Joint spaces, of layers
that follow each other, are searched with as many trials by guided and by random search, from five
seeds each; every point is measured in the emulator once.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from models import Model, ModelsMissingError, find_models
from plots import STYLE
from vq_cortexm.build import build, build_folded
from vq_cortexm.compat import IRModule
from vq_cortexm.frontend import load
from vq_cortexm.samples import random_samples
from vq_cortexm.target import BOARDS
from vq_cortexm.transform.lower_to_tir import kernel_calls, layer_of
from vq_cortexm.transform.pipeline import fold_pipeline, select_pipeline
from vq_cortexm.transform.select_realisation import possible_layers
from vq_cortexm.transform.vq_config import requested_quantization
from vq_cortexm.tune.database import load_database
from vq_cortexm.tune.guided import guided_search, random_search
from vq_cortexm.tune.image import Cost
from vq_cortexm.tune.measure import Outcome, Trial, emulate, measure
from vq_cortexm.tune.objective import parse_objective
from vq_cortexm.tune.points import Point, Space
from vq_cortexm.tune.session import TuneOptions, tune_module
from vq_cortexm.tune.task import Task

BOARD = BOARDS["mps2-an386"]
OBJECTIVE = parse_objective("cycles+20*flash+20*ram")
TRIALS, SEEDS = 96, range(1, 6)
OUTPUT = Path(__file__).parents[1] / "docs" / "tuning.md"
Search = Callable[[Space, int, int, Callable[[list[Point]], list[float]]], None]
SEARCHES: dict[str, Search] = {"guided": guided_search, "random": random_search}


@dataclass(frozen=True)
class Joint:
    """Layers of a model that follow each other; `bits` of their weights."""

    title: str
    model: str
    first: int
    count: int
    bits: int | None = None


JOINTS = (
    Joint("first convolution, depthwise, pointwise", "kws", 0, 3),
    Joint("depthwise, pointwise", "kws", 1, 2),
    Joint("pointwise, depthwise", "kws", 2, 2),
    Joint("two 3×3 convolutions of 4 bits", "ic", 1, 2, bits=4),
    Joint("two dense layers of 4 bits", "ad", 0, 2, bits=4),
)


@dataclass(eq=False)
class Measured:
    """The costs of a space's points, each measured once."""

    space: Space
    outcomes: dict[Point, Outcome] = field(default_factory=dict)

    def __call__(self, points: list[Point]) -> list[float]:
        """Costs, infinite for failures."""
        new = [point for point in points if point not in self.outcomes]
        task = self.space.task
        trials = [Trial(partial(task.make, self.space.at(point))) for point in new]
        found = measure(trials, task.exam, emulate(BOARD), jobs=2)
        self.outcomes.update(zip(new, found, strict=True))
        return [OBJECTIVE.cost(self.outcomes[point]) for point in points]


@dataclass(frozen=True, eq=False)
class Race:
    """The best so far after each trial, by search: one list for each seed; `own` is the cost of
    the kernels' own schedules."""

    joint: Joint
    points: int
    own: float
    curves: dict[str, list[list[float]]]
    failures: int

    def median(self, search: str) -> list[float]:
        """Over seeds, after each trial."""
        return [statistics.median(at) for at in zip(*self.curves[search], strict=True)]

    @property
    def is_won(self) -> bool:
        """Whether guided search ends with the better median."""
        return self.median("guided")[-1] < self.median("random")[-1]


@dataclass(frozen=True)
class Row:
    """A model: cycles with the kernels' own schedules, as it is built by default, and with all
    its schedules measured."""

    model: Model
    own_cycles: int
    default_cycles: int
    tuned_cycles: int
    kinds: int
    schedules: int
    failures: int
    is_exact: bool


@dataclass(frozen=True)
class FromNothing:
    """A model tuned from an empty database: minutes on this computer, and cycles beside those of
    what is shipped."""

    minutes: float
    cores: int
    cycles: int
    shipped_cycles: int


def from_nothing(model: Model, path: Path) -> FromNothing:
    """Tunes with the command's default options."""
    module = load(path)
    shipped = build(module, objective="speed", name=model.key)
    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / "new.jsonl"
        options = TuneOptions()
        start = time.monotonic()
        tune_module(shipped.module, BOARD, load_database(db, create=True), options)
        minutes = (time.monotonic() - start) / 60
        found = build(module, objective="speed", db=db, name=model.key)
    samples = random_samples(found.program.inputs, 1, seed=1)
    runs = [compiled.run(samples, BOARD) for compiled in (found, shipped)]
    return FromNothing(minutes, options.jobs, runs[0].cycles or 0, runs[1].cycles or 0)


def race(joint: Joint, module: IRModule) -> Race:
    """All searches of one space."""
    calls = kernel_calls(module["main"])[joint.first : joint.first + joint.count]
    layers = [layer_of(call) for call in calls]
    others = [possible_layers(layer, BOARD.core)[1:] if joint.bits else [] for layer in layers]
    stored = tuple(tuple(one.realisation for one in each) for each in others)
    space = Space(Task(tuple(layers), BOARD.core, stored))
    costs = Measured(space)
    (own,) = costs([(0,) * joint.count])
    curves: dict[str, list[list[float]]] = {}
    for name, search in SEARCHES.items():
        for seed in SEEDS:
            curves.setdefault(name, []).append(_curve(search, space, seed, costs))
        print(f"{joint.title}: {name}", file=sys.stderr, flush=True)
    failures = sum(not isinstance(outcome, Cost) for outcome in costs.outcomes.values())
    return Race(joint, len(space), own, curves, failures)


def _curve(search: Search, space: Space, seed: int, costs: Measured) -> list[float]:
    best: list[float] = []

    def evaluate(points: list[Point]) -> list[float]:
        found = costs(points)
        for cost in found:
            best.append(min(cost, best[-1]) if best else cost)
        return found

    search(space, TRIALS, seed, evaluate)
    return best


def tuned(model: Model, path: Path, db: Path) -> Row:
    """Measures what is missing, and builds with and without."""
    module, database = load(path), load_database(db, create=True)
    alone = select_pipeline(BOARD.core, "speed")(fold_pipeline()(module))
    own = build_folded(alone, objective="speed", name=model.key)
    default = build(module, objective="speed", name=model.key)
    kinds = tune_module(default.module, BOARD, database, TuneOptions(1_000_000))
    best = build(module, objective="speed", db=db, name=model.key)
    samples = random_samples(default.program.inputs, 1, seed=1)
    runs = [compiled.run(samples, BOARD, check=True) for compiled in (own, default, best)]
    print(f"{model.key}: {[run.cycles for run in runs]}", file=sys.stderr, flush=True)
    return Row(
        model,
        *(run.cycles or 0 for run in runs),
        len(kinds),
        sum(kind.measured for kind in kinds),
        sum(kind.failed for kind in kinds),
        all(run.bit_exact for run in runs),
    )


def draw(races: Sequence[Race], path: Path) -> None:
    """A panel for each space: medians, and the range over seeds."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(2.6 * len(races), 2.6), layout="constrained")
        for panel, one in zip(figure.subplots(1, len(races)), races, strict=True):
            for name, colour in (("guided", "#c8402f"), ("random", "#4b4b4b")):
                trials = range(1, TRIALS + 1)
                runs = [[cost / one.own for cost in curve] for curve in one.curves[name]]
                low, high = ([pick(at) for at in zip(*runs, strict=True)] for pick in (min, max))
                panel.fill_between(trials, low, high, color=colour, alpha=0.15, linewidth=0)
                panel.plot(
                    trials, [c / one.own for c in one.median(name)], color=colour, label=name
                )
            panel.set_title(one.joint.title, loc="left", fontsize=8)
            panel.set_xlabel("trials")
        figure.axes[0].set_ylabel("best so far / own schedule")
        figure.axes[0].legend(frameon=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="svg", metadata={"Date": None})


def main() -> int:
    """Measures, and writes the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path)
    parser.add_argument("--db", type=Path, default=Path("build/tune/all.jsonl"))
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    try:
        paths = find_models(options.models)
    except ModelsMissingError as error:
        print(f"tuning: {error}", file=sys.stderr)
        return 2
    rows = [tuned(model, path, options.db) for model, path in paths.items()]
    files = {model.key: path for model, path in paths.items()}
    (kws,) = (model for model in paths if model.key == "kws")
    alone = from_nothing(kws, paths[kws])
    races = [
        race(
            joint,
            fold_pipeline("single", requested_quantization(joint.bits, None, None))(
                load(files[joint.model])
            ),
        )
        for joint in JOINTS
    ]
    draw(races, options.output.parent / "plots" / "tuning.svg")
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    template = environment.get_template("tuning.md.j2")
    options.output.write_text(
        template.render(
            rows=rows, races=races, alone=alone, trials=TRIALS, objective=str(OBJECTIVE)
        ),
        encoding="utf-8",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
