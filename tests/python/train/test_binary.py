"""Layers of one bit: their values, their gradients, and the compiled code, which is exact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import vq_cortexm
from vq_cortexm.train import (
    BinaryConv2d,
    BinaryLinear,
    Samples,
    Schedule,
    Sign,
    accuracy,
    export_qonnx,
    fit,
    logits,
    train_quantized,
)

Digits = tuple[Samples, Samples]
SCALE = 1 / 8
SCHEDULE = Schedule(epochs=5, learning_rate=0.02, batch=64, seed=3)


def _signs(*shape: int) -> Tensor:
    return torch.randint(2, shape).float() * 2 - 1


def _net(last: type[nn.Module] = nn.ReLU) -> nn.Module:
    """Convolutions, a stride, a pool before a sign and a dense layer, all of one bit."""
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), Sign()),
        *(BinaryConv2d(16, 32, padding=1), nn.BatchNorm2d(32), nn.MaxPool2d(2), Sign()),
        *(BinaryConv2d(32, 32, padding=1, stride=2), nn.BatchNorm2d(32), Sign()),
        *(nn.Flatten(), BinaryLinear(128, 64), nn.BatchNorm1d(64), last()),
        nn.Linear(64, 10),
    )


@pytest.fixture(scope="module")
def trained(digits: Digits) -> nn.Module:
    net = _net()
    fit(net, digits[0], SCHEDULE)
    return net


def test_layers_add_up_signs_and_pad_with_minus_one() -> None:
    torch.manual_seed(0)
    conv, dense, x = BinaryConv2d(3, 4, padding=1, stride=2), BinaryLinear(6, 5), _signs(2, 3, 5, 5)
    weight = torch.where(conv.weight >= 0, 1.0, -1.0)
    wanted = F.conv2d(F.pad(x, [1] * 4, value=-1), weight, stride=2)
    assert torch.equal(conv(x), wanted)
    row = _signs(1, 6)
    weight = torch.where(dense.weight >= 0, 1.0, -1.0)
    assert torch.equal(dense(row), row @ weight.T)


def test_zero_is_positive_and_gradients_pass_near_it() -> None:
    x = torch.tensor([-2.0, -0.5, -0.0, 0.0, 0.25, 1.5], requires_grad=True)
    y = Sign()(x)
    assert y.tolist() == [-1, -1, 1, 1, 1, 1]
    y.backward(torch.full((6,), 2.0))
    assert x.grad is not None and x.grad.tolist() == [0, 2, 4, 4, 3, 0]


def test_latent_weights_pass_gradients_up_to_one() -> None:
    dense = BinaryLinear(3, 1)
    with torch.no_grad():
        dense.weight.copy_(torch.tensor([[-1.5, -0.75, 1.0]]))
    dense(torch.tensor([[1.0, -1.0, 1.0]])).backward()
    assert dense.weight.grad is not None and dense.weight.grad.tolist() == [[0, -1, 1]]


def test_training_learns_and_repeats(trained: nn.Module, digits: Digits) -> None:
    assert accuracy(trained, digits[1]) > 0.8
    again = _net()
    fit(again, digits[0], SCHEDULE)
    for one, two in zip(trained.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize(("last", "reach"), [(Sign, 1.01), (nn.ReLU, 2.5)])
def test_compiled_code_answers_as_pytorch_does(
    last: type[nn.Module], reach: float, digits: Digits, tmp_path: Path
) -> None:
    """With signs only the answer is rounded; else a ReLU's 8 bits too, and the bias before it."""
    training, test = digits
    schedule = Schedule(epochs=2, learning_rate=0.01, batch=64)
    fast = train_quantized(_net(last), training, schedule, input_scale=SCALE)
    export_qonnx(fast, test.x[:1], tmp_path / "fast.onnx")
    compiled = vq_cortexm.build(vq_cortexm.frontend.load(tmp_path / "fast.onnx"))
    samples = (test.x / SCALE).numpy().astype(np.int8)
    result = compiled.run(list(samples[:, None]), board="host", check=True)
    scale = compiled.metadata["outputs"][0]["scale"]
    answers = np.stack([outputs[0][0] for outputs in result.outputs]) * scale
    assert result.bit_exact
    assert np.abs(answers - logits(fast, test.x).numpy()).max() <= reach * scale
