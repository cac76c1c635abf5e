"""Calibration data: the `x` of a `.npz` file as the float network takes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..files import read_arrays
from .activation_scales import scale_of_range
from .graph import FloatArray, FloatGraph, Scale


@dataclass(frozen=True, eq=False)
class CalibrationData:
    """Real inputs (N, ...), the scale with which the network's input is quantized, and the classes
    (N,) where the file has them."""

    x: FloatArray
    scale: Scale
    y: NDArray[Any] | None


def read_data(
    path: Path, graph: FloatGraph, scale: Sequence[float], mean: Sequence[float], samples: int
) -> CalibrationData:
    """The first `samples` of `x`, as real = (x - mean) * scale, and of `y`.

    `mean` and `scale` hold one number or one per channel. int8 data of a model whose file
    quantizes its input is taken by that scale instead. UsageError for data that do not fit.
    """
    raw, y = read_arrays(path)
    if raw.shape[1:] != graph.input_shape or not len(raw):
        raise UsageError(
            f"{path}: x has the shape {raw.shape}; the model takes (N, "
            f"{', '.join(map(str, graph.input_shape))})"
        )
    known = graph.scales.get(graph.input)
    used, y = raw[:samples], None if y is None else y[:samples]
    if known is not None and used.dtype == np.int8:
        centred = used.astype(np.float32) - known.zero_point
        return CalibrationData(centred * np.float32(known.scale), known, y)
    factors, offsets = (
        _per_channel(name, numbers, graph) for name, numbers in (("scale", scale), ("mean", mean))
    )
    x = ((used - offsets) * factors).astype(np.float32)
    if not np.isfinite(x).all():
        raise UsageError(f"{path}: x holds numbers that are not finite")
    return CalibrationData(x, known or _input_scale(x, used.dtype, offsets, factors), y)


def _input_scale(x: FloatArray, dtype: Any, offsets: NDArray[Any], factors: NDArray[Any]) -> Scale:
    """Of 8-bit data: from the whole range of their type, so that no pixel is rounded."""
    if dtype not in (np.uint8, np.int8):
        return scale_of_range(float(x.min()), float(x.max()))
    info = np.iinfo(dtype)
    ends = np.stack([(limit - offsets) * factors for limit in (info.min, info.max)])
    return scale_of_range(float(ends.min()), float(ends.max()))


def _per_channel(name: str, numbers: Sequence[float], graph: FloatGraph) -> NDArray[np.float64]:
    values = np.asarray(numbers, np.float64)
    if not np.isfinite(values).all() or (name == "scale" and not np.all(values)):
        raise UsageError(f"--{name} {', '.join(map(str, numbers))}: finite numbers work, not 0")
    if values.size == 1:
        return values.reshape(())
    channels = graph.input_shape[graph.channel_axis]
    if values.size != channels:
        raise UsageError(
            f"--{name} has {values.size} numbers; one works, or {channels}, the input's channels"
        )
    along = [1] * len(graph.input_shape)
    along[graph.channel_axis] = channels
    return values.reshape(along)
