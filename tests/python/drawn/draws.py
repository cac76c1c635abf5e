"""What all drawers draw: shapes, windows, scales, weights.

The source is a `random.Random`: seeded for thousands of models, or hypothesis' own, which shrinks.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt

LARGEST = 12
"""Edge of a plane."""


@dataclass(frozen=True)
class Tensor:
    """An activation of a net: its name there, shape, and real = scale * (q - zero_point)."""

    name: Any
    shape: tuple[int, ...]
    scale: float
    zero_point: int
    dtype: str = "int8"


def chance(random: Random, probability: float) -> bool:
    return random.random() < probability


def float32(value: float) -> float:
    return float(np.float32(value))


def draw_scale(random: Random, about: float = 0.03, octaves: float = 2.0) -> float:
    """Log-uniform around `about`."""
    return float32(about * 2.0 ** random.uniform(-octaves, octaves))


def draw_zero_point(random: Random, dtype: str) -> int:
    """Anywhere, often at an end, where activations behind a ReLU have it; none for int16."""
    if dtype == "int16":
        return 0
    info = np.iinfo(dtype)
    return random.choice([info.min, info.max, *(random.randint(info.min, info.max),) * 4])


def draw_shape(random: Random, rank: int, largest: int = LARGEST) -> tuple[int, ...]:
    """(N, H, W, C), (N, L, C) or (N, C), of at most some thousand elements; no plane has an edge
    beyond `largest`."""
    batch = random.choice([1, 1, 1, 1, 1, 2, 3])
    channels = random.choice([n for n in (1, 2, 3, 4, 5, 7, 8, 12, 16, 19) if n < 2 * largest])
    if rank == 2:
        return batch, random.randint(1, 6 * largest)
    return (batch, *(random.randint(1, largest) for _ in range(rank - 2)), channels)


def draw_window(
    random: Random, extent: tuple[int, int], largest: int = 5
) -> tuple[tuple[int, int], tuple[int, int]]:
    """(kernel, strides); the kernel is no larger than the plane."""
    kernel = tuple(random.randint(1, min(largest, n)) for n in extent)
    strides = random.choice([(1, 1), (2, 2), (random.randint(1, 3), random.randint(1, 3))])
    return (kernel[0], kernel[1]), strides


def draw_weights(rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.int8]:
    """int8 weights, bell-shaped or uniform; now and then all at the ends."""
    kind = rng.integers(8)
    if kind == 0:
        return rng.choice(np.array([-127, 127], np.int8), shape)
    if kind < 3:
        return rng.integers(-127, 128, shape).astype(np.int8)
    return np.clip(np.rint(rng.normal(0, 40, shape)), -127, 127).astype(np.int8)


@dataclass(frozen=True)
class Product:
    """Constants of a layer that sums products, and the scale of its outputs, which fills a drawn
    part of their range. Scales are one, or one a channel."""

    weights: npt.NDArray[np.int8]
    weight_scales: npt.NDArray[np.float32]
    bias: npt.NDArray[Any]
    bias_scales: npt.NDArray[np.float32]
    y_scale: float


def draw_product(
    random: Random,
    rng: np.random.Generator,
    x: Tensor,
    shape: tuple[int, ...],
    axis: int,
    per_channel: bool,
) -> Product:
    """Weights of `shape` with the output channels along `axis`; some channels are dead."""
    channels = shape[axis]
    fan_in = int(np.prod(shape)) // channels
    weights = draw_weights(rng, shape)
    if chance(random, 0.2):
        np.moveaxis(weights, axis, 0)[rng.integers(0, channels)] = 0
    scales = rng.uniform(0.3, 1.7, channels if per_channel else 1) * draw_scale(random, 0.01)
    scales = scales.astype(np.float32)
    bias_scales = np.float32(x.scale) * scales
    spread = float(np.abs(weights).mean() + 1) * 70 * fan_in**0.5
    bias_dtype = np.int64 if x.dtype == "int16" else np.int32
    bias = rng.integers(-int(2 * spread), int(2 * spread) + 1, channels).astype(bias_dtype)
    filled = 2.0 ** random.uniform(-1.5, 2.0)
    levels = 127 if x.dtype != "int16" else 32767
    spread *= 1 if x.dtype != "int16" else 256
    y_scale = float32(filled * spread * float(bias_scales.mean()) / levels)
    return Product(weights, scales, bias, bias_scales, y_scale)
