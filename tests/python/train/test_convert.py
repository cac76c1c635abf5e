"""Which quantizers a model gets, and what is refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import vq_cortexm
from vq_cortexm.errors import ModelError
from vq_cortexm.train import (
    Samples,
    Schedule,
    export_qonnx,
    quantize_model,
    train_quantized,
)
from vq_cortexm.transform.vq_config import VirtualQuantizeConfig

X = torch.linspace(-1, 1, 4 * 2 * 5 * 5).reshape(4, 2, 5, 5)
EIGHT_BITS = VirtualQuantizeConfig(256)


class Gate(nn.Module):
    def __init__(self, before: nn.Module, behind: nn.Module) -> None:
        super().__init__()
        self.before, self.behind = before, behind

    def forward(self, x: Tensor) -> Tensor:
        y = self.before(x)
        return y + self.behind(y)


def test_eight_bits_hardly_change_a_network() -> None:
    torch.manual_seed(0)
    convolutions = [nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.ReLU6(), nn.Conv2d(6, 4, 2)]
    net = nn.Sequential(*convolutions, nn.AvgPool2d(2), nn.Flatten(), nn.Linear(4, 3)).eval()
    difference = quantize_model(net, EIGHT_BITS, X)(X) - net(X)
    assert 0 < difference.abs().max() < 0.05 * net(X).abs().max()


def test_quantizers_stand_where_results_are_stored() -> None:
    net = Gate(nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)), nn.ReLU())
    graph = quantize_model(net, EIGHT_BITS, X).graph
    readers = [n.args[0].name for n in graph.nodes if str(n.target).endswith("_quant")]
    assert readers == ["x", "before_1", "before_1_quant", "add"]


class Constant(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.shift


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Overwriting(nn.Module):
    """Functions and methods, and operators that overwrite what they read."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.first(x))
        x += self.second(x)
        return nn.functional.relu6(x).mean((2, 3))


def test_operators_that_overwrite_can_be_trained_and_compiled(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = Overwriting()
    quantized = train_quantized(net, Samples(X, torch.arange(4)), Schedule(epochs=2), bits=5)
    assert (quantized(X) - net(X)).abs().max() < 0.1 * net(X).abs().max()
    export_qonnx(quantized, X, tmp_path / "net.onnx")
    compiled = vq_cortexm.build(vq_cortexm.frontend.load(tmp_path / "net.onnx"))
    assert compiled.run([[np.ones((1, 2, 5, 5), np.int8)]], "host", check=True).bit_exact


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (
            nn.Sequential(nn.Conv2d(2, 2, 3), nn.Sigmoid()),
            "^_1: Sigmoid cannot be quantized; .*Conv2d",
        ),
        (
            nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 2, 3)),
            "^_0: works only right behind a conv",
        ),
        (Gate(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2)), "^behind: works only right behind a conv"),
        (Constant(), "^shift: Parameter cannot be quantized; "),
        (Branching(), "^the model cannot be traced: "),
    ],
    ids=["other operator", "norm before", "norm on a branch", "parameter", "depends on values"],
)
def test_what_cannot_be_compiled_is_refused(net: nn.Module, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        quantize_model(net, EIGHT_BITS, X)
    assert "\n" not in str(caught.value)
