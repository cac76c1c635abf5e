"""How a layer's sums become outputs in micro-kernels: the constants and what templates must know.

`single` is a line (see `kernels.line`): one multiplier a channel, one addend and shift a layer.
`lines` is one of them for each channel, where channels' scales lie too far apart for that.
`double` keeps gemmlowp's two roundings, for sum A:

    t = SMMULR(2 A, multiplier);  y = (t + (t >> 31) + addend) >> right_shift

where the addend is 2^(right_shift - 1) + (zero_point << right_shift): halves go away from zero.
`float` converts, multiplies and rounds to even in the FPU (VCVTR); then adds the zero point.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...op.rounding import Int64Array, RequantizeConstants
from ..line import fit_line, saturation
from ..micro_kernel import Parameter

_LEAST_BITS = (8, 4)
"""That sums are scaled by where a layer's scale is too large for them as they are: the first that
leaves them room."""
_LARGEST_RIGHT_SHIFT = 22
"""A zero point of 8 bits still fits the addend."""


@dataclass(frozen=True, eq=False)
class Finish:
    """`constants`: (C, n) int32, the stream's end of each channel; `layer`: one int32 for all;
    `parameters` of the templates."""

    constants: NDArray[np.int32]
    layer: int
    parameters: dict[str, Parameter]


def finish(
    constants: RequantizeConstants,
    zero_point: int,
    y_min: int,
    y_max: int,
    y_dtype: str,
    bounds: tuple[Int64Array, Int64Array],
    scalable: bool = False,
    raised: int = 0,
) -> Finish | None:
    """The finish of a layer whose sums lie in `bounds`, two (C,); None if no routine has it.

    `scalable`: the template knows `least`, the bits that sums are at least scaled by. `raised`: the
    routine's sums are 2^raised times these, which only `single` can be for."""
    clamps = saturation(y_dtype, y_min, y_max)
    largest = max(-int(bounds[0].min()), int(bounds[1].max()))
    if y_dtype == "int16" and constants.rounding == "float":
        return None
    if y_dtype == "int16" and constants.rounding == "single":
        return _exact_lines(constants, clamps, len(bounds[0])) if largest < 1 << 31 else None
    if largest >= 1 << min(30, 31 - raised):
        return None
    if constants.rounding == "single":
        line = fit_line(constants, zero_point, y_min, y_max, *bounds, bits=raised)
        for bits in _LEAST_BITS if scalable else ():
            if line is None and largest < 1 << (31 - bits):
                line = fit_line(constants, zero_point, y_min, y_max, *bounds, bits=bits)
        if line is None:
            return _lines(constants, (zero_point, y_min, y_max), clamps, bounds, raised)
        parameters = {"rounding": "single", "shift": line.shift, **clamps}
        if line.bits > raised:
            parameters["least"] = line.bits
        return Finish(line.multiplier[:, np.newaxis], line.addend, parameters)
    channels = bounds[0].shape
    if raised:
        return None
    parameters = {"rounding": constants.rounding, "shift": None, **clamps}
    if constants.rounding == "float":
        scale = np.broadcast_to(constants.scale.reshape(-1), channels)
        if float(scale.max()) >= 1.0:
            return None
        return Finish(scale.copy().view(np.int32)[:, np.newaxis], zero_point, parameters)
    right = np.broadcast_to(-constants.shift.reshape(-1), channels)
    if right.min() < 1 or right.max() > _LARGEST_RIGHT_SHIFT:
        return None
    addend = (1 << (right - 1)) + (zero_point << right)
    multiplier = np.broadcast_to(constants.multiplier.reshape(-1), channels)
    words = np.stack([multiplier, addend, right], axis=1).astype(np.int32)
    return Finish(words, 0, parameters)


def _lines(
    constants: RequantizeConstants,
    clamp: tuple[int, int, int],
    clamps: dict[str, Parameter],
    bounds: tuple[Int64Array, Int64Array],
    raised: int,
) -> Finish | None:
    """A line for each channel, of sums as they are."""
    if raised:
        return None
    words = []
    for channel in range(len(bounds[0])):
        own = slice(channel, channel + 1)
        line = fit_line(_of_channel(constants, channel), *clamp, bounds[0][own], bounds[1][own])
        if line is None:
            return None
        words.append([int(line.multiplier[0]), line.addend, line.shift])
    parameters: dict[str, Parameter] = {"rounding": "lines", "shift": None, **clamps}
    return Finish(np.array(words, np.int32), 0, parameters)


def _exact_lines(
    constants: RequantizeConstants, clamps: dict[str, Parameter], channels: int
) -> Finish | None:
    """A line for each channel that is the rounding itself: where the rounding's half lies in the
    product's upper word. Outputs of 16 bits have too many steps for another."""
    shift = np.broadcast_to(constants.shift.reshape(-1), (channels,)).astype(np.int64) - 32
    if shift.min() < 1 or shift.max() > 30:
        return None
    multiplier = np.broadcast_to(constants.multiplier.reshape(-1), (channels,))
    words = np.stack([multiplier, 1 << (shift - 1), shift], axis=1).astype(np.int32)
    return Finish(words, 0, {"rounding": "lines", "shift": None, **clamps})


def _of_channel(constants: RequantizeConstants, channel: int) -> RequantizeConstants:
    """Those of one channel."""
    return replace(
        constants,
        multiplier=_own(constants.multiplier, channel),
        shift=_own(constants.shift, channel),
        scale=_own(constants.scale, channel),
    )


def _own(values: NDArray[Any], channel: int) -> NDArray[Any]:
    return values.reshape(-1)[channel : channel + 1] if values.size > 1 else values
