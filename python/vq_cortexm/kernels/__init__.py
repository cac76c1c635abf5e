"""Per operator family: the PrimFunc of a layer and the constants it is called with.

`KERNELS` are semantic: plain loops that run on any core. `dsp` and `mla` have the realisations that
call generated micro-kernels; `realise` takes one where it covers the layer.
"""

from __future__ import annotations

from collections.abc import Callable

from ..target import Core
from . import dsp, mla
from .add import add
from .avg_pool2d import avg_pool2d
from .binary_conv2d import binary_conv2d
from .binary_max_pool2d import binary_max_pool2d
from .binary_pack import binary_pack, binary_unpack
from .concat import concat
from .conv2d import conv2d
from .dense import dense
from .depthwise_conv2d import depthwise_conv2d
from .escalate import escalate
from .layer import Kernel, Layer
from .max_pool2d import max_pool2d
from .pad import pad
from .requantize_layer import requantize
from .sign_conv2d import sign_conv2d
from .softmax import softmax
from .transpose import transpose

KERNELS: dict[str, Callable[[Layer], Kernel]] = {
    "vq.add": add,
    "vq.avg_pool2d": avg_pool2d,
    "vq.binary_conv2d": binary_conv2d,
    "vq.binary_max_pool2d": binary_max_pool2d,
    "vq.binary_pack": binary_pack,
    "vq.binary_unpack": binary_unpack,
    "vq.concat": concat,
    "vq.conv2d": conv2d,
    "vq.dense": dense,
    "vq.depthwise_conv2d": depthwise_conv2d,
    "vq.escalate": escalate,
    "vq.max_pool2d": max_pool2d,
    "vq.pad": pad,
    "vq.requantize": requantize,
    "vq.sign_conv2d": sign_conv2d,
    "vq.softmax": softmax,
    "vq.transpose": transpose,
}
"""Operator → its kernel; `vq.reshape` has none: it moves no bytes. Nor does a `vq.concat` whose
inputs are made next to each other."""


def realise(layer: Layer, core: Core) -> Kernel:
    """The fastest kernel that `core` runs."""
    kernel = None
    if core.isa == "dsp" and layer.op in dsp.REALISATIONS:
        kernel = dsp.REALISATIONS[layer.op](layer)
    elif core.isa in ("thumb2", "thumb") and layer.op in mla.REALISATIONS:
        kernel = mla.REALISATIONS[layer.op](layer, core.isa)
    return kernel or KERNELS[layer.op](layer)
