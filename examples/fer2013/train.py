"""Facial expressions, from FER2013's faces to n-ary models; see README.md in this folder."""

from __future__ import annotations

import sys
from pathlib import Path

from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from recipe import IMAGE_SCALE, Recipe, Variant, images, main, shift_and_mirror

from vq_cortexm.train import Samples, Schedule
from vq_cortexm.transform.vq_config import LayerLevels, VirtualQuantizeConfig


def _conv(inputs: int, outputs: int) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]


def net() -> nn.Module:
    """Faces (N, 1, 48, 48) to logits (N, 7): 68,439 parameters."""
    return nn.Sequential(
        *_conv(1, 16),
        nn.MaxPool2d(2),
        *_conv(16, 24),
        *_conv(24, 24),
        nn.MaxPool2d(2),
        *_conv(24, 48),
        *_conv(48, 48),
        nn.MaxPool2d(2),
        *_conv(48, 64),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(64, 7),
    )


def load(folder: Path) -> tuple[Samples, Samples]:
    """20,000 faces to train with, and the 7,178 of both test parts: nothing is chosen by either."""
    test = images(*(folder / f"fer2013_{part}_test.npz" for part in ("public", "private")))
    return images(folder / "fer2013_train_first20000.npz"), test


ENDS = {"0": LayerLevels(256), "24": LayerLevels(256)}

RECIPE = Recipe(
    "fer2013",
    net,
    load,
    IMAGE_SCALE,
    Schedule(epochs=30, learning_rate=0.01, weight_decay=0.05, label_smoothing=0.1),
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
