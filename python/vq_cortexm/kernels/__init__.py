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
from .conv2d_transpose import conv2d_transpose
from .dense import dense
from .depthwise_conv2d import depthwise_conv2d
from .escalate import escalate
from .extremum import extremum
from .float_call import float_call
from .layer import Kernel, Layer
from .lookup import lookup
from .max_pool2d import max_pool2d
from .mul import mul
from .pad import pad
from .prelu import prelu
from .quantize_layer import dequantize, quantize
from .requantize_layer import requantize
from .resize2d import resize2d
from .s_curve import s_curve
from .sign_conv2d import sign_conv2d
from .slice import slice_
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
    "vq.conv2d_transpose": conv2d_transpose,
    "vq.dense": dense,
    "vq.depthwise_conv2d": depthwise_conv2d,
    "vq.dequantize": dequantize,
    "vq.escalate": escalate,
    "vq.extremum": extremum,
    "vq.float_call": float_call,
    "vq.lookup": lookup,
    "vq.max_pool2d": max_pool2d,
    "vq.mul": mul,
    "vq.pad": pad,
    "vq.prelu": prelu,
    "vq.quantize": quantize,
    "vq.requantize": requantize,
    "vq.resize2d": resize2d,
    "vq.s_curve": s_curve,
    "vq.sign_conv2d": sign_conv2d,
    "vq.slice": slice_,
    "vq.softmax": softmax,
    "vq.transpose": transpose,
}
"""Operator → its kernel; `vq.reshape` has none: it moves no bytes. Nor does a `vq.concat` whose
inputs are made next to each other."""


def realise(layer: Layer, core: Core) -> Kernel:
    """The fastest kernel that `core` runs."""
    kernel = None
    if any(tensor.dtype == "int16" for tensor in (*layer.inputs, layer.output)):
        if core.isa == "dsp" and layer.op in dsp.INT16_REALISATIONS:
            kernel = dsp.INT16_REALISATIONS[layer.op](layer)
    elif core.isa == "dsp" and layer.op in dsp.REALISATIONS:
        kernel = dsp.REALISATIONS[layer.op](layer)
    elif core.isa in ("thumb2", "thumb") and layer.op in mla.REALISATIONS:
        kernel = mla.REALISATIONS[layer.op](layer, core.isa)
    return kernel or KERNELS[layer.op](layer)
