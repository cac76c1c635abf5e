"""`vq.avg_pool2d`: the mean over windows; padding is not counted.

Where input and output share scale and zero point, it is sum(x) / count with halves away from zero:
AVERAGE_POOL_2D of TensorFlow Lite, Micro and not, which one fixed-point product computes exactly
(`division_constants`). Elsewhere the sum is rescaled (`constants`), as in MEAN, which
TensorFlow Lite rescales always; `single` needs no such distinction. With `truncate` the quotient is
cut towards zero: Relay's nn.avg_pool2d of integers. With `total` nothing is divided: SUM.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .quantization import (
    check_activation,
    check_requantizing,
    to_output,
)
from .rounding import (
    Int64Array,
    RequantizeConstants,
    check_rounding,
    fixed_point,
    requantize,
)
from .window import output_extent, pad_spatial, windows


def output_shape(x_shape: tuple[int, ...], attrs: AvgPool2dAttrs) -> tuple[int, int, int, int]:
    """(N, OH, OW, C) for x (N, H, W, C). ValueError where a window lies in the padding alone: the
    mean of nothing."""
    n, h, w, c = x_shape
    oh, ow = output_extent("avg_pool2d", (h, w), attrs.pool_size, attrs.strides, attrs.padding)
    for axis, (count, extent) in enumerate(((oh, h), (ow, w))):
        before = attrs.padding[axis]
        last = (count - 1) * attrs.strides[axis] - before
        if before >= attrs.pool_size[axis] or last >= extent:
            raise ValueError(
                "avg_pool2d: a window lies in the padding alone; pad less than the pool"
            )
    return n, oh, ow, c


def divides(attrs: AvgPool2dAttrs) -> bool:
    """Whether y is the plain quotient, by `division_constants`; else `constants` are used."""
    same_scale = bool(np.float32(attrs.x_scale) == np.float32(attrs.y_scale))
    same = same_scale and attrs.x_zero_point == attrs.y_zero_point
    return (
        same
        and not attrs.total
        and (attrs.truncate or attrs.rounding == "single" or not attrs.mean)
    )


def division_constants(count: int) -> tuple[int, int]:
    """`(multiplier, shift)` that divide a sum of `count` 8-bit values, halves away from zero.

    y = (sum * multiplier + 2**(shift - 1) + (sum >> 31)) >> shift, for the int32 sum and a 64-bit
    product; multiplier is in [2**30, 2**31), shift in [30, 50]. It is 2**shift / count rounded up,
    so that exact halves land above theirs and the sign's -1 sends negative ones down; as count is
    below 2**20, the excess is less than the distance of any other quotient to a half.
    Raises ValueError unless 1 <= count < 2**20.
    """
    if not 1 <= count < 1 << 20:
        raise ValueError(f"avg_pool2d: a window of {count} elements must have 1 to 2**20 - 1")
    shift = 30 + (count - 1).bit_length()
    return -(-(1 << shift) // count), shift


def constants(count: int, attrs: AvgPool2dAttrs) -> RequantizeConstants | FloatMean:
    """The rescaling of a window of `count` elements.

    `single`: of sum(x - x_zero_point), by x_scale / (y_scale * count). `double`: the same, with
    1 / count folded into the multiplier of x_scale / y_scale as TensorFlow Lite Micro's MEAN folds
    it. A sum is not divided. Both have shape (). `float`: XNNPACK's MEAN.
    """
    rounding = check_rounding(attrs.rounding)
    divisor = 1 if attrs.total else count
    x_scale, y_scale = np.float32(attrs.x_scale), np.float32(attrs.y_scale)
    if rounding == "float":
        scale = (x_scale / y_scale) * (np.float32(1) / np.float32(divisor))
        offset = np.float32(attrs.y_zero_point) - np.float32(count * attrs.x_zero_point) * scale
        return FloatMean(np.float32(scale), np.float32(offset))
    if rounding == "single":
        return fixed_point(float(x_scale) / (float(y_scale) * divisor), rounding)
    ratio = fixed_point(float(x_scale) / float(y_scale), rounding)
    fold = min(divisor.bit_length() - 1, 31 + int(ratio.shift))
    multiplier = (int(ratio.multiplier) << fold) // divisor
    shift = int(ratio.shift) - fold
    return replace(
        ratio, multiplier=np.array(multiplier, np.int32), shift=np.array(shift, np.int32)
    )


def window_counts(x_shape: tuple[int, ...], attrs: AvgPool2dAttrs) -> Int64Array:
    """How many elements of the input each window holds, (OH, OW)."""
    output_shape(x_shape, attrs)
    inside = pad_spatial(np.ones((1, x_shape[1], x_shape[2], 1), np.int64), attrs.padding, 0)
    counts = windows(inside, attrs.pool_size, attrs.strides).sum(axis=(3, 4))[0, :, :, 0]
    return np.asarray(counts, dtype=np.int64)


def reference(x: npt.NDArray[Any], attrs: AvgPool2dAttrs) -> npt.NDArray[Any]:
    """The means, (N, OH, OW, C) of y_dtype, for x (N, H, W, C) int8 or uint8."""
    check_activation("avg_pool2d", "x", x, rank=4)
    counts = window_counts(x.shape, attrs)
    padded = pad_spatial(x.astype(np.int64), attrs.padding, 0)
    sums = windows(padded, attrs.pool_size, attrs.strides).sum(axis=(3, 4))
    if divides(attrs):
        divide = divide_towards_zero if attrs.truncate else divide_half_away
        rounded = divide(sums, counts[:, :, None])
        return to_output(rounded, 0, attrs.y_min, attrs.y_max, attrs.y_dtype)
    scaled = np.empty_like(sums)
    for count in np.unique(counts):
        inside = counts == count
        scaled[:, inside] = _rescale(sums[:, inside], int(count), attrs)
    return to_output(scaled, 0, attrs.y_min, attrs.y_max, attrs.y_dtype)


def _rescale(sums: Int64Array, count: int, attrs: AvgPool2dAttrs) -> Int64Array:
    known = constants(count, attrs)
    if isinstance(known, FloatMean):
        rescaled = sums.astype(np.float32) * known.scale + known.offset
        return np.asarray(np.rint(rescaled), dtype=np.int64)
    return requantize(sums - count * attrs.x_zero_point, known) + attrs.y_zero_point


def divide_half_away(dividend: Int64Array, divisor: Int64Array) -> Int64Array:
    """The quotient rounded to nearest, halves away from zero; divisor > 0."""
    magnitude = (np.abs(dividend) + divisor // 2) // divisor
    return np.where(dividend < 0, -magnitude, magnitude)


def divide_towards_zero(dividend: Int64Array, divisor: Int64Array) -> Int64Array:
    """The quotient without its fraction, as C divides; divisor > 0."""
    return np.asarray(np.sign(dividend) * (np.abs(dividend) // divisor), dtype=np.int64)


@dataclass(frozen=True)
class FloatMean:
    """y = rint(float32(sum(x)) * scale + offset), halves to even, then the clamp.

    The sum is of raw values and the offset holds both zero points. Product and addition round
    separately (no fused multiply-add).
    """

    scale: np.float32
    offset: np.float32


@dataclass(frozen=True)
class AvgPool2dAttrs:
    """padding is (top, left, bottom, right); [y_min, y_max] clamps the output's integers.

    mean: with `double` and `float` the sum is rescaled even where both sides agree (MEAN).
    truncate: the quotient is cut towards zero; both sides agree. total: the sum, not the mean.
    """

    pool_size: tuple[int, int]
    strides: tuple[int, int]
    padding: tuple[int, int, int, int]
    x_scale: float
    x_zero_point: int
    y_scale: float
    y_zero_point: int
    y_min: int
    y_max: int
    rounding: str = "single"
    y_dtype: str = "int8"
    mean: bool = False
    truncate: bool = False
    total: bool = False

    def __post_init__(self) -> None:
        op = "avg_pool2d"
        if self.truncate and not divides(self):
            raise ValueError(
                f"{op}: truncated means keep scale and zero point; requantize after it"
            )
        check_requantizing(op, self)
        if not divides(self):
            constants(1, self)  # of no window the factor is larger, and it may be too large
