"""Levels chosen for every layer of two MLPerf Tiny models, beside pruning: docs/fit.md.

    python benchmarks/fit.py MODELS DATASETS [--output docs/fit.md]

MODELS and DATASETS hold what `quantization.py` needs. The plots go to a folder `plots` beside the
output. Exit status 1 if a model misses its line.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from document import count, table
from quantization import FILES, TASKS, Task, accuracy, find
from vq_cortexm.fit import Budgets, Fit, FitOptions, fit_file
from vq_cortexm.fit.files import MODEL, PRUNED, describe, write
from vq_cortexm.fit.model import FittedModel
from vq_cortexm.fit.plot import draw

OUTPUT = Path(__file__).parents[1] / "docs" / "fit.md"
MINUTES = 15


@dataclass(frozen=True)
class Goal:
    """A task, its name for files, the most bytes of weights and flash, and of accuracy lost."""

    key: str
    task: Task
    data: str
    weight_bytes: int
    flash_bytes: int
    lost: float


GOALS = (
    Goal("ic", TASKS[0], "cifar10_train_first22000.npz", 32_000, 55_000, 0.015),
    Goal("kws", TASKS[1], "keyword_calibration.npz", 11_500, 27_000, 0.010),
)


@dataclass(frozen=True, eq=False)
class Result:
    """What `fit` found, how long it took, and accuracies on the whole test set."""

    goal: Goal
    fit: Fit
    seconds: float
    tested: int
    eight_bit: float
    chosen: float
    pruned: float | None

    @property
    def holds(self) -> bool:
        """Whether the model keeps its line."""
        is_small = self.fit.chosen.nary.figures.weight_bytes <= self.goal.weight_bytes
        is_good = self.eight_bit - self.chosen <= self.goal.lost
        return is_small and is_good and self.seconds <= 60 * MINUTES


def measure(goal: Goal, models: Path, datasets: Path) -> Result:
    """Runs `fit` as the command line does, then the chosen models on the whole test set."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = goal.task.calibration(datasets, folder)
        budgets = Budgets(flash_bytes=goal.flash_bytes, weight_bytes=goal.weight_bytes)
        options = FitOptions(budgets, held_out=find(datasets, goal.task.test_file))
        start = time.perf_counter()
        fit = fit_file(models / goal.task.model, data, options, _print)
        seconds = time.perf_counter() - start
        write(fit, folder)
        (eight_bit := folder / "eight_bit.onnx").write_bytes(
            fit.to_onnx(fit.eight_bit).SerializeToString(deterministic=True)
        )
        test = goal.task.test(datasets)
        return Result(
            goal,
            fit,
            seconds,
            len(test[0]),
            accuracy(eight_bit, 8, test),
            accuracy(folder / MODEL, 8, test),
            accuracy(folder / PRUNED, 8, test) if fit.chosen.pruned else None,
        )


def render(results: Sequence[Result]) -> str:
    """The document."""
    parts = [
        _INTRODUCTION.format(cores=os.cpu_count()),
        "## The lines\n",
        table(
            ["model", "weights, bytes", "at most", "lost, points", "at most", "minutes", "holds"],
            [_line(result) for result in results],
        ),
    ]
    for result in results:
        parts += _section(result)
    return "\n".join(parts) + "\n"


_INTRODUCTION = """\
# Levels for every layer, under budgets

Written by `python benchmarks/fit.py MODELS DATASETS --output THIS_FILE` on {cores} cores.

`vq-cortexm fit` gives every layer its own number of levels, from 2 to 256:

1. **Sensitivity.** The network is quantized to 8 bits. Then one layer at a time gets fewer levels,
   with error compensation, and what counts is how far the network's result moves: the divergence of
   its probabilities on the calibration data.
2. **Costs.** For each number of levels and each objective of the build the whole network is
   compiled and run on the board. Bytes of flash, RAM and cycles of each layer are read from the
   report; nothing is estimated. Bytes of weights are those stored, with all that pads them and with
   codebooks' tables, but without biases and scales.
3. **Choice.** An exact integer program picks levels and realisation of every layer: the least sum
   of losses within the budgets, shared code counted once.
4. **Verification.** The chosen network is quantized as a whole, compiled, measured on the board,
   and tried on held-out data through the compiled code. Where it exceeds a budget after all, the
   choice is made again with as much less.

The other strategy is beside it: **fewer channels**, the memory-equivalent reading of Virtual
Quantization. The 8-bit network loses whole channels, those first that carry least of the variance
behind them for the bytes they free, until its weights take no more than those of the network of
fewer levels and the same budgets hold; what is left is fitted to the float network, layer by layer.
Neither is trained again. Its flash falls less than its weights: layers that had one shape and one
routine come to differ.

No choice looks at the test set: it is held out, and accuracies on it are what the tables show.
"""


