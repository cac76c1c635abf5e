"""`vq.dense`: fully connected layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .quantization import (
    channel_parameters,
    check_activation,
    check_requantizing,
    is_wide,
    to_output,
)
from .rounding import (
    Int64Array,
    RequantizeConstants,
    requantize,
    requantize_constants,
)


def output_shape(
    x_shape: tuple[int, ...], w_shape: tuple[int, ...], attrs: DenseAttrs
) -> tuple[int, ...]:
    """(..., O) for x (..., I) and w (O, I); ValueError on a mismatch."""
    if x_shape[-1] != w_shape[1]:
        raise ValueError(f"dense: weights {w_shape} do not fit an input {x_shape}")
    return (*x_shape[:-1], w_shape[0])


def macs(x_shape: tuple[int, ...], w_shape: tuple[int, ...], attrs: DenseAttrs) -> int:
    """Multiplications of the layer."""
    return int(np.prod(output_shape(x_shape, w_shape, attrs))) * w_shape[1]


def constants(w_scale: npt.NDArray[np.float32], attrs: DenseAttrs) -> RequantizeConstants:
    """The requantization of each output, shape (O,)."""
    return requantize_constants(attrs.x_scale, w_scale, attrs.y_scale, attrs.rounding)


def accumulate(
    x: npt.NDArray[Any], w: npt.NDArray[np.int8], bias: Int64Array, attrs: DenseAttrs
) -> Int64Array:
    """bias + sum((x - x_zero_point) * w), int64 (..., O)."""
    output_shape(x.shape, w.shape, attrs)
    # A float64 product of matrices is exact here: each sum is an integer below 2**53.
    centred = x.astype(np.float64) - attrs.x_zero_point
    return np.asarray((centred @ w.T.astype(np.float64)).astype(np.int64) + bias, dtype=np.int64)


def reference(
    x: npt.NDArray[Any],
    w: npt.NDArray[np.int8],
    b: npt.NDArray[Any] | None,
    w_scale: npt.NDArray[np.float32],
    attrs: DenseAttrs,
) -> npt.NDArray[Any]:
    """The layer's output, (..., O) of y_dtype.

    x: (..., I) int8, uint8 or int16; w: (O, I) int8, zero point 0; b: (O,) int32 (int64 beside
    int16) or None; w_scale: (O,) float32. Raises ValueError on shapes that do not fit and on
    accumulators beyond int32 (48 bits of int16 with `single`).
    """
    check_activation("dense", "x", x)
    bias, scales = channel_parameters("dense", w.shape[0], b, w_scale)
    acc = accumulate(x, w, bias, attrs)
    scaled = requantize(acc, constants(scales, attrs), is_wide(x))
    return to_output(scaled, attrs.y_zero_point, attrs.y_min, attrs.y_max, attrs.y_dtype)


@dataclass(frozen=True)
class DenseAttrs:
    """[y_min, y_max] is the fused activation's clamp in the output's integers."""

    x_scale: float
    x_zero_point: int
    y_scale: float
    y_zero_point: int
    y_min: int
    y_max: int
    rounding: str = "single"
    y_dtype: str = "int8"

    def __post_init__(self) -> None:
        check_requantizing("dense", self)
