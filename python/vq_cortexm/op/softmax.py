"""`vq.softmax` over the last axis.

`single`  y = exp_table[max - x] / denominator, rounded, where the denominator is the sum of the
          row's table entries times y_scale: one division of 32-bit integers per element.
`double`  gemmlowp's fixed-point exponential and reciprocal (`softmax_gemmlowp`), for
          y_scale 1/256 and the lowest zero point alone: TensorFlow Lite Micro.
`float`   a float32 table of exponentials, one float32 division per row, one product per element,
          halves away from zero: LiteRT's optimized kernel on x86 (on AArch64 LiteRT uses another).

Of int16 tensors all are TensorFlow Lite's (`softmax_int16`), to y_scale 2**-15.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .quantization import (
    check_activation,
    check_alike,
    check_output,
    check_scale,
    check_zero_point,
    dtype_range,
    to_output,
)
from .rounding import Float32Array, Int64Array
from .softmax_gemmlowp import GemmlowpSoftmax, gemmlowp_constants, gemmlowp_softmax
from .softmax_int16 import Y_SCALE, Int16Softmax, int16_constants, int16_softmax

_LONGEST_AXIS = 1 << 16
_SMALLEST_Y_SCALE = 2.0**-10


def output_shape(x_shape: tuple[int, ...], attrs: SoftmaxAttrs) -> tuple[int, ...]:
    """The input's shape; ValueError where the axis is not the last."""
    if attrs.axis not in (-1, len(x_shape) - 1):
        raise ValueError(f"softmax: axis {attrs.axis} is not the last of {x_shape}")
    return tuple(x_shape)


def table_constants(length: int, attrs: SoftmaxAttrs) -> TableSoftmax:
    """The constants of `single` for rows of `length` elements."""
    if not 1 <= length <= _LONGEST_AXIS:
        raise ValueError(f"softmax: an axis of {length} must be in [1, {_LONGEST_AXIS}]")
    fraction_bits = 31 - length.bit_length()
    step = attrs.beta * float(np.float32(attrs.x_scale))
    table = [round(math.ldexp(math.exp(-step * i), fraction_bits)) for i in range(256)]
    multiplier = round(math.ldexp(float(np.float32(attrs.y_scale)), 32))
    return TableSoftmax(np.array(table, dtype=np.uint32), multiplier)


def float_constants(attrs: SoftmaxAttrs) -> FloatSoftmax:
    """The constants of `float`: exponents are rounded to float32 as LiteRT's are."""
    step = -np.float32(attrs.x_scale) * np.float32(attrs.beta)
    exponents = step * np.arange(256, dtype=np.float32)
    table = np.array([math.exp(float(e)) for e in exponents], dtype=np.float32)
    return FloatSoftmax(table, np.float32(attrs.y_scale))


def constants(length: int, attrs: SoftmaxAttrs) -> SoftmaxConstants:
    """What a kernel needs for rows of `length` elements."""
    if attrs.y_dtype == "int16":
        return int16_constants(length, attrs.beta, attrs.x_scale, attrs.rounding)
    if attrs.rounding == "single":
        return table_constants(length, attrs)
    if attrs.rounding == "float":
        return float_constants(attrs)
    return gemmlowp_constants(length, attrs.beta, attrs.x_scale)


def reference(x: npt.NDArray[Any], attrs: SoftmaxAttrs) -> npt.NDArray[Any]:
    """exp(beta * x_scale * x) / its sum over the last axis, as y_dtype; x int8, uint8 or, as y,
    int16."""
    check_activation("softmax", "x", x)
    check_alike("softmax", x.dtype.name, attrs.y_dtype)
    shape = output_shape(x.shape, attrs)
    rows = x.reshape(-1, shape[-1]).astype(np.int64)
    below_maximum = rows.max(axis=1, keepdims=True) - rows
    known = constants(shape[-1], attrs)
    if isinstance(known, Int16Softmax):
        y = int16_softmax(rows, known)
    elif isinstance(known, TableSoftmax):
        y = _table_softmax(below_maximum, known)
    elif isinstance(known, FloatSoftmax):
        y = _float_softmax(below_maximum, known)
    else:
        y = gemmlowp_softmax(below_maximum, known)
    y_typed = to_output(y, attrs.y_zero_point, attrs.y_min, attrs.y_max, attrs.y_dtype)
    return np.asarray(y_typed.reshape(shape))


