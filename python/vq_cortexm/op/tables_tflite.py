"""TensorFlow Lite's integer arithmetic of functions of one int8 value, and XNNPACK's.

All take x - x_zero_point, int64 in [-255, 255], and the scales; they return y without its zero
point and clamp.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .rounding import (
    Int64Array,
    fixed_point,
    quantize_multiplier,
    requantize,
    rounding_divide_by_pot,
)

_HIGH_BITS = 7
"""By which hard-swish's input is shifted up, to fill int16."""
_XNNPACK_BITS = 8
_XNNPACK_SLOPES = 2.0**-8, 2.0**7
"""What XNNPACK's leaky ReLU and QUANTIZE take for their scales, each in magnitude."""


def absolute(x: Int64Array, x_scale: np.float32, y_scale: np.float32) -> Int64Array:
    """ABS."""
    if x_scale == y_scale:
        return np.abs(x)
    return requantize(np.abs(x), fixed_point(float(x_scale / y_scale), "double"))


def rescaled_xnnpack(x: Int64Array, x_scale: np.float32, y_scale: np.float32) -> Int64Array | None:
    """LiteRT's QUANTIZE within one 8-bit type: 8 fractional bits, halves upwards; None where
    XNNPACK does not take the ratio."""
    ratio = x_scale / y_scale
    low, high = _XNNPACK_SLOPES
    if not low <= ratio <= high:
        return None
    multiplier = int(np.rint(np.float32(1 << _XNNPACK_BITS) * ratio))
    return (x * multiplier + (1 << (_XNNPACK_BITS - 1))) >> _XNNPACK_BITS


def leaky_relu(x: Int64Array, x_scale: np.float32, y_scale: np.float32, slope: float) -> Int64Array:
    """LEAKY_RELU: a requantization for either sign."""
    sloped = fixed_point(float(x_scale * abs(np.float32(slope)) / y_scale), "double")
    if slope < 0:  # a negative multiplier: halves of the product go the other way
        sloped = replace(sloped, multiplier=-sloped.multiplier)
    positive = requantize(x, fixed_point(float(x_scale / y_scale), "double"))
    return np.where(x >= 0, positive, requantize(x, sloped))


def leaky_relu_xnnpack(
    x: Int64Array, x_scale: np.float32, y_scale: np.float32, slope: float
) -> Int64Array | None:
    """LiteRT's: scales of 8 fractional bits, halves upwards; None where it has none."""
    positive = x_scale / y_scale
    negative = positive * np.float32(slope)
    low, high = _XNNPACK_SLOPES
    if not (low <= positive <= high and low <= abs(negative) <= high):
        return None
    one = np.float32(1 << _XNNPACK_BITS)
    up, down = (int(np.rint(one * scale)) for scale in (positive, negative))
    return (x * np.where(x >= 0, up, down) + (1 << (_XNNPACK_BITS - 1))) >> _XNNPACK_BITS


def hard_swish(x: Int64Array, x_scale: np.float32, y_scale: np.float32) -> Int64Array | None:
    """HARD_SWISH: x * relu6(x + 3) / 6 in int16; the second factor, over 6, goes from 0 to 1 in
    2**-15. None where y_scale is too small for it."""
    high = x << _HIGH_BITS
    high_scale = np.float32(1 / (1 << _HIGH_BITS)) * x_scale
    y_multiplier, y_exponent = _int16_multiplier(float(high_scale / y_scale))
    if y_exponent > 0:
        return None
    scaled = _high_product(high, y_multiplier)
    # 3 is the end of relu6's slope, 2**15 there
    multiplier, exponent = _int16_multiplier(float(high_scale / np.float32(3 / 32768)))
    gate = high
    if exponent > 0:
        gate = _saturated(gate << (exponent - 1))
    gate = _high_product(gate, multiplier)
    if exponent > 0:
        gate = _saturated(gate << 1)
    elif exponent < 0:
        gate = rounding_divide_by_pot(gate, -exponent)
    gate = (gate + (1 << 15)) >> 1
    product = np.trunc(gate * scaled / (1 << 15)).astype(np.int64)
    return rounding_divide_by_pot(product, -y_exponent)


def _int16_multiplier(real: float) -> tuple[int, int]:
    """The upper half of TensorFlow Lite's 31-bit multiplier, rounded, and its left shift."""
    multiplier, shift = quantize_multiplier(real)
    return min((multiplier + (1 << 15)) >> 16, (1 << 15) - 1), 31 - shift


def _high_product(a: Int64Array, b: int) -> Int64Array:
    """gemmlowp's saturating rounding doubling high multiply of int16."""
    return _saturated((a * b + (1 << 14)) >> 15)


def _saturated(value: Int64Array) -> Int64Array:
    return np.clip(value, -(1 << 15), (1 << 15) - 1)
