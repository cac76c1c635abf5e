"""`vq.resize2d`: another number of rows and columns, from the nearest pixel or between four.

Output index i of an axis lies at a real position of the input (`coordinates`); scale is the input's
length over the output's, of ends instead of lengths with `align_corners`, in float32:

`asymmetric`            i * scale
`half_pixel`            (i + 1/2) * scale - 1/2
`pytorch_half_pixel`    the same; 0 where the output has length 1
`tf_half_pixel_for_nn`  (i + 1/2) * scale
`align_corners`         i * scale, so that the ends of both coincide

`linear` weighs the neighbours, integers throughout:

`single`, `float`  XNNPACK's: weights of 11 bits, one rounding shift, halves up
`double`           TensorFlow Lite Micro's: positions and weights of 10 bits, halves away from zero
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .quantization import check_activation
from .rounding import Int64Array, check_rounding

COORDINATES = (
    "align_corners",
    "asymmetric",
    "half_pixel",
    "pytorch_half_pixel",
    "tf_half_pixel_for_nn",
)
_HALF = np.float32(0.5)
_NEAREST: dict[str, Callable[[Any], Any]] = {
    "ceil": np.ceil,
    "floor": np.floor,
    "round_prefer_ceil": lambda x: np.floor(x + _HALF),
    "round_prefer_floor": lambda x: np.ceil(x - _HALF),
}
_DOUBLE_BITS, _BITS = 10, 11


def output_shape(x_shape: tuple[int, ...], attrs: Resize2dAttrs) -> tuple[int, int, int, int]:
    """(N, OH, OW, C) for x (N, H, W, C)."""
    n, _, _, c = x_shape
    rows, columns = attrs.size
    return n, rows, columns, c


def nearest_indices(given: int, wanted: int, attrs: Resize2dAttrs) -> Int64Array:
    """The input index, (wanted,), of each output index along an axis of `given` elements."""
    positions = _NEAREST[attrs.nearest](_positions(given, wanted, attrs.coordinates))
    return np.asarray(np.clip(positions, 0, given - 1), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Along an axis: output i is between inputs low[i] and high[i], the latter with
    weight[i] / 2**bits; all of shape (wanted,). A weight beyond [0, 2**bits] is of a neighbour that
    is the other one too."""

    low: Int64Array
    high: Int64Array
    weight: Int64Array
    bits: int


def neighbours(given: int, wanted: int, attrs: Resize2dAttrs) -> Neighbours:
    """Of an axis of `given` elements that becomes one of `wanted`."""
    if check_rounding(attrs.rounding) == "double":
        return _integer_neighbours(given, wanted, attrs.coordinates)
    positions = np.clip(_positions(given, wanted, attrs.coordinates), 0, given - 1)
    low = positions.astype(np.int64)
    weight = np.rint((positions - low.astype(np.float32)) * np.float32(1 << _BITS))
    return Neighbours(low, np.minimum(low + 1, given - 1), weight.astype(np.int64), _BITS)


def reference(x: npt.NDArray[Any], attrs: Resize2dAttrs) -> npt.NDArray[Any]:
    """The resized tensor, (N, OH, OW, C) of x's dtype, for x (N, H, W, C) of any dtype; `linear`
    asks for int8 or uint8."""
    _, height, width, _ = x.shape
    (rows, columns), dtype = attrs.size, x.dtype
    if attrs.method == "nearest":
        from_row = nearest_indices(height, rows, attrs)
        from_column = nearest_indices(width, columns, attrs)
        return np.asarray(x[:, from_row][:, :, from_column])
    check_activation("resize2d", "x", x, rank=4)
    down, right = neighbours(height, rows, attrs), neighbours(width, columns, attrs)
    across = _between(x.astype(np.int64), right, axis=2)
    total = _between(across, down, axis=1)
    bits = down.bits + right.bits
    half = 1 << (bits - 1)
    if attrs.rounding == "double":
        total = total - (total < 0)
    return np.asarray((total + half) >> bits, dtype=dtype)


def _between(x: Int64Array, along: Neighbours, axis: int) -> Int64Array:
    """The weighted sums, scaled by 2**bits, along an axis."""
    weight = along.weight.reshape(-1, *[1] * (x.ndim - 1 - axis))
    low, high = x.take(along.low, axis), x.take(along.high, axis)
    return np.asarray(low * ((1 << along.bits) - weight) + high * weight, dtype=np.int64)


def _positions(given: int, wanted: int, coordinates: str) -> npt.NDArray[np.float32]:
    index = np.arange(wanted).astype(np.float32)
    if coordinates == "align_corners" and wanted > 1:
        return np.asarray(index * (np.float32(given - 1) / np.float32(wanted - 1)))
    scale = np.float32(given) / np.float32(wanted)
    if coordinates == "tf_half_pixel_for_nn":
        return np.asarray((index + _HALF) * scale)
    if coordinates == "half_pixel" or (coordinates == "pytorch_half_pixel" and wanted > 1):
        return np.asarray(index * scale + (_HALF * scale - _HALF))
    return np.asarray(index * scale) if coordinates == "asymmetric" else np.zeros_like(index)


def _integer_neighbours(given: int, wanted: int, coordinates: str) -> Neighbours:
    one, index = 1 << _DOUBLE_BITS, np.arange(wanted, dtype=np.int64)
    ends = 1 if coordinates == "align_corners" and wanted > 1 else 0
    scale = (one * (given - ends) + (wanted - ends) // 2) // (wanted - ends)
    halves = coordinates == "half_pixel" or (coordinates == "pytorch_half_pixel" and wanted > 1)
    positions = index * scale + (scale // 2 - one // 2 if halves else 0)
    low = np.clip(positions >> _DOUBLE_BITS, 0, given - 1)
    high = np.clip((positions + one - 1) >> _DOUBLE_BITS, 0, given - 1)
    return Neighbours(low, high, positions - low * one, _DOUBLE_BITS)


@dataclass(frozen=True)
class Resize2dAttrs:
    """size is (rows, columns); method `nearest` or `linear`; `nearest` says how a position becomes
    the index of the nearest pixel: floor, ceil, round_prefer_floor or round_prefer_ceil. Input and
    output share scale and zero point. Raises ValueError on other values."""

    size: tuple[int, int]
    method: str
    coordinates: str
    nearest: str = "floor"
    rounding: str = "single"

    def __post_init__(self) -> None:
        check_rounding(self.rounding)
        if min(self.size) < 1:
            raise ValueError(f"resize2d: size {self.size} must be at least 1")
        for name, value, known in (
            ("method", self.method, ("linear", "nearest")),
            ("coordinates", self.coordinates, COORDINATES),
            ("nearest", self.nearest, tuple(_NEAREST)),
        ):
            if value not in known:
                raise ValueError(f"resize2d: {name} {value!r}; {', '.join(known)} work")
