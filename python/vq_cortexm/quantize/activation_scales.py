"""The int8 scale of an activation tensor, from what it holds on the calibration data."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from .graph import FloatArray, Scale

Real = TypeVar("Real", np.float32, np.float64)

_SAMPLED = 200_000
"""Numbers of a tensor that are looked at, evenly spread."""
_SHARES = np.linspace(1.0, 0.5, 26)
"""Of the whole range: how much of it is kept."""
_STEPS = 255

SOFTMAX = Scale(1 / 256, -128)
"""Probabilities, as TensorFlow Lite fixes them."""


def scale_of_range(low: float, high: float) -> Scale:
    """The scale whose integers reach from `low` to `high`, or to zero where that lies outside."""
    low, high = min(low, 0.0), max(high, 0.0)
    step = (high - low) / _STEPS if high > low else 1.0
    scale = max(float(np.float32(step)), float(np.finfo(np.float32).tiny))
    return Scale(scale, int(np.clip(round(-128 - low / scale), -128, 127)))


def sampling_stride(size: int) -> int:
    """From one number to the next of those that stand for all; coprime to the size, as one that
    divides a map's width sees the same few columns in every row."""
    stride = max(1, size // _SAMPLED)
    while math.gcd(stride, size) > 1:
        stride += 1
    return stride


def fitted_scale(values: FloatArray, symmetric: bool = False) -> Scale:
    """The scale with the least squared error, clipping included; `symmetric`: of zero point 0."""
    flat = values.reshape(-1)
    sampled = flat[:: sampling_stride(flat.size)].astype(np.float64)
    low, high = float(flat.min()), float(flat.max())
    if symmetric:
        steps = max(-low, high) / 127 * _SHARES
        candidates = [Scale(float(step) or 1.0, 0) for step in steps.astype(np.float32)]
    else:
        candidates = [scale_of_range(low * share, high * share) for share in _SHARES]
    errors = [float(np.square(quantized(sampled, s) - sampled).mean()) for s in candidates]
    return candidates[int(np.argmin(errors))]


def quantized(values: NDArray[Real], scale: Scale) -> NDArray[Real]:
    """The real numbers that `values` become by quantization, in their own type."""
    integers = np.clip(np.rint(values / scale.scale) + scale.zero_point, -128, 127)
    return np.asarray((integers - scale.zero_point) * scale.scale, values.dtype)
