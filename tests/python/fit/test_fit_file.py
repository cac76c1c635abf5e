"""From a file to the chosen model: budgets, what is written, and that it can be repeated."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from float_nets import OnnxNet, samples, write_data

import vq_cortexm
from vq_cortexm.errors import ModelError, UsageError
from vq_cortexm.fit import Budgets, Fit, FitOptions, fit_file
from vq_cortexm.fit.files import FRONT, LEVELS, MODEL, PLOT, PRUNED, write
from vq_cortexm.fit.integer_program import total
from vq_cortexm.frontend import load
from vq_cortexm.quantize import QuantizeOptions, quantize_file
from vq_cortexm.samples import random_samples
from vq_cortexm.transform.vq_config import VirtualQuantizeConfig

SHAPE = (4, 8, 8)
WEIGHTS = 16 * 36 + 16 * 144 + 16 * 4
BUDGETS = Budgets(cycles=10_000_000, weight_bytes=WEIGHTS * 6 // 10)
OPTIONS = FitOptions(BUDGETS, samples=64, levels=(16,), points=2)


def _net() -> bytes:
    net = OnnxNet(SHAPE)
    first = net.node("Relu", net.conv("x", 16, 4, 3, 3))
    second = net.node("Relu", net.conv(first, 16, 16, 3, 3))
    mean = net.node("Flatten", net.node("GlobalAveragePool", second))
    return net.file(net.node("Gemm", mean, net.weight(4, 16), transB=1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A net, data with classes, and what `fit` writes."""
    path = tmp_path_factory.mktemp("fit")
    (path / "net.onnx").write_bytes(_net())
    write_data(path / "data.npz", samples(SHAPE, 100), y=np.arange(100) % 4)
    return path


@pytest.fixture(scope="module")
def found(folder: Path) -> Fit:
    result = fit_file(folder / "net.onnx", folder / "data.npz", OPTIONS)
    assert write(result, folder / "out") is None
    return result


def test_budgets_hold_as_measured(found: Fit, folder: Path) -> None:
    figures = found.chosen.nary.figures
    assert (
        figures.weight_bytes <= WEIGHTS * 6 // 10 < found.eight_bit.figures.weight_bytes == WEIGHTS
    )
    compiled = vq_cortexm.build(
        load(folder / "out" / MODEL),
        vq=folder / "out" / LEVELS,
        objective=found.chosen.nary.plan.objective,
    )
    run = compiled.run(random_samples(compiled.program.inputs, 1, seed=1), OPTIONS.board)
    assert (run.flash["total"], run.ram["total"], run.cycles) == (
        figures.flash_bytes,
        figures.ram_bytes,
        figures.cycles,
    )


def test_costs_add_up_to_what_is_measured(found: Fit) -> None:
    figures = found.eight_bit.figures
    fast, small = found.costs["speed"], found.costs["size"]
    added = total(fast, {c.layer: c for c in fast.layers if c.levels == 256})
    assert added["weight_bytes"] == WEIGHTS
    # what belongs to no layer is that of the build where it is the most
    assert 0 <= added["flash_bytes"] - figures.flash_bytes < 500
    assert 0 <= added["cycles"] - (figures.cycles or 0) < 0.01 * (figures.cycles or 0)
    assert added["ram_bytes"] == figures.ram_bytes
    fewer = total(small, {c.layer: c for c in small.layers if c.levels == 16})
    assert 0.45 * WEIGHTS < fewer["weight_bytes"] < 0.55 * WEIGHTS


def test_pruned_model_is_as_large_and_written(found: Fit, folder: Path) -> None:
    pruned = found.chosen.pruned
    assert pruned is not None
    assert pruned.removed
    assert pruned.figures.weight_bytes <= found.chosen.nary.figures.weight_bytes
    compiled = vq_cortexm.build(load(folder / "out" / PRUNED))
    drawn = random_samples(compiled.program.inputs, 2, seed=2)
    assert compiled.run(drawn, "host", check=True).bit_exact
    assert compiled.program.removed["layers"]


def test_file_of_levels_repeats_the_model(found: Fit, folder: Path) -> None:
    model, levels = folder / "out" / MODEL, folder / "out" / LEVELS
    plain, repeated = (vq_cortexm.build(load(model), vq=vq) for vq in (None, levels))
    assert [layer["levels"] for layer in plain.report["layers"]] == [
        layer["levels"] for layer in repeated.report["layers"]
    ]
    drawn = random_samples(plain.program.inputs, 10, seed=4)
    for a, b in zip(plain.run(drawn).outputs, repeated.run(drawn).outputs, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
    # and the quantizer, asked for the same, writes the same model
    config = VirtualQuantizeConfig.from_file(levels)
    options = QuantizeOptions(config, samples=OPTIONS.samples)
    again = quantize_file(folder / "net.onnx", folder / "data.npz", options)
    assert again.proto.graph == found.to_onnx(found.chosen.nary).graph


def test_front_is_described(found: Fit, folder: Path) -> None:
    front: dict[str, Any] = json.loads((folder / "out" / FRONT).read_text())
    assert front["model"] == "net.onnx"
    assert (front["samples"], front["verified"]) == (64, 36)
    assert front["budgets"] == vars(BUDGETS)
    names = [node.name for node in found.eight_bit.quantized.graph.products]
    assert list(front["sensitivity"]) == names
    for costs in front["costs"].values():
        assert {(c["layer"], c["levels"]) for c in costs} == set(product(names, (16, 256)))
    assert front["sensitivity"][names[0]].keys() == {"16", "256"}
    models = [front["eight_bit"], *(m for p in front["front"] for m in p.values() if m)]
    for model in [*models, *front["chosen"].values()]:
        assert 0 <= model["accuracy"] <= 1
        assert [layer["name"] for layer in model["layers"]] == names
    sizes = [pair["n-ary"]["flash_bytes"] for pair in front["front"]]
    assert sizes == sorted(sizes)
    assert any(model["on_front"] for model in models)
    assert (folder / "out" / PLOT).read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (FitOptions(board="host"), "no flash or cycles"),
        (FitOptions(board="nothing"), "unknown board"),
        (FitOptions(Budgets(cycles=5), board="mps2-an385"), "no cycle model"),
    ],
)
def test_boards_that_do_not_measure(folder: Path, options: FitOptions, names: str) -> None:
    with pytest.raises(UsageError, match=names):
        fit_file(folder / "net.onnx", folder / "data.npz", options)


def test_two_outputs_are_refused(folder: Path) -> None:
    net = OnnxNet(SHAPE)
    flat = net.node("Flatten", net.conv("x", 4, 4, 8, 8))
    ends = [net.node("Gemm", flat, net.weight(3, 4), transB=1) for _ in range(2)]
    (folder / "two.onnx").write_bytes(net.file(net.node("Softmax", ends[0]), ends[1]))
    with pytest.raises(ModelError, match=r"two\.onnx: has 2 outputs; one works"):
        fit_file(folder / "two.onnx", folder / "data.npz", OPTIONS)
