"""Where two arrays of a layer differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .own import OwnLayer


@dataclass(frozen=True)
class Place:
    """The first element that differs: in which sample, where, and both values."""

    sample: int
    index: tuple[int, ...]
    own: int
    other: int


@dataclass(frozen=True)
class Difference:
    """A layer over all samples; `largest_steps` counts steps of its scale. `first` is None where
    all is equal."""

    differing: int
    elements: int
    largest_steps: int
    first: Place | None


def compare(
    layer: OwnLayer, own: Sequence[NDArray[Any]], others: Sequence[NDArray[Any]]
) -> Difference:
    """A layer's arrays, one a sample, beside another's. Real numbers are put on the layer's own
    scale first. UsageError where the shapes are not the same, or real numbers have no scale."""
    differing = elements = largest = 0
    first = None
    for number, (x, y) in enumerate(zip(own, others, strict=True)):
        y = _integers(layer, np.asarray(y))
        steps = np.abs(x.astype(np.int64) - y.astype(np.int64))
        elements += steps.size
        if not steps.any():
            continue
        differing += int(np.count_nonzero(steps))
        largest = max(largest, int(steps.max()))
        if first is None:
            index = tuple(int(i) for i in np.argwhere(steps)[0])
            first = Place(number, index, int(x[index]), int(y[index]))
    return Difference(differing, elements, largest, first)


def _integers(layer: OwnLayer, y: NDArray[Any]) -> NDArray[Any]:
    where = f"layer {layer.name}: the reference"
    if _without_batch(y.shape) != _without_batch(layer.shape):
        raise UsageError(f"{where} has the shape {y.shape}, ours {layer.shape}")
    y = y.reshape(layer.shape)
    if np.issubdtype(y.dtype, np.integer):
        return y
    if layer.params is None or not np.issubdtype(y.dtype, np.floating):
        raise UsageError(f"{where} is {y.dtype}, ours {layer.dtype} of no known scale")
    real = np.rint(y.astype(np.float64) / layer.params.scale)
    info = np.iinfo(layer.dtype)
    grid = np.nan_to_num(real, nan=info.min) + layer.params.zero_point
    return np.asarray(np.clip(grid, info.min, info.max), np.int64)


def _without_batch(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Without the axes of length one in front."""
    first = next((i for i, n in enumerate(shape) if n != 1), len(shape))
    return shape[first:]
