"""Which quantizers a model gets, and what is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

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
from vq_cortexm.train.quantizers import Levels
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


class Reading(nn.Module):
    """Adds to a ReLU, which overwrites what it reads, what it has read, or a view of it."""

    def __init__(self, relu: Callable[[Tensor], Tensor], view: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.relu, self.view = relu, view

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        seen = self.view(h)
        return (self.second(self.relu(h)) + seen).mean((2, 3))


def _iadd(x: Tensor) -> Tensor:
    x += 1
    return x


@pytest.mark.parametrize(
    "relu",
    [
        nn.ReLU(inplace=True),
        nn.ReLU6(True),
        partial(nn.functional.relu, inplace=True),
        lambda x: nn.functional.relu6(input=x, inplace=True),
        _iadd,
    ],
    ids=["module", "positional", "function", "keywords", "iadd"],
)
@pytest.mark.parametrize(
    ("view", "read"), [(lambda x: x, "first"), (nn.Dropout(0.5), "view")], ids=["same", "view"]
)
def test_what_was_overwritten_is_not_read(relu: Any, view: Any, read: str) -> None:
    message = f"^add: reads {read} behind an operator that overwrites it in place; that operator's"
    with pytest.raises(ModelError, match=message) as caught:
        quantize_model(Reading(relu, view), EIGHT_BITS, X)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("operator", "name"),
    [(lambda x: x.relu_(), "relu_"), (torch.relu_, "relu_"), (lambda x: x.add_(1), "add_")],
)
def test_methods_that_overwrite_are_refused(operator: Any, name: str) -> None:
    with pytest.raises(ModelError, match=f"{name} cannot be quantized; "):
        quantize_model(Reading(operator, nn.Identity()), EIGHT_BITS, X)


def test_what_was_read_before_it_was_overwritten_stays() -> None:
    """A copy, and what a convolution has read; the caller's data, which a ReLU stands on."""
    torch.manual_seed(0)

    def before(x: Tensor) -> Tensor:
        return nn.functional.relu(input=x, inplace=True)

    net = Reading(before, nn.MaxPool2d(3, 1, 1)).eval()
    wanted = net(X)
    assert (quantize_model(net, EIGHT_BITS, X)(X) - wanted).abs().max() < 0.05 * wanted.abs().max()
    given = X.clone()
    quantize_model(nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(2, 2, 1)), EIGHT_BITS, given)
    assert torch.equal(given, X)


def test_a_dropout_that_overwrites_can_be_trained() -> None:
    layers = nn.Conv2d(2, 4, 3), nn.ReLU(inplace=True), nn.Dropout(0.5, inplace=True)
    net = quantize_model(
        nn.Sequential(*layers, nn.Flatten(), nn.Linear(36, 3)), EIGHT_BITS, X
    ).train()
    net(X).sum().backward()
    assert net.get_submodule("0").weight.grad.abs().sum() > 0


@pytest.mark.parametrize("width", [20, 32])
def test_every_column_of_a_map_is_looked_at(width: int) -> None:
    """Of 4 million numbers every 20th; it would be the same columns of a map 20 wide."""
    x = torch.zeros(4_000_000 // width, 1, 1, width)
    x[..., 7] = -3.0
    quantized = quantize_model(nn.Sequential(nn.Conv2d(1, 1, 1)), EIGHT_BITS, x)
    levels = [m for m in quantized.modules() if isinstance(m, Levels)]
    # the input's are signed, and reach what it holds
    assert (levels[1].lowest, levels[1].highest) == (-128, 127)
    assert quantized.get_submodule("input_1_quant")(x[:1]).detach().min() < -2.9


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