def _line(result: Result) -> list[str]:
    goal, figures = result.goal, result.fit.chosen.nary.figures
    return [
        goal.task.title,
        count(figures.weight_bytes),
        count(goal.weight_bytes),
        f"{100 * (result.eight_bit - result.chosen):.2f}",
        f"{100 * goal.lost:.1f}",
        f"{result.seconds / 60:.1f}",
        "yes" if result.holds else "NO",
    ]


def _section(result: Result) -> list[str]:
    goal, fit = result.goal, result.fit
    pruned = "-" if result.pruned is None else f"{result.pruned:.2%}"
    objective = fit.chosen.nary.plan.objective
    return [
        f"\n## {goal.task.title}\n",
        "```",
        f"vq-cortexm fit {goal.task.model} --data {goal.data} \\",
        f"    --verify {goal.task.test_file} \\",
        f"    --weights {goal.weight_bytes} --flash {goal.flash_bytes} -o out",
        f"vq-cortexm compile out/model.onnx --vq out/vq.json --objective {objective} \\",
        "    --board mps2-an386 -o firmware",
        "```\n",
        f"On all {result.tested:,} test samples: 8 bits {result.eight_bit:.2%}, the chosen model "
        f"{result.chosen:.2%}, with fewer channels {pruned}.\n",
        f"![accuracy against bytes](plots/fit_{goal.key}.svg)\n",
        f"The chosen models and those of {len(fit.front)} budgets of flash, on {fit.verified:,} "
        "test samples:\n",
        table(
            ["model", "accuracy", "as 8 bits", "weights B", "flash B", "RAM B", "cycles", "front"],
            _front_rows(fit),
        ),
        "\nThe chosen model's layers:\n",
        table(
            ["layer", "levels", "stored as", "weights B", "flash B", "cycles"],
            _layer_rows(fit.chosen.nary),
        ),
    ]


def _front_rows(fit: Fit) -> list[list[str]]:
    named = [("8 bits", fit.eight_bit)]
    pairs = [("chosen", fit.chosen), *((str(i + 1), pair) for i, pair in enumerate(fit.front))]
    for name, pair in pairs:
        named.append((f"{name}: fewer levels", pair.nary))
        if pair.pruned is not None:
            named.append((f"{name}: fewer channels", pair.pruned))
    return [[name, *_cells(fit, model)] for name, model in named]


def _cells(fit: Fit, model: FittedModel) -> list[str]:
    figures = model.figures
    return [
        f"{figures.score:.2%}",
        f"{figures.agreement:.2%}",
        *map(count, (figures.weight_bytes, figures.flash_bytes, figures.ram_bytes, figures.cycles)),
        "yes" if fit.is_on_front(model) else "",
    ]


def _layer_rows(model: FittedModel) -> list[list[str]]:
    levels = {candidate.layer: candidate.levels for candidate in model.plan.layers}
    return [
        [
            x.name,
            str(levels[x.name]),
            x.realisation,
            *map(count, (x.weight_bytes, x.flash, x.cycles)),
        ]
        for x in model.layers
        if x.name in levels
    ]


def _print(step: Any) -> None:
    print(step, file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures both models; writes the document and its plots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path)
    parser.add_argument("datasets", type=Path)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args(arguments)
    for name in FILES:
        find(options.datasets, name)
    results = [measure(goal, options.models, options.datasets) for goal in GOALS]
    plots = options.output.parent / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    for result in results:
        (plots / f"fit_{result.goal.key}.svg").write_bytes(draw(describe(result.fit)))
    options.output.write_text(render(results), encoding="utf-8")
    print(options.output)
    return 0 if all(result.holds for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