def _table_softmax(below_maximum: Int64Array, known: TableSoftmax) -> Int64Array:
    exponentials = known.table.astype(np.int64)[below_maximum]
    total = exponentials.sum(axis=1, keepdims=True)
    denominator = (total * known.total_multiplier) >> 32
    return np.asarray((exponentials + (denominator >> 1)) // denominator, dtype=np.int64)


def _float_softmax(below_maximum: Int64Array, known: FloatSoftmax) -> Int64Array:
    exponentials = known.table[below_maximum]
    # cumsum adds in the row's order, one float32 addition at a time; sum does not.
    total = np.cumsum(exponentials, axis=1, dtype=np.float32)[:, -1:]
    probability = exponentials * (np.float32(1) / (total * known.y_scale))
    whole = np.floor(probability)
    return (whole + (probability - whole >= np.float32(0.5))).astype(np.int64)


@dataclass(frozen=True, eq=False)
class TableSoftmax:
    """`single`, in unsigned 32-bit integers but for one 64-bit product per row.

    table[i] = round(exp(-beta * x_scale * i) * 2**fraction_bits), the fraction bits chosen so that
    a row's sum stays below 2**31. Per row: denominator = (sum * total_multiplier) >> 32. Per
    element: y = y_zero_point + (table[max - x] + (denominator >> 1)) / denominator.
    """

    table: npt.NDArray[np.uint32]
    total_multiplier: int


@dataclass(frozen=True, eq=False)
class FloatSoftmax:
    """`float`, all float32: table[i] = exp(-beta * x_scale * i), 256 entries.

    Per row: total = the sum of table[max - x] in the row's order, then
    factor = 1 / (total * y_scale). Per element: y = y_zero_point + table[max - x] * factor, rounded
    half away from zero.
    """

    table: Float32Array
    y_scale: np.float32


SoftmaxConstants = TableSoftmax | FloatSoftmax | GemmlowpSoftmax | Int16Softmax


@dataclass(frozen=True)
class SoftmaxAttrs:
    """beta multiplies the real input; axis is the last one; [y_min, y_max] clamps the output.

    y_scale is in [2**-10, 1); with `double` it is 1/256 and y_zero_point the dtype's lowest. Of
    int16 it is 2**-15.
    """

    beta: float
    x_scale: float
    x_zero_point: int
    y_scale: float
    y_zero_point: int
    y_min: int
    y_max: int
    rounding: str = "single"
    y_dtype: str = "int8"
    axis: int = -1

    def __post_init__(self) -> None:
        op = "softmax"
        check_scale(op, "beta", self.beta)
        check_scale(op, "x_scale", self.x_scale)
        check_zero_point(op, "x_zero_point", self.x_zero_point)
        check_output(op, self.rounding, self.y_dtype, self.y_zero_point, self.y_min, self.y_max)
        if self.y_dtype == "int16":
            if self.y_scale != Y_SCALE:
                raise ValueError(f"softmax: y_scale {self.y_scale} of int16 must be 2**-15")
            return
        if not _SMALLEST_Y_SCALE <= self.y_scale < 1:
            raise ValueError(f"softmax: y_scale {self.y_scale} must be in [2**-10, 1)")
        lowest, _ = dtype_range(self.y_dtype)
        if self.rounding == "double" and (self.y_scale, self.y_zero_point) != (1 / 256, lowest):
            raise ValueError(
                f"softmax: y_scale {self.y_scale} and y_zero_point {self.y_zero_point} have no"
                f" double rounding; 1/256 and {lowest} have, or another rounding"
            )
