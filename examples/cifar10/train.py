"""Image classification, from CIFAR-10's images to n-ary models; see README.md in this folder."""

from __future__ import annotations

import sys
from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[1]))

from recipe import IMAGE_SCALE, Recipe, Variant, images, main, shift_and_mirror

from vq_cortexm.train import Samples, Schedule
from vq_cortexm.transform.vq_config import LayerLevels, VirtualQuantizeConfig


def _conv(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False), nn.BatchNorm2d(outputs)
    )


class Block(nn.Module):
    """Two convolutions, added to what they started from; a 1×1 convolution makes that fit."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = _conv(inputs, outputs, stride=stride)
        self.second = _conv(outputs, outputs)
        fits = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if fits else _conv(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


class Net(nn.Module):
    """A ResNet-8 of 61,650 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _conv(3, 16)
        self.blocks = nn.Sequential(Block(16, 16, 1), Block(16, 28, 2), Block(28, 56, 2))
        self.average = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(56, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, 10) of images (N, 3, 32, 32)."""
        x = self.blocks(F.relu(self.stem(image)))
        return self.classifier(self.average(x).flatten(1))


def load(folder: Path) -> tuple[Samples, Samples]:
    """22,000 images to train with, and the 10,000 test images."""
    return images(folder / "cifar10_train_first22000.npz"), images(folder / "cifar10_test.npz")


ENDS = {"stem.0": LayerLevels(256), "classifier": LayerLevels(256)}

RECIPE = Recipe(
    "cifar10",
    Net,
    load,
    IMAGE_SCALE,
    Schedule(epochs=40, learning_rate=0.01, weight_decay=0.05, label_smoothing=0.1),
    {
        "8bit": Variant(
            VirtualQuantizeConfig(256),
            Schedule(epochs=3, learning_rate=1e-3, label_smoothing=0.1),
        ),
        "4bit": Variant(
            VirtualQuantizeConfig(16),
            Schedule(epochs=6, learning_rate=1e-3, label_smoothing=0.1),
        ),
        "ternary": Variant(
            VirtualQuantizeConfig(3, layers=ENDS),
            Schedule(epochs=10, learning_rate=2e-3, label_smoothing=0.1),
        ),
    },
    shift_and_mirror(4),
)

if __name__ == "__main__":
    main(RECIPE)
