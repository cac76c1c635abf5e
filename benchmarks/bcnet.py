"""BC-Net on four benchmarks, from trained models to docs/bcnet.md.

    python benchmarks/bcnet.py DATASETS [--models examples/bcnet] [--output docs/bcnet.md]

DATASETS holds the data sets' folders (examples/bcnet/README.md names their files). Of every
benchmark and seed: the binary net, the 8-bit net trained alone, CoopNet's scheme on these two,
and BC-Net, with the 8-bit net that was boosted. All answers are those of the compiled code on this
computer, cycles are modelled ones of a Cortex-M4, and the emulated board repeats 200 samples and a
sweep of thresholds, decision by decision. Exit status 1 if one differs.
"""

from __future__ import annotations

import argparse
import json
import runpy
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray

import binary_cycles
from bcnet_tables import against, aims, sizes, summary
from document import table
from vq_cortexm.bcnet import Policy, compose
from vq_cortexm.bcnet.answers import Answers, collect, single
from vq_cortexm.bcnet.calibrate import Goal, calibrate
from vq_cortexm.bcnet.evaluate import Costs, costs
from vq_cortexm.bcnet.plot import curve, label
from vq_cortexm.bcnet.statistics import Interval, bootstrap, crossing
from vq_cortexm.bcnet.sweep import Point, operate, sweep
from vq_cortexm.build import build_folded
from vq_cortexm.compat import IRModule
from vq_cortexm.errors import BudgetError
from vq_cortexm.frontend import load
from vq_cortexm.op.bc_net import PATHS
from vq_cortexm.report.svg import figure
from vq_cortexm.target import board_by_name
from vq_cortexm.transform.composed import with_thresholds

ROOT = Path(__file__).parents[1]
OUTPUT = ROOT / "docs" / "bcnet.md"
RECIPES = ROOT / "examples" / "bcnet"
BOARD = "mps2-an386"
REPEATED, SWEPT = 200, 20
"""Samples that the board repeats: at the calibrated threshold, and at each of a sweep."""
FOLDERS = {
    "cifar10": "cifar10",
    "fer2013": "fer2013",
    "spoken_digits": "free_spoken_digits",
    "fashion_mnist": "fashion_mnist",
}
"""Benchmark → folder of its data."""
TITLES = {
    "cifar10": "CIFAR-10",
    "fer2013": "FER2013",
    "spoken_digits": "spoken digits",
    "fashion_mnist": "Fashion-MNIST",
}
SHARES = np.linspace(0, 1, 101)
"""Of samples that escalate: where curves of several seeds are averaged."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Inputs as the models take them (N, ...) and their classes (N,)."""

    x: NDArray[np.int8]
    y: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Scheme:
    """A composed model, its costs, and what it answers to both splits."""

    module: IRModule
    costs: Costs
    calibration: Answers
    test: Answers


@dataclass(frozen=True, eq=False)
class Trained:
    """The models of one seed; `fast` and `plain` are the costs of single nets."""

    seed: str
    bcnet: Scheme
    coopnet: Scheme
    fast: Costs
    plain: Costs


@dataclass(frozen=True, eq=False)
class Setting:
    """BC-Net on the test samples, at each seed's thresholds that the calibration samples chose."""

    points: tuple[Point, ...]
    accuracy: Interval
    difference: Interval
    speed: float


