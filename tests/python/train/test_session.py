"""Float model → quantized training → QONNX → compiled code, which answers as PyTorch does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import vq_cortexm
from vq_cortexm.errors import UsageError
from vq_cortexm.train import (
    Samples,
    Schedule,
    accuracy,
    export_qonnx,
    logits,
    train_quantized,
)
from vq_cortexm.transform.vq_config import LayerLevels, VirtualQuantizeConfig

Digits = tuple[Samples, Samples]
SCALE = 1 / 64
QUICK = Schedule(epochs=3, learning_rate=0.005, batch=64)


def _levels(compiled: Any) -> dict[str, int]:
    layers = compiled.report["layers"]
    return {layer["name"]: layer["levels"] for layer in layers if layer["macs"]}


@pytest.mark.parametrize(
    ("options", "levels", "lost"),
    [
        ({"bits": 8}, 256, 0.03),
        ({"bits": 4}, 16, 0.04),
        ({"levels": 3}, 3, 0.16),
        ({"levels": 11}, 11, 0.04),
    ],
    ids=["8 bits", "4 bits", "ternary", "11 levels"],
)
def test_compiled_code_answers_as_pytorch_does(
    net: nn.Module, digits: Digits, options: Any, levels: int, lost: float, tmp_path: Path
) -> None:
    training, test = digits
    quantized = train_quantized(net, training, QUICK, input_scale=SCALE, **options)
    path = tmp_path / "net.onnx"
    export_qonnx(quantized, test.x[:1], path)

    compiled = vq_cortexm.build(vq_cortexm.frontend.load(path))
    samples = (test.x / SCALE).numpy().astype(np.int8)
    result = compiled.run(list(samples[:, None]), board="host", check=True)
    scale = compiled.metadata["outputs"][0]["scale"]
    answers = np.stack([outputs[0][0] for outputs in result.outputs]) * scale
    wanted = logits(quantized, test.x).numpy()

    assert result.bit_exact
    assert np.abs(answers - wanted).max() <= 3.5 * scale
    assert (answers.argmax(1) == test.y.numpy()).mean() == pytest.approx(
        accuracy(quantized, test), abs=0.01
    )
    assert accuracy(quantized, test) >= accuracy(net, test) - lost
    assert all(held <= levels for held in _levels(compiled).values())
    assert max(_levels(compiled).values()) > levels * 0.6


def test_layers_have_the_levels_that_their_names_ask_for(
    net: nn.Module, digits: Digits, tmp_path: Path
) -> None:
    ends = {"stem.*": LayerLevels(256), "classifier": LayerLevels(16)}
    config = VirtualQuantizeConfig(3, layers=ends)
    quantized = train_quantized(net, digits[0], Schedule(epochs=1), vq=config)
    export_qonnx(quantized, digits[0].x[:1], tmp_path / "net.onnx")
    compiled = vq_cortexm.build(vq_cortexm.frontend.load(tmp_path / "net.onnx"))
    first, *middle, last = _levels(compiled).values()
    assert first > 32 and 3 < last <= 16
    assert all(levels <= 3 for levels in middle)


def test_same_seed_gives_the_same_model_and_the_given_one_stays(
    net: nn.Module, digits: Digits
) -> None:
    before = {name: value.clone() for name, value in net.state_dict().items()}
    runs = [train_quantized(net, digits[0], Schedule(epochs=1), bits=3) for _ in range(2)]
    for one, two in zip(*(run.state_dict().values() for run in runs), strict=True):
        assert torch.equal(one, two)
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])


def test_interrupted_training_goes_on_with_the_steps_it_learned(
    net: nn.Module, digits: Digits, tmp_path: Path
) -> None:
    schedule, path, calls = Schedule(epochs=2, learning_rate=0.005), tmp_path / "net.pt", 0
    whole = train_quantized(net, digits[0], schedule, bits=4)

    def stop(x: Tensor, chance: torch.Generator) -> Tensor:
        nonlocal calls
        calls += 1
        if calls > 14:
            raise KeyboardInterrupt
        return x

    with pytest.raises(KeyboardInterrupt):
        train_quantized(net, digits[0], schedule, bits=4, augment=stop, checkpoint=path)
    resumed = train_quantized(net, digits[0], schedule, bits=4, checkpoint=path)
    for one, two in zip(*(n.state_dict().values() for n in (whole, resumed)), strict=True):
        assert torch.equal(one, two)


def test_checkpoint_of_other_levels_or_another_input_scale_is_refused(
    net: nn.Module, digits: Digits, tmp_path: Path
) -> None:
    schedule, path = Schedule(epochs=1), tmp_path / "net.pt"
    data = Samples(digits[0].x[:64], digits[0].y[:64])
    first = train_quantized(net, data, schedule, levels=16, input_scale=SCALE, checkpoint=path)
    same = train_quantized(net, data, schedule, levels=16, input_scale=SCALE, checkpoint=path)
    for one, two in zip(*(n.state_dict().values() for n in (first, same)), strict=True):
        assert torch.equal(one, two)
    for levels, scale in ((3, SCALE), (15, SCALE), (16, SCALE / 2), (16, None)):
        with pytest.raises(UsageError, match="another schedule, model or data; delete it"):
            train_quantized(net, data, schedule, levels=levels, input_scale=scale, checkpoint=path)


class Twice(nn.Module):
    """Calls one of its layers twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body = nn.Conv2d(1, 8, 3, stride=2), nn.Conv2d(8, 8, 3, padding=1)
        self.classifier = nn.Linear(72, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.body(torch.relu(self.stem(x))))
        x = torch.relu(self.body(x))
        return self.classifier(x.flatten(1))


def test_a_layer_that_is_called_twice_is_compiled(digits: Digits, tmp_path: Path) -> None:
    torch.manual_seed(0)
    data = Samples(digits[0].x[:64], digits[0].y[:64])
    quantized = train_quantized(Twice(), data, Schedule(epochs=1), bits=4, input_scale=SCALE)
    export_qonnx(quantized, data.x[:1], tmp_path / "net.onnx")
    compiled = vq_cortexm.build(vq_cortexm.frontend.load(tmp_path / "net.onnx"))
    samples = (data.x[:8] / SCALE).numpy().astype(np.int8)
    result = compiled.run(list(samples[:, None]), board="host", check=True)
    assert result.bit_exact
    scale = compiled.metadata["outputs"][0]["scale"]
    answers = np.stack([outputs[0][0] for outputs in result.outputs]) * scale
    assert np.abs(answers - logits(quantized, data.x[:8]).numpy()).max() <= 3.5 * scale


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": 2}, "stem.0: 2 levels; 3 to 256 uniform ones can be trained"),
        ({"bits": 1}, "stem.0: 2 levels; 3 to 256 uniform ones can be trained"),
        ({"vq": VirtualQuantizeConfig(9, True)}, "stem.0: 9 levels in a codebook; 3 to 256"),
        ({"bits": 4, "levels": 5}, "bits and levels exclude each other"),
        ({"bits": 9}, "bits is 9; whole numbers from 1 to 8 work"),
    ],
)
def test_levels_that_cannot_be_trained_are_refused(
    net: nn.Module, digits: Digits, options: Any, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        train_quantized(net, digits[0], **options)
