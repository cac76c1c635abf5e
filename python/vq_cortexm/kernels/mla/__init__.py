"""Realisations for cores without the DSP extension, in Thumb-2 (Cortex-M3) or Thumb (Cortex-M0):
thin skeletons around generated micro-kernels that make several sums by fewer multiplications.

Each returns None for a layer that it does not cover.
"""

from __future__ import annotations

from collections.abc import Callable

from ...target import Isa
from ..layer import Kernel, Layer
from ..lookup import word_lookup
from .conv2d import conv2d
from .dense import dense
from .depthwise_conv2d import depthwise_conv2d


def _lookup(layer: Layer, isa: Isa) -> Kernel | None:
    return word_lookup(layer, isa) if isa == "thumb2" else None


REALISATIONS: dict[str, Callable[[Layer, Isa], Kernel | None]] = {
    "vq.conv2d": conv2d,
    "vq.dense": dense,
    "vq.depthwise_conv2d": depthwise_conv2d,
    "vq.lookup": _lookup,
}
"""Operator → its realisation."""
