"""Pieces of clothing, from Fashion-MNIST's images to a binary and an 8-bit net."""

from __future__ import annotations

import sys
from pathlib import Path

from torch import nn

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

from pair import (
    Recipe,
    Split,
    Trainings,
    binary,
    binary_last,
    classifier,
    convolution,
    held_out,
    main,
    placed_classifier,
    stem,
)
from recipe import IMAGE_SCALE, images, shift_and_mirror

from vq_cortexm.train import Schedule


def fast() -> nn.Module:
    """Images (N, 1, 28, 28) to logits (N, 10)."""
    return nn.Sequential(
        *stem(1, 64),
        nn.MaxPool2d(2),
        *binary(64, 64),
        *binary(64, 128),
        *binary_last(128, 128, stride=2),
        *placed_classifier(4 * 128, 10),
    )


def accurate() -> nn.Module:
    """Images (N, 1, 28, 28) to logits (N, 10)."""
    return nn.Sequential(
        *convolution(1, 32),
        nn.MaxPool2d(2),
        *convolution(32, 48),
        *convolution(48, 64),
        nn.MaxPool2d(2),
        *convolution(64, 96),
        *classifier(96, 10),
    )


def load(folder: Path) -> Split:
    """18,000 images to train with, 2,000 to calibrate with, and the 10,000 test images."""
    known = images(folder / "fashion_mnist_train_first20000.npz")
    return Split(*held_out(known, 2000), images(folder / "fashion_mnist_test.npz"))


RECIPE = Recipe(
    "fashion_mnist",
    fast,
    accurate,
    load,
    IMAGE_SCALE,
    Trainings(
        Schedule(20, 0.01, weight_decay=0.05, label_smoothing=0.1, bfloat16=True),
        Schedule(50, 0.01, weight_decay=0.05, bfloat16=True),
        Schedule(3, 1e-3),
        Schedule(12, 4e-3, bfloat16=True),
    ),
    shift_and_mirror(2),
)

if __name__ == "__main__":
    main(RECIPE)
