"""The 256 results of a real function of one quantized value, for `vq.lookup`.

`single`  the function in float64 of the input in float32, over y_scale, halves to even.
`double`  TensorFlow Lite: its integer arithmetic where it has one (`tables_tflite`), else the
          function in float32, over y_scale, halves away from zero.
`float`   LiteRT: XNNPACK's tables of sigmoid, tanh, ELU and squares, in float32 with halves to even
          after the zero point is added; its leaky ReLU; TensorFlow Lite's own for what else LiteRT
          has. Any other function as ONNX Runtime quantizes: in float32, halves to even.

A function is known by its values: however a file writes hard-swish, it gets hard-swish's table.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy import special

from .quantization import dtype_range, to_output
from .requantize import RequantizeAttrs
from .tables_tflite import absolute, hard_swish, leaky_relu, leaky_relu_xnnpack

RealFunction = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
"""Elementwise, in the float type of its argument."""

_CLOSE = 1e-6
"""Relative; expansions with float32 constants differ from the function by less."""


def gelu_tanh(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """GELU by tanh, in x's float type."""
    half, inner = x.dtype.type(0.5), x.dtype.type(np.sqrt(2 / np.pi))
    return np.asarray(half * x * (1 + np.tanh(inner * (x + x.dtype.type(0.044715) * x**3))))


NAMED: dict[str, RealFunction] = {
    "sigmoid": special.expit,
    "tanh": np.tanh,
    "elu": lambda x: np.where(x < 0, np.expm1(x), x),
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "gelu": lambda x: x * special.ndtr(x),
    "gelu_tanh": gelu_tanh,
    "abs": np.abs,
    "hard_swish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "square": np.square,
}
"""Those with a meaning of their own in TensorFlow Lite; leaky ReLU besides, by its slope."""

_PROBES = np.arange(-128, 129) / 16
"""A tensor's own values may all have one sign, and many functions be the same there."""

_XNNPACK_TABLES = ("sigmoid", "tanh", "elu", "square")
_TFLITE_TABLES = ("exp", "log", "gelu", "gelu_tanh")


@dataclass(frozen=True)
class TableAttrs(RequantizeAttrs):
    """From x's quantization to y's; [y_min, y_max] is the clamp in y's integers."""

    OP: ClassVar[str] = "lookup"

    x_dtype: str = "int8"


def table(function: RealFunction, attrs: TableAttrs) -> npt.NDArray[Any]:
    """(256,) of y_dtype, in the order of x's values from its type's lowest.

    Where the function is not a number, the entry is y_min.
    """
    lowest, highest = dtype_range(attrs.x_dtype)
    centred = np.arange(lowest, highest + 1) - attrs.x_zero_point
    with np.errstate(all="ignore"):
        scaled = _scaled(function, centred, attrs)
    bounded = np.clip(np.nan_to_num(scaled, nan=-1e6, posinf=1e6, neginf=-1e6), -1e6, 1e6)
    return to_output(
        bounded.astype(np.int64), attrs.y_zero_point, attrs.y_min, attrs.y_max, attrs.y_dtype
    )


def name_of(function: RealFunction, x: npt.NDArray[Any]) -> tuple[str, float]:
    """The name of the function that this is at x and wherever functions differ, and a leaky ReLU's
    slope (else 0); ("", 0.0) where there is none."""
    x = np.concatenate([_PROBES, x])
    with np.errstate(all="ignore"):
        got = function(x)
        slope = -float(function(np.array([-1.0]))[0])
        for name, candidate in NAMED.items():
            if np.allclose(got, candidate(x), _CLOSE, 1e-9, equal_nan=True):
                return name, 0.0
        if math.isfinite(slope) and np.allclose(got, np.where(x < 0, x * slope, x), _CLOSE, 1e-9):
            return "leaky_relu", slope
    return "", 0.0


def _scaled(
    function: RealFunction, centred: npt.NDArray[np.int64], attrs: TableAttrs
) -> npt.NDArray[Any]:
    """The results in steps of y_scale, whole numbers or not finite, without the zero point."""
    scales = np.float32(attrs.x_scale), np.float32(attrs.y_scale)
    x = centred.astype(np.float32) * scales[0]
    wide = x.astype(np.float64)
    if attrs.rounding == "single":
        return np.asarray(np.rint(function(wide) / float(scales[1])))
    name, slope = name_of(function, wide)
    exact = _integer_arithmetic(name, slope, attrs.rounding, centred, scales)
    if exact is not None:
        return exact
    # a known function is asked itself, or the rounding of its expansion's steps would show
    known = NAMED.get(name, function)
    steps = known(x).astype(np.float32) / scales[1]
    if name == "sqrt":  # LiteRT's alone: it cuts off
        return np.asarray(np.trunc(steps))
    if attrs.rounding == "double" or name in _TFLITE_TABLES:
        return np.asarray(np.trunc(steps + np.copysign(np.float32(0.5), steps)))
    if name in _XNNPACK_TABLES:
        zero_point = np.float32(attrs.y_zero_point)
        return np.asarray(np.rint(steps + zero_point) - zero_point)
    return np.asarray(np.rint(steps))


def _integer_arithmetic(
    name: str,
    slope: float,
    rounding: str,
    centred: npt.NDArray[np.int64],
    scales: tuple[np.float32, np.float32],
) -> npt.NDArray[np.int64] | None:
    if name == "hard_swish":
        return hard_swish(centred, *scales)
    if name == "abs":
        return absolute(centred, *scales)
    if name == "leaky_relu":
        xnnpack = leaky_relu_xnnpack(centred, *scales, slope) if rounding == "float" else None
        return leaky_relu(centred, *scales, slope) if xnnpack is None else xnnpack
    return None
