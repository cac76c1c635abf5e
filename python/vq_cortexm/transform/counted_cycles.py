"""Cycles of a layer that nobody measured: its products, and the words of weights that it decodes.

About as many as a Cortex-M4 takes: whoever chooses for a network (`choose_together`) adds them to
those that were measured.
"""

from __future__ import annotations

import math

from ..compat import Expr, shape_of
from ..kernels.layer import Kernel
from ..op.registry import count_macs

_PRODUCT_CYCLES = {
    "fours": 1.075,
    "twos": 0.97,
    "dense": 1.3,
    "dense_nested": 1.4,
    "binary_vertical": 0.26,
    "binary_horizontal": 0.26,
}
"""Modelled: of a product, by the weights of `conv_rows` or by routine; and of all others: """
_OTHER_CYCLES = 1.03
_PORTABLE_CYCLES = 4.0
"""Without routines."""
_PASS_CYCLES = {"decode_fields": 5.0, "decode_radix": 12.0, "decode_table": 15.0}
_WIDE_CYCLES, _WORD_CYCLES = 9.0, 6.0
"""Modelled: of a word of four weights, by what decodes it; more with fractions of 64 bits; and of
what is around decoding."""


def counted_cycles(kernel: Kernel, call: Expr) -> float:
    """Of one inference of a `vq.*` call with this kernel; 0 of a layer without products."""
    names = {str(micro.parameters.get("weights", micro.family)) for micro in kernel.micro}
    known = [_PRODUCT_CYCLES[name] for name in names if name in _PRODUCT_CYCLES]
    per_product = max(known, default=_OTHER_CYCLES if names else _PORTABLE_CYCLES)
    if any(micro.family == "conv_rows" for micro in kernel.micro):
        # a lone last pixel is computed beside nothing
        pixels = math.prod(shape_of(call)[:-1])
        per_product *= (pixels + pixels % 2) / pixels
    return count_macs(call) * per_product + kernel.weights.decoded_words * _decoding_cycles(kernel)


def _decoding_cycles(kernel: Kernel) -> float:
    """Of a word."""
    passes = [micro for micro in kernel.micro if micro.family in _PASS_CYCLES]
    wide = sum(_WIDE_CYCLES for micro in passes if micro.parameters.get("bits") == 64)
    return sum((_PASS_CYCLES[micro.family] for micro in passes), _WORD_CYCLES) + wide
