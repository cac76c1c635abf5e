"""Keyword spotting, from recordings of digits to n-ary models; see README.md in this folder."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from features import SCALE
from recordings import COPIES, TEST_SPEAKERS, hide_frames, spoken_by
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from recipe import Recipe, Variant, main

from vq_cortexm.train import Samples, Schedule
from vq_cortexm.transform.vq_config import VirtualQuantizeConfig

CHANNELS = 48


def _conv(inputs: int, size: tuple[int, int], stride: int = 1, groups: int = 1) -> list[nn.Module]:
    padding = (size[0] // 2, size[1] // 2)
    convolution = nn.Conv2d(inputs, CHANNELS, size, stride, padding, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(CHANNELS), nn.ReLU()]


def net() -> nn.Module:
    """Features (N, 1, 49, 10) to logits (N, 10): a DS-CNN of 11,530 parameters."""
    return nn.Sequential(
        *_conv(1, (9, 5), stride=2),
        *_conv(CHANNELS, (3, 3), groups=CHANNELS),
        *_conv(CHANNELS, (1, 1)),
        *_conv(CHANNELS, (3, 3), groups=CHANNELS),
        *_conv(CHANNELS, (1, 1)),
        *_conv(CHANNELS, (3, 3), groups=CHANNELS),
        *_conv(CHANNELS, (1, 1)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(CHANNELS, 10),
    )


def load(folder: Path) -> tuple[Samples, Samples]:
    """Ten variations of 2,000 clips of four speakers, and the 1,000 clips of two others."""
    content = dict(np.load(folder / "fsdd_int16_8khz.npz"))
    known = set(content["speaker"]) - set(TEST_SPEAKERS)
    return spoken_by(known, content, COPIES), spoken_by(TEST_SPEAKERS, content)


RECIPE = Recipe(
    "spoken_digits",
    net,
    load,
    SCALE,
    Schedule(epochs=12, learning_rate=0.01, weight_decay=0.05, label_smoothing=0.1),
    {
        "8bit": Variant(
            VirtualQuantizeConfig(256),
            Schedule(epochs=2, learning_rate=1e-3, label_smoothing=0.1),
        ),
        "4bit": Variant(
            VirtualQuantizeConfig(16),
            Schedule(epochs=4, learning_rate=2e-3, label_smoothing=0.1),
        ),
        "ternary": Variant(
            VirtualQuantizeConfig(3),
            Schedule(epochs=6, learning_rate=3e-3, label_smoothing=0.1),
        ),
    },
    hide_frames,
)

if __name__ == "__main__":
    main(RECIPE)
