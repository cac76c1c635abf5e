"""Features of MLPerf Tiny's keyword models: 10 cepstral coefficients of 49 frames of a second.

Frames of 30 ms every 20 ms, 40 mel bands from 20 to 4000 Hz, as the models were trained with.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000
FRAME, STEP, FRAMES = 480, 320, 49
TRANSFORM = 512
BANDS, LOWEST_HZ, HIGHEST_HZ = 40, 20.0, 4000.0
COEFFICIENTS = 10


def mfcc(audio: NDArray[Any]) -> NDArray[np.float32]:
    """Features (N, 49, 10, 1) of clips (N, 16000)."""
    # in the order and to the sign in which the models' own data was made: by the largest sample
    loudest = np.maximum(audio.max(axis=1, keepdims=True).astype(np.float64), 1.0)
    frames = np.lib.stride_tricks.sliding_window_view(audio / loudest, FRAME, axis=1)
    frames = frames[:, ::STEP][:, :FRAMES]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)
    spectrum = np.abs(np.fft.rfft(frames * window, TRANSFORM))
    logarithms = np.log(spectrum @ _mel_bands() + 1e-6)
    return (logarithms @ _cosines())[..., np.newaxis].astype(np.float32)


@cache
def _mel_bands() -> NDArray[np.float64]:
    """Triangles linear in mel, (bins, bands); the lowest bin counts nowhere."""
    edges = np.linspace(_mel(LOWEST_HZ), _mel(HIGHEST_HZ), BANDS + 2)
    bins = _mel(np.linspace(0.0, RATE_HZ / 2, TRANSFORM // 2 + 1))[:, np.newaxis]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    weights = np.maximum(0.0, np.minimum(rising, falling))
    weights[0] = 0.0
    return np.asarray(weights)


def _mel(frequency_hz: Any) -> Any:
    return 1127.0 * np.log1p(frequency_hz / 700.0)


@cache
def _cosines() -> NDArray[np.float64]:
    """The first columns of the DCT-II over the bands."""
    angle = np.pi / BANDS * np.outer(np.arange(BANDS) + 0.5, np.arange(COEFFICIENTS))
    return np.asarray(np.cos(angle) * np.sqrt(2.0 / BANDS))
