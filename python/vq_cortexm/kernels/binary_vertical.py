"""Binary convolutions by vertical counters: a word holds one bit of the counts of 32 outputs.

Each bit of the window is broadcast over a word, and meets a word of weights, one of each output.
Carries of two full adders that follow each other are kept as (b, a ^ b), which is how weights and
window are stored too: two adders then take eight operations instead of ten.

    window, of a word's inputs    x31, x30 ^ x31, x29, x28 ^ x29, …    from bit 31 down
    weights, of 32 outputs        w31, w30 ^ w31, w29, w28 ^ w29, …    a word each

The loop over the window keeps five bits of the counts; its carries of 32 lie between the window's
words, and are added up at the end. Thresholds cost nothing: counts start at
2^bits - (matches that are needed), and what reaches 2^bits is the output, already packed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..op.bits import WORD, pack
from ..op.rounding import Int64Array
from .binary_window import Geometry
from .line import Line, saturation
from .micro_kernel import MicroKernel, Parameter

IN_LOOP = 5
"""Bits of a count that the loop over the window keeps."""
_STRAIGHT = 2
"""Words of a window up to which the carries' sum is straight code."""
_MOST_RAISED = 13
"""Bits that a line may raise sums by."""


def levels(geometry: Geometry) -> int:
    """Bits of a count above those of the loop."""
    return geometry.window_words.bit_length()


def weights(geometry: Geometry) -> NDArray[np.int32]:
    """(words(O) * words of the window * 32,)"""
    matches = geometry.matches()
    if not geometry.attrs.to_signs:
        matches = _for_unslice(matches)
    sliced = pack(matches.transpose(1, 2, 0)[:, ::-1])
    sliced[:, 1::2] ^= sliced[:, ::2]
    return np.ascontiguousarray(sliced.transpose(2, 0, 1)).reshape(-1)


def _for_unslice(matches: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Outputs in the order of which `unslice` makes their own."""
    whole = np.pad(matches, ((0, -len(matches) % WORD), (0, 0), (0, 0)))
    words = whole.reshape(-1, 8, 4, *matches.shape[1:])
    return words.swapaxes(1, 2).reshape(whole.shape)


def starts(
    geometry: Geometry, threshold: NDArray[np.int32], added: Int64Array
) -> NDArray[np.int32]:
    """(rows, columns, words(O), bits + 1): the counts' first values by class, for the outputs'
    thresholds (O,); `added`: see `sums_less_counts`."""
    bits = IN_LOOP + levels(geometry)
    needed = np.clip(-((added - threshold) // 2), 0, geometry.inputs + 1)
    start = (1 << bits) - needed
    planes = start[..., np.newaxis, :] >> np.arange(bits + 1)[:, np.newaxis]
    return np.ascontiguousarray(np.moveaxis(pack(planes & 1), -1, -2))


def to_signs(geometry: Geometry) -> MicroKernel:
    """(y, window, weights, starts, words of the window, words of outputs, levels)"""
    straight = geometry.window_words if geometry.window_words <= _STRAIGHT else None
    return MicroKernel("binary_vertical", {"ending": "signs", "straight": straight}, "thumb2")


def to_counts() -> MicroKernel:
    """(planes, window, weights, words of the window, words of outputs, levels)"""
    return MicroKernel("binary_vertical", {"ending": "counts", "straight": None}, "thumb2")


def unslice(geometry: Geometry) -> MicroKernel:
    """(bytes, planes, words of outputs): counts of 32 outputs, the low bytes of each four, then the
    high ones if there are. Bit 8 i + j of a plane is byte i of fours j."""
    return MicroKernel("binary_unslice", {"bits": IN_LOOP + levels(geometry)}, "thumb2")


def takes_line(geometry: Geometry, line: Line) -> bool:
    """Whether `to_bytes` has a line: its factors are halfwords."""
    return line.bits <= _MOST_RAISED and geometry.inputs < 1 << 15


def to_bytes(geometry: Geometry, line: Line) -> MicroKernel:
    """(y, bytes of counts, multipliers, what is added to 2^(bits + 1) counts, addend, eights): the
    outputs of a pixel by a line that `takes_line`; `bits` are its own."""
    attrs, outputs = geometry.attrs, geometry.outputs
    parameters: dict[str, Parameter] = {
        "wide": IN_LOOP + levels(geometry) > 8,
        "eights": outputs >= 8,
        "rest": outputs % 8,
        "factor": 2 << line.bits,
        "shift": line.shift,
        **saturation(attrs.y_dtype, attrs.y_min, attrs.y_max),
    }
    return MicroKernel("binary_bytes", parameters)
