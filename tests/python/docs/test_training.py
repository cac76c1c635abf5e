"""docs/training.md: its blocks as they stand there, with one epoch in place of many."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from docs_blocks import blocks
from torch import nn

from vq_cortexm.compiled_model import CompiledModel
from vq_cortexm.train import Samples

ROOT = Path(__file__).parents[3]
SHAPE = (96, 3, 8, 8)


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the page takes as given: a net, samples of ten classes, a test."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    x, y = torch.randint(-100, 100, SHAPE) / 64, torch.randint(0, 10, SHAPE[:1])
    net = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)),
    )
    return {"nn": nn, "net": net, "x": x, "y": y, "test": Samples(x, y)}


@pytest.mark.slow
def test_blocks_run(names: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (block.text for block in blocks(ROOT / "docs/training.md") if block.language)
    exec(_one_epoch(first), names)
    assert 0 <= float(capsys.readouterr().out) <= 1
    compiled = names["compiled"]
    assert isinstance(compiled, CompiledModel)
    assert all(layer["levels"] <= 16 for layer in compiled.report["layers"] if layer["macs"])

    names |= {"float_net": names["net"]}
    exec(_one_epoch(second), names)
    assert Path("fast.onnx").stat().st_size > 0


def _one_epoch(code: str) -> str:
    shorter, count = re.subn(r"epochs=\d+", "epochs=1", code)
    assert count > 0
    return shorter
