"""What all operators share: checks of quantization attributes, and the last step to the output."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .rounding import REDUCED, Int64Array, check_rounding

ACTIVATION_DTYPES = ("int8", "uint8", "int16")
_KNOWN = "int8, uint8 or int16"


def check_scale(op: str, name: str, scale: float) -> None:
    """Raises ValueError unless the scale is a positive, finite float32 number."""
    if not (math.isfinite(scale) and np.float32(scale) > 0 and np.isfinite(np.float32(scale))):
        raise ValueError(f"{op}: {name} {scale} must be positive, finite and within float32")


def check_zero_point(op: str, name: str, zero_point: int) -> None:
    """Raises ValueError unless the zero point fits some 8-bit type."""
    if not -128 <= zero_point <= 255:
        raise ValueError(f"{op}: {name} {zero_point} must be in [-128, 255]")


def check_output(
    op: str, rounding: str, y_dtype: str, y_zero_point: int, y_min: int, y_max: int
) -> None:
    """Raises ValueError unless zero point and clamp lie in y_dtype's range, in order."""
    if rounding != REDUCED:
        check_rounding(rounding)
    if y_dtype not in ACTIVATION_DTYPES:
        raise ValueError(f"{op}: y_dtype {y_dtype!r} must be {_KNOWN}")
    if y_dtype == "int16" and y_zero_point != 0:
        raise ValueError(f"{op}: y_zero_point {y_zero_point} of int16 must be 0")
    lowest, highest = dtype_range(y_dtype)
    if not lowest <= y_zero_point <= highest:
        raise ValueError(f"{op}: y_zero_point {y_zero_point} must be in [{lowest}, {highest}]")
    if not lowest <= y_min <= y_max <= highest:
        raise ValueError(
            f"{op}: clamp [{y_min}, {y_max}] must be ordered and within [{lowest}, {highest}]"
        )


def check_requantizing(op: str, attrs: Any) -> None:
    """Raises ValueError unless the attributes of an operator from x's quantization to y's, named as
    RequantizeAttrs has them, are within their ranges."""
    check_scale(op, "x_scale", attrs.x_scale)
    check_scale(op, "y_scale", attrs.y_scale)
    check_zero_point(op, "x_zero_point", attrs.x_zero_point)
    check_output(op, attrs.rounding, attrs.y_dtype, attrs.y_zero_point, attrs.y_min, attrs.y_max)


def check_activation(op: str, name: str, x: npt.NDArray[Any], rank: int | None = None) -> None:
    """Raises ValueError unless x is int8, uint8 or int16, of the wanted rank where one is given."""
    if x.dtype.name not in ACTIVATION_DTYPES:
        raise ValueError(f"{op}: {name} is {x.dtype.name}, must be {_KNOWN}")
    if rank is not None and x.ndim != rank:
        raise ValueError(f"{op}: {name} of shape {x.shape} must have {rank} dimensions")


def check_alike(op: str, *dtypes: str) -> None:
    """Raises ValueError where only some of an operator's tensors are int16."""
    if "int16" in dtypes and set(dtypes) != {"int16"}:
        raise ValueError(f"{op}: {', '.join(dtypes)} tensors do not mix; requantize them to int16")


def dtype_range(dtype: str) -> tuple[int, int]:
    """Smallest and largest value of an integer dtype."""
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def quantize_bound(
    bound: float, y_scale: float, y_zero_point: int, y_dtype: str, rounding: str
) -> int:
    """The integer that a fused activation's real bound becomes, within y_dtype's range.

    bound may be infinite. `float` rounds bound / y_scale + y_zero_point to even in float32, as
    XNNPACK does; the others round bound / y_scale half away from zero, as TensorFlow Lite does.
    """
    lowest, highest = dtype_range(y_dtype)
    ratio = np.float32(bound) / np.float32(y_scale)
    if check_rounding(rounding) == "float":
        quantized = np.rint(ratio + np.float32(y_zero_point))
    else:
        quantized = np.trunc(ratio + np.copysign(np.float32(0.5), ratio)) + y_zero_point
    return int(np.clip(quantized, lowest, highest))


def to_output(
    scaled: Int64Array, y_zero_point: int, y_min: int, y_max: int, y_dtype: str
) -> npt.NDArray[Any]:
    """`clamp(scaled + y_zero_point, y_min, y_max)` as an array of y_dtype."""
    return np.asarray(np.clip(scaled + y_zero_point, y_min, y_max), dtype=y_dtype)


def is_wide(x: npt.NDArray[Any]) -> bool:
    """Whether sums of products of x may need more than 32 bits: those of int16."""
    return x.dtype == np.int16


def channel_parameters(
    op: str, channels: int, b: npt.NDArray[Any] | None, w_scale: npt.NDArray[np.float32]
) -> tuple[Int64Array, npt.NDArray[np.float32]]:
    """Bias as int64 (zeros if absent) and scales as float32, both of shape (channels,)."""
    bias = np.zeros(channels, np.int64) if b is None else np.asarray(b, dtype=np.int64)
    scales = np.asarray(w_scale, dtype=np.float32)
    if bias.shape != (channels,) or scales.shape != (channels,):
        raise ValueError(
            f"{op}: bias {bias.shape} and w_scale {scales.shape} must have shape ({channels},)"
        )
    return bias, scales
