"""Facial expressions, from FER2013's faces to a binary and an 8-bit net."""

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
    """Faces (N, 1, 48, 48) to logits (N, 7)."""
    return nn.Sequential(
        *stem(1, 64),
        nn.MaxPool2d(2),
        *binary(64, 64),
        *binary(64, 128, stride=2),
        *binary_last(128, 128),
        *placed_classifier(9 * 128, 7),
    )


def accurate() -> nn.Module:
    """Faces (N, 1, 48, 48) to logits (N, 7)."""
    return nn.Sequential(
        *convolution(1, 32),
        nn.MaxPool2d(2),
        *convolution(32, 40),
        nn.MaxPool2d(2),
        *convolution(40, 64),
        *convolution(64, 64),
        nn.MaxPool2d(2),
        *convolution(64, 96),
        *classifier(96, 7, dropout=0.2),
    )


def load(folder: Path) -> Split:
    """18,000 faces to train with, 2,000 to calibrate with, and the 7,178 of both test parts."""
    known = images(folder / "fer2013_train_first20000.npz")
    test = [folder / f"fer2013_{part}_test.npz" for part in ("public", "private")]
    return Split(*held_out(known, 2000), images(*test))


RECIPE = Recipe(
    "fer2013",
    fast,
    accurate,
    load,
    IMAGE_SCALE,
    Trainings(
        Schedule(20, 0.01, weight_decay=0.05, label_smoothing=0.1, bfloat16=True),
        Schedule(80, 0.01, weight_decay=0.05, bfloat16=True),
        Schedule(3, 1e-3),
        Schedule(5, 2e-3, bfloat16=True),
    ),
    shift_and_mirror(4),
    independence=1.0,
)

if __name__ == "__main__":
    main(RECIPE)