def main() -> int:
    """Measures all benchmarks and writes the document."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("datasets", type=Path)
    parser.add_argument("--models", type=Path, default=RECIPES)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--only", choices=list(FOLDERS), help="one benchmark, printed")
    options = parser.parse_args()
    described: list[dict[str, Any]] = []
    failures: list[str] = []
    for name, folder in FOLDERS.items():
        if options.only in (None, name):
            data = options.datasets / folder
            if not data.is_dir():
                print(f"{data}: no such folder; it holds the data of {name}", file=sys.stderr)
                return 2
            trained, splits = measure(name, options.models / name, data)
            described.append(describe(name, trained))
            failures += check_on_board(name, trained[0], splits[1])
            drawn = plot(name, trained)
            if options.only is None:
                (options.output.parent / "plots" / f"bcnet_{name}.svg").write_bytes(drawn)
    for failure in failures:
        print(failure, file=sys.stderr)
    if failures:
        return 1
    if options.only is not None:
        print(json.dumps(described, indent=2))
        return 0
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    text = environment.get_template("bcnet.md.j2").render(
        benchmarks=[{**d, "sizes": sizes(d)} for d in described],
        summary=summary(described),
        aims=aims(described),
        against=against(described),
        table=table,
        layer_header=binary_cycles.HEADER,
        layer_rows=binary_cycles.rows(),
        repeated=REPEATED,
        swept=SWEPT,
    )
    options.output.write_text(text, encoding="utf-8")
    print(options.output)
    return 0


def measure(name: str, folder: Path, data: Path) -> tuple[list[Trained], tuple[Labelled, Labelled]]:
    """All seeds of a benchmark, and the calibration and test samples."""
    recipe = runpy.run_path(str(RECIPES / name / "train.py"))["RECIPE"]
    split = recipe.load(data)
    parts = [_labelled(part, recipe.input_scale) for part in (split.calibration, split.test)]
    seeds = sorted(path for path in folder.glob("seed*") if path.is_dir())
    return [_trained(path, *parts) for path in seeds], (parts[0], parts[1])


def _labelled(samples: Any, scale: float) -> Labelled:
    x = (samples.x / scale).round().clamp(-128, 127).numpy().astype(np.int8)
    return Labelled(x, samples.y.numpy())


def _trained(folder: Path, calibration: Labelled, test: Labelled) -> Trained:
    fast, plain, boosted = (load(folder / f"{name}.onnx") for name in ("fast", "plain", "boosted"))
    factors = json.loads((folder / "combination.json").read_text())
    board = board_by_name(BOARD)

    def scheme(accurate: IRModule, policy: Policy) -> Scheme:
        module = compose(fast, accurate, policy)
        answers = [collect(module, part.x, part.y) for part in (calibration, test)]
        return Scheme(module, costs(module, board), *answers)

    combined = Policy(fast_factor=factors["fast"], accurate_factor=factors["accurate"])
    bcnet, coopnet = scheme(boosted, combined), scheme(plain, Policy())
    alone = [costs(single(coopnet.module, name), board) for name in PATHS]
    print(f"{folder}: measured", file=sys.stderr, flush=True)
    return Trained(folder.name, bcnet, coopnet, *alone)


def setting(trained: Sequence[Trained], goal: Callable[[Trained], Goal]) -> Setting:
    """With thresholds chosen on the calibration samples for a goal; the most accurate where it is
    out of reach there."""
    points, right, differences = [], [], []
    for each in trained:
        known = sweep(each.bcnet.calibration, each.bcnet.costs.cycles)
        try:
            chosen = calibrate(known, goal(each))
        except BudgetError:
            chosen = calibrate(known, Goal(mean_cycles=each.bcnet.costs.cycles.accurate))
        point = operate(each.bcnet.test, chosen.thresholds, each.bcnet.costs.cycles)
        points.append(point)
        right.append(each.bcnet.test.right(point.thresholds).astype(float))
        differences.append(right[-1] - each.coopnet.test.accurate_alone_right)
    cycles = np.mean([point.mean_cycles for point in points])
    alone = np.mean([each.plain.cycles.accurate for each in trained])
    return Setting(tuple(points), bootstrap(right), bootstrap(differences), float(alone / cycles))


def mean_curve(schemes: Sequence[Scheme]) -> tuple[list[float], list[float]]:
    """Mean cycles and accuracy on the test samples by the share that escalates, over all seeds."""
    cycles, accuracy = [], []
    for scheme in schemes:
        points = sweep(scheme.test, scheme.costs.cycles)
        shares = [point.escalated for point in points]
        accuracy.append(np.interp(SHARES, shares, [point.accuracy for point in points]))
        cycles.append([scheme.costs.cycles.mean(share) for share in SHARES])
    return np.mean(cycles, axis=0).tolist(), np.mean(accuracy, axis=0).tolist()


def describe(name: str, trained: Sequence[Trained]) -> dict[str, Any]:
    """What the document says of a benchmark."""
    plain = np.mean([each.plain.cycles.accurate for each in trained])
    equal = setting(
        trained,
        lambda each: Goal(accuracy=float(each.coopnet.calibration.accurate_alone_right.mean())),
    )
    best = setting(trained, lambda each: Goal(mean_cycles=each.bcnet.costs.cycles.accurate))
    bc, coop = (
        mean_curve([getattr(each, kind) for each in trained]) for kind in ("bcnet", "coopnet")
    )
    alone = float(np.mean([each.coopnet.test.accurate_alone_right.mean() for each in trained]))
    highest = max(coop[1])
    compared = {}
    for key, wanted in (("8 bits", alone), ("best CoopNet", highest)):
        ours, theirs = crossing(*bc, wanted), crossing(*coop, wanted)
        compared[key] = {
            "accuracy": wanted,
            "speed": plain / ours if ours else None,
            "coopnet_speed": plain / theirs if theirs else None,
            "ratio": theirs / ours if ours and theirs else None,
        }
    # both curves at the same mean cycles, from where both exist
    common = np.linspace(max(bc[0][0], coop[0][0]), min(bc[0][-1], coop[0][-1]), 201)
    gain = np.interp(common, *bc) - np.interp(common, *coop)
    place = int(gain.argmax())
    first = trained[0]
    return {
        "name": name,
        "title": TITLES[name],
        "seeds": len(trained),
        "samples": len(first.bcnet.test.labels),
        "calibration_samples": len(first.bcnet.calibration.labels),
        "fast": _alone([each.bcnet.test.fast_alone_right for each in trained], first.fast),
        "plain": _alone([each.coopnet.test.accurate_alone_right for each in trained], first.plain),
        "both": asdict(first.bcnet.costs),
        "equal": asdict(equal),
        "best": asdict(best),
        "against": compared,
        "gain": {
            "points": 100 * float(gain[place]),
            "cycles": float(common[place]),
            "share_of_plain": float(common[place] / plain),
        },
    }


def _alone(right: Sequence[NDArray[np.bool_]], cost: Costs) -> dict[str, Any]:
    return {"accuracy": asdict(bootstrap([r.astype(float) for r in right])), **asdict(cost)}


def check_on_board(name: str, trained: Trained, test: Labelled) -> list[str]:
    """Outputs and decisions of the emulated board beside this computer's; what differs."""
    scheme = trained.bcnet
    limits = np.quantile(scheme.test.confidence, [0, 0.25, 0.5, 0.75, 1]).astype(int).tolist()
    module = with_thresholds(scheme.module, (limits[2],))
    compiled = build_folded(module, name="bcnet")
    samples = [[x[np.newaxis]] for x in test.x[:REPEATED]]
    failures = []
    on_board = compiled.run(samples, BOARD, timeout_seconds=3600)
    on_host = compiled.run(samples, "host")
    if not _same(on_board, on_host, scheme.test.escalated((limits[2],))[:REPEATED]):
        failures.append(f"{name}: the board's answers differ")
    for limit in limits:
        run = compiled.run(samples[:SWEPT], BOARD, thresholds=[limit], timeout_seconds=3600)
        host = compiled.run(samples[:SWEPT], "host", thresholds=[limit])
        if not _same(run, host, scheme.test.escalated((limit,))[:SWEPT]):
            failures.append(f"{name}: with the threshold {limit} the board's decisions differ")
    return failures


def _same(board: Any, host: Any, escalated: NDArray[np.bool_]) -> bool:
    expected = tuple(PATHS[int(e)] for e in escalated)
    outputs = zip(board.outputs, host.outputs, strict=True)
    equal = all(np.array_equal(a[0], b[0]) for a, b in outputs)
    return bool(equal and board.paths == host.paths == expected)


def plot(name: str, trained: Sequence[Trained]) -> bytes:
    """Mean curves of both schemes, single nets as squares."""
    with figure(6.0, 4.0) as (drawn, svg):
        axes = drawn.subplots()
        for title, kind in (("BC-Net", "bcnet"), ("CoopNet", "coopnet")):
            xs, ys = mean_curve([getattr(each, kind) for each in trained])
            points = [Point((), y, s, x) for x, y, s in zip(xs, ys, SHARES, strict=True)]
            curve(axes, title, points)
        plain = np.mean([each.coopnet.test.accurate_alone_right.mean() for each in trained])
        x = trained[0].plain.cycles.accurate / 1e6
        axes.plot([x], [100 * plain], "s", color="#4b4b4b", label="8 bits alone", markersize=5)
        label(axes, TITLES[name])
    return svg.getvalue()


if __name__ == "__main__":
    sys.exit(main())
