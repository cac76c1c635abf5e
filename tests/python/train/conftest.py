"""One small network, trained once a worker, and the digits that scikit-learn ships."""

from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from vq_cortexm.train import Samples, Schedule, fit

torch.set_num_threads(1)


class SmallNet(nn.Module):
    """Every kind of layer that can be trained, functions and methods among them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.pointwise = nn.Conv2d(8, 16, 1)
        self.norm = nn.BatchNorm2d(16)
        self.pool = nn.MaxPool2d(2)
        self.residual = nn.Conv2d(16, 16, 3, padding=1)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.05)
        self.classifier = nn.Linear(16, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = torch.relu(self.stem(image))
        x = nn.functional.relu(self.depthwise(x))
        x = self.pool(self.norm(self.pointwise(x)).relu())
        x = torch.relu(x + self.residual(x))
        return self.classifier(self.dropout(self.average(x).flatten(1)))


@pytest.fixture(scope="session")
def digits() -> tuple[Samples, Samples]:
    """1,500 digits to train with, 297 others, as numbers from -1 to 1 in steps of 1/8."""
    content = load_digits()
    x = torch.from_numpy(content.images).float()[:, None] / 8 - 1
    y = torch.from_numpy(content.target).long()
    return Samples(x[:1500], y[:1500]), Samples(x[1500:], y[1500:])


@pytest.fixture(scope="session")
def net(digits: tuple[Samples, Samples]) -> nn.Module:
    torch.manual_seed(0)
    made = SmallNet()
    fit(made, digits[0], Schedule(epochs=8, learning_rate=0.02, batch=64))
    return made
