"""Keyword spotting, from recordings of digits to a binary and an 8-bit net."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[2] / "spoken_digits"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from features import SCALE
from pair import (
    Recipe,
    Split,
    Trainings,
    binary,
    binary_last,
    classifier,
    convolution,
    main,
    stem,
)
from recordings import COPIES, TEST_SPEAKERS, hide_frames, spoken_by

from vq_cortexm.train import Schedule

CALIBRATION_SPEAKER = "nicolas"
"""The one before the test speakers, who are the last two by name."""


def fast() -> nn.Module:
    """Features (N, 1, 49, 10) to logits (N, 10)."""
    return nn.Sequential(
        *stem(1, 64),
        *binary(64, 64, stride=2),
        *binary(64, 96),
        *binary_last(96, 128),
        *classifier(128, 10),
    )


def accurate() -> nn.Module:
    """Features (N, 1, 49, 10) to logits (N, 10)."""
    return nn.Sequential(
        *convolution(1, 32),
        *convolution(32, 64, stride=2),
        *convolution(64, 64),
        *convolution(64, 64, stride=2),
        *convolution(64, 80),
        *classifier(80, 10, dropout=0.2),
    )


def load(folder: Path) -> Split:
    """Ten variations of three speakers' clips to train with, a fourth's to calibrate with, the test
    clips of two others."""
    content = dict(np.load(folder / "fsdd_int16_8khz.npz"))
    known = set(content["speaker"]) - {*TEST_SPEAKERS, CALIBRATION_SPEAKER}
    return Split(
        spoken_by(known, content, COPIES),
        spoken_by({CALIBRATION_SPEAKER}, content),
        spoken_by(TEST_SPEAKERS, content),
    )


RECIPE = Recipe(
    "spoken_digits",
    fast,
    accurate,
    load,
    SCALE,
    Trainings(
        Schedule(12, 0.01, weight_decay=0.05, label_smoothing=0.1, bfloat16=True),
        Schedule(40, 0.01, weight_decay=0.05, distillation=0.7, bfloat16=True),
        Schedule(3, 1e-3),
        Schedule(5, 2e-3, bfloat16=True),
    ),
    hide_frames,
    independence=1.0,
)

if __name__ == "__main__":
    main(RECIPE)
