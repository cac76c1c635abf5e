"""PyTorch nets that PT2E quantizes, and what PyTorch computes of them in integers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from vq_cortexm.quantize.pt2e import CortexMQuantizer

torch.set_num_threads(1)


class Residual(nn.Module):
    """Convolutions with and without ReLU and ReLU6, an addition, pools, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.pointwise = nn.Conv2d(8, 8, 1)
        self.classifier = nn.Linear(8, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.stem(image)))
        y = self.pointwise(nn.functional.relu6(self.depthwise(x)))
        x = nn.functional.max_pool2d(torch.relu(x + y), 2)
        return self.classifier(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))


class Moves(nn.Module):
    """Strides, tables, slices, concatenation, a transposed convolution, windows, a softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU6(), nn.Dropout(0.1)
        )
        self.inner, self.up = nn.Conv2d(8, 6, 3, 1, 1), nn.ConvTranspose2d(6, 6, 2, 2)
        self.pool, self.hidden, self.last = nn.AvgPool2d(2), nn.Linear(48, 12), nn.Linear(12, 5)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image)
        y = torch.sigmoid(self.inner(x))
        x = self.pool(self.up(torch.cat([x[:, :2], y[:, :4]], 1)))
        x = nn.functional.adaptive_avg_pool2d(x, (4, 2)).flatten(1)
        return torch.softmax(self.last(nn.functional.hardtanh(self.hidden(x))), -1)


class Dense(nn.Module):
    """Two layers, and a tensor that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(12, 16), nn.Linear(16, 12)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(torch.tanh(self.first(x)))


def quantized(net: nn.Module, shape: tuple[int, ...], quantizer: Any = None) -> Any:
    """The exported program of a net with drawn weights, quantized after eight drawn samples."""
    torch.manual_seed(0)
    for parameter in net.parameters():
        nn.init.normal_(parameter, 0, 0.3)
    example = (torch.randn(shape),)
    prepared = prepare_pt2e(
        torch.export.export(net.eval(), example).module(), quantizer or CortexMQuantizer()
    )
    for _ in range(8):
        prepared(torch.randn(shape))
    return torch.export.export(convert_pt2e(prepared), example)


def in_integers(program: Any, metadata: Any) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """What PyTorch gives for the integers of a build's input, as integers of its output."""
    run = program.module()
    (given,), (made,) = metadata["inputs"], metadata["outputs"]

    def answer(x: NDArray[Any]) -> NDArray[Any]:
        real = (x.astype(np.float32) - given["zero_point"]) * np.float32(given["scale"])
        with torch.no_grad():
            y = run(torch.from_numpy(real)).numpy()
        return np.rint(y / made["scale"]) + made["zero_point"]

    return answer
