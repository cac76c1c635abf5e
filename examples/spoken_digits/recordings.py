"""Recordings of spoken digits to samples for training and tests."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from features import features, second, varied
from torch import Tensor

from vq_cortexm.train import Samples

COPIES = 9
"""Variations of each training clip, besides itself."""
TEST_SPEAKERS = ("theo", "yweweler")


def spoken_by(speakers: Collection[str], content: dict[str, Any], copies: int = 0) -> Samples:
    """The clips of some speakers in the middle of a second, then variations of all of them."""
    clips = np.split(content["audio"], content["offsets"][1:-1])
    chosen = np.flatnonzero(np.isin(content["speaker"], list(speakers)))
    chance = np.random.default_rng(0)
    parts = [np.stack([second(clips[i], 0.5) for i in chosen])]
    parts += [np.stack([varied(clips[i], chance) for i in chosen]) for _ in range(copies)]
    x = np.concatenate([features(part) for part in parts])
    labels = torch.from_numpy(content["y"]).long()
    return Samples(torch.from_numpy(x), labels[chosen].repeat(1 + copies))


def hide_frames(x: Tensor, chance: torch.Generator) -> Tensor:
    """Four frames of each sample become their mean, and a little noise is added to all."""
    first = torch.randint(x.shape[2] - 4, (len(x), 1, 1, 1), generator=chance)
    frame = torch.arange(x.shape[2])[:, None]
    kept = torch.where((frame >= first) & (frame < first + 4), 0.0, x)
    return kept + 0.05 * torch.randn(x.shape, generator=chance)
