"""The recipes of two nets: what they may cost, and a run from data to files."""

from __future__ import annotations

import json
import re
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import vq_cortexm
from vq_cortexm.bcnet import Policy, compose
from vq_cortexm.build import build_folded
from vq_cortexm.op.bc_net import ALWAYS_ESCALATE, NEVER_ESCALATE
from vq_cortexm.samples import random_samples
from vq_cortexm.train import BinaryConv2d, Samples

torch.set_num_threads(1)

EXAMPLES = Path(__file__).parents[3] / "examples"


def _example(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    # the recipes put what they import in front
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return runpy.run_path(str(EXAMPLES / "bcnet" / name / "train.py"))


def _macs(net: nn.Module, shape: tuple[int, ...]) -> dict[bool, int]:
    """Multiplications of one inference, by whether they are binary."""
    macs = {False: 0, True: 0}

    def count(module: nn.Module, _: Any, output: torch.Tensor) -> None:
        macs[isinstance(module, BinaryConv2d)] += output[0].numel() * module.weight[0].numel()

    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear, BinaryConv2d)):
            module.register_forward_hook(count)
    net.eval()(torch.zeros(1, *shape))
    return macs


def _weights(net: nn.Module) -> dict[bool, int]:
    """Weights of convolutions and dense layers, by whether they are binary."""
    weights = {False: 0, True: 0}
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear, BinaryConv2d)):
            weights[isinstance(module, BinaryConv2d)] += module.weight.numel()
    return weights


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("cifar10", (3, 32, 32)),
        ("fashion_mnist", (1, 28, 28)),
        ("fer2013", (1, 48, 48)),
        ("spoken_digits", (1, 49, 10)),
    ],
)
def test_nets_keep_to_the_limits(
    name: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """About 0.26 cycles a binary multiplication, 1.3 one of the stem, 1 another 8-bit one."""
    recipe = _example(name, monkeypatch)["RECIPE"]
    accurate, fast = recipe.accurate(), recipe.fast()
    of_accurate, of_fast = _macs(accurate, shape), _macs(fast, shape)
    assert 5e6 <= of_accurate[False] <= 80e6 and of_accurate[True] == 0
    assert 50e3 <= sum(p.numel() for p in accurate.parameters()) <= 600e3
    assert 0.26 * of_fast[True] + 1.3 * of_fast[False] < 0.25 * of_accurate[False]
    layers = [m for m in fast.modules() if isinstance(m, BinaryConv2d)]
    assert all(m.weight.shape[1] % 32 == 0 for m in layers)
    card = (EXAMPLES / "bcnet" / "README.md").read_text(encoding="utf-8")
    sizes = [cell for net in (accurate, fast) for cell in (_weights(net), _macs(net, shape))]
    weights, macs, fast_weights, fast_macs = (sum(size.values()) for size in sizes)
    cells = f"{weights / 1e3:.0f} k | {macs / 1e6:.1f} M"
    cells += f" | {fast_weights / 1e3:.0f} k | {fast_macs / 1e6:.1f} M"
    assert f"| `{name}` | {cells} |" in card


def _faces(folder: Path, name: str, count: int) -> None:
    """Squares, brighter for higher classes, in noise."""
    chance = np.random.default_rng(count)
    y = np.arange(count) % 7
    x = chance.integers(0, 60, (count, 48, 48, 1))
    x[:, 8:40, 8:40] += 25 * y[:, None, None, None]
    np.savez(folder / f"fer2013_{name}.npz", x=x.astype(np.uint8), y=y.astype(np.uint8))


def test_recipe_goes_from_images_to_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _faces(tmp_path, "train_first20000", 180)
    _faces(tmp_path, "public_test", 21)
    example = _example("fer2013", monkeypatch)
    recipe = example["RECIPE"]
    trainings = recipe.trainings
    brief = {
        name: replace(getattr(trainings, name), epochs=1, batch=32) for name in vars(trainings)
    }

    def load(folder: Path) -> Any:
        known = example["images"](folder / "fer2013_train_first20000.npz")
        test = example["images"](folder / "fer2013_public_test.npz")
        return example["Split"](*example["held_out"](known, 20), test)

    recipe = replace(recipe, load=load, trainings=type(trainings)(**brief))
    arguments = ["--data", str(tmp_path), "--seed", "3", "--output", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", ["train.py", *arguments])
    example["main"](recipe)
    printed = capsys.readouterr().out
    assert len(re.findall(r"^[\w ,]+: [\d.]+% in PyTorch$", printed, re.MULTILINE)) == 4

    folder = tmp_path / "out" / "seed3"
    factors = json.loads((folder / "combination.json").read_text(encoding="utf-8"))
    assert factors.keys() == {"fast", "accurate"} and min(factors.values()) > 0
    before = (folder / "fast.onnx").read_bytes()
    grids = set()
    for name in ("fast", "plain", "boosted"):
        module = vq_cortexm.frontend.load(folder / f"{name}.onnx")
        metadata = vq_cortexm.build(module).metadata
        assert metadata["outputs"][0]["shape"] == [1, 7]
        grids.add((metadata["inputs"][0]["scale"], metadata["inputs"][0]["zero_point"]))
    assert grids == {(1 / 64, 0)}

    example["main"](recipe)
    assert capsys.readouterr().out == printed
    assert (folder / "fast.onnx").read_bytes() == before


def test_held_out_samples_are_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    example = _example("cifar10", monkeypatch)
    samples = Samples(torch.arange(5.0)[:, None], torch.arange(5))
    training, calibration = example["held_out"](samples, 2)
    assert training.y.tolist() == [0, 1, 2] and calibration.x.tolist() == [[3], [4]]


def test_missing_data_are_one_line_and_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = _example("fashion_mnist", monkeypatch)
    monkeypatch.setattr("sys.argv", ["train.py", "--data", str(tmp_path)])
    with pytest.raises(SystemExit) as caught:
        example["main"](example["RECIPE"])
    assert caught.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.endswith("first20000.npz: no such file; README.md says what the folder holds")


@pytest.mark.parametrize("name", ["cifar10", "fashion_mnist", "fer2013", "spoken_digits"])
def test_trained_models_are_small_and_run_as_one(name: str) -> None:
    folder = EXAMPLES / "bcnet" / name
    size = sum(path.stat().st_size for path in folder.glob("seed*/*"))
    assert 0 < size <= 1_000_000
    fast, boosted = (
        vq_cortexm.frontend.load(folder / "seed0" / f"{kind}.onnx") for kind in ("fast", "boosted")
    )
    factors = json.loads((folder / "seed0" / "combination.json").read_text())
    policy = Policy(fast_factor=factors["fast"], accurate_factor=factors["accurate"])
    compiled = build_folded(compose(fast, boosted, policy), name="both")
    samples = list(random_samples(compiled.program.inputs, 2, seed=3))
    for threshold, path in ((NEVER_ESCALATE, "fast"), (ALWAYS_ESCALATE, "accurate")):
        run = compiled.run(samples, "host", check=True, thresholds=[threshold])
        assert run.bit_exact
        assert run.paths == (path,) * 2
