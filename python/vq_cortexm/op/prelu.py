"""`vq.prelu`: x where x is positive, else x times a slope that broadcasts: one of each channel.

x - x_zero_point is requantized by x_scale / y_scale, its product with the slope by
x_scale * slope_scale / y_scale: TensorFlow Lite's arithmetic with `double`, which LiteRT's default
back end has too. Attribute names begin with a for x and with b for the slope.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .binary_attrs import BinaryAttrs
from .quantization import check_activation, to_output
from .rounding import RequantizeConstants, Rounding, check_rounding, fixed_point, requantize


def output_shape(
    x_shape: tuple[int, ...], slope_shape: tuple[int, ...], attrs: PreluAttrs
) -> tuple[int, ...]:
    """The input's shape; ValueError where the slopes do not broadcast to it."""
    fits = len(slope_shape) <= len(x_shape) and all(
        s in (1, n) for s, n in zip(slope_shape[::-1], x_shape[::-1], strict=False)
    )
    if not fits:
        raise ValueError(f"prelu: slopes of shape {slope_shape} do not broadcast to {x_shape}")
    return tuple(x_shape)


def constants(attrs: PreluAttrs) -> tuple[RequantizeConstants, RequantizeConstants]:
    """The requantizations of x and of its product with a slope, both of shape ()."""
    rounding: Rounding = "single" if check_rounding(attrs.rounding) == "single" else "double"
    a, b, y = (np.float32(s) for s in (attrs.a_scale, attrs.b_scale, attrs.y_scale))
    return fixed_point(float(a / y), rounding), fixed_point(float(a * b / y), rounding)


def reference(x: npt.NDArray[Any], slope: npt.NDArray[Any], attrs: PreluAttrs) -> npt.NDArray[Any]:
    """x and slope int8 or uint8, as y_dtype."""
    check_activation("prelu", "x", x)
    check_activation("prelu", "slope", slope)
    output_shape(x.shape, slope.shape, attrs)
    centred = x.astype(np.int64) - attrs.a_zero_point
    product = centred * (slope.astype(np.int64) - attrs.b_zero_point)
    identity, sloped = constants(attrs)
    scaled = np.where(centred >= 0, requantize(centred, identity), requantize(product, sloped))
    return to_output(scaled, attrs.y_zero_point, attrs.y_min, attrs.y_max, attrs.y_dtype)


@dataclass(frozen=True)
class PreluAttrs(BinaryAttrs):
    """Those of x (a), of the slopes (b) and of the result."""

    OP: ClassVar[str] = "prelu"
