"""Recordings of spoken digits to the network's inputs: cepstral coefficients of one second."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from mfcc import mfcc

RATE_HZ = 8000
SCALE = 1 / 32
"""Of the network's input, whose numbers are about from -4 to 4."""

MEAN = np.array([-58, 0, 0, 0, 0, 0, 0, 0, 0, 0], np.float32)
DEVIATION = np.array([60, 3.5, 2, 2, 2, 2, 2, 1, 1, 1], np.float32)
"""Of the coefficients of the training clips, silence included; rounded."""

Audio = NDArray[np.float32]


def second(clip: NDArray[Any], place: float) -> Audio:
    """A second of audio: a shorter clip surrounded by silence, a part of a longer one. `place` is
    from 0, at the beginning, to 1, at the end."""
    start = round(place * abs(RATE_HZ - len(clip)))
    if len(clip) > RATE_HZ:
        return clip[start : start + RATE_HZ].astype(np.float32)
    heard = np.zeros(RATE_HZ, np.float32)
    heard[start : start + len(clip)] = clip
    return heard


def varied(clip: NDArray[Any], chance: np.random.Generator) -> Audio:
    """A second with the clip faster or slower, by up to a quarter, somewhere in it, in noise."""
    speed = chance.uniform(0.8, 1.25)
    heard = np.interp(np.arange(0, len(clip) - 1, speed), np.arange(len(clip)), clip)
    heard = second(heard, chance.uniform())
    noise = np.abs(heard).max() * 10 ** chance.uniform(-4, -1.3)
    return heard + (noise * chance.standard_normal(RATE_HZ)).astype(np.float32)


def features(seconds: NDArray[Any]) -> NDArray[np.float32]:
    """(N, 1, 49, 10) of seconds (N, 8000)."""
    spectrum = np.fft.rfft(seconds, axis=1)
    # to the 16 kHz of the recipe; what is above 4 kHz it does not use
    doubled = np.fft.irfft(spectrum, 2 * RATE_HZ, axis=1)
    return ((mfcc(doubled)[..., 0] - MEAN) / DEVIATION)[:, np.newaxis]
