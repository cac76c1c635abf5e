"""FuseSigns: a convolution of which only signs are packed makes the packed signs itself.

    vq.conv2d ─► vq.binary_pack        becomes        vq.sign_conv2d

Requantization never falls as a sum rises, so an output that is not negative is a sum that reaches
its channel's threshold: found by bisection, it is exact with every rounding, scale and clamp. The
pass is for one core, since it pays only where that has a routine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm import relax

from ..compat import (
    Expr,
    IRModule,
    constant,
    constant_value,
    dtype_of,
    kept_attrs,
    main_function,
    op_name,
    shape_of,
)
from ..kernels import realise
from ..kernels.layer import Layer, TensorSpec
from ..op.conv2d import Conv2dAttrs, constants
from ..op.registry import attributes, make_call
from ..op.rounding import RequantizeConstants, requantize
from ..op.sign_conv2d import SignConv2dAttrs, output_shape
from ..target import Core
from .composed import nets_of, with_nets
from .rewriting import bindings_of, substitute, tensors_of
from .virtual_quantize import virtual_quantization
from .vq_config import VirtualQuantizeConfig

_LIMIT = 1 << 31
"""Sums lie below it."""


@tvm.transform.module_pass(opt_level=0, name="vq.FuseSigns")
class FuseSigns:
    """Pass on folded modules, before `SelectRealisation`; never changes a value of the result.

    Layers stay whose weights are asked to be stored in a way that the routines do not have.
    """

    def __init__(self, core: Core) -> None:
        self.core = core

    def transform_module(self, module: IRModule, _context: Any) -> IRModule:
        """The module with its nets rebuilt where something was fused."""
        done = {}
        for net, function in nets_of(module).items():
            config = VirtualQuantizeConfig.from_json(virtual_quantization(module, net) or {})
            fused = _fused_layers(function, self.core, config)
            done[net] = _rebuilt(function, fused) if fused else function
        return with_nets(module, done)


_Fused = dict[Expr, tuple[Expr, Layer]]
"""By the variable of a convolution: that of what packs it, and the layer in place of both."""


def _fused_layers(function: Expr, core: Core, config: VirtualQuantizeConfig) -> _Fused:
    calls = dict(bindings_of(function))
    fused: _Fused = {}
    for pack, packing in calls.items():
        if op_name(packing) != "vq.binary_pack":
            continue
        var = packing.args[0]
        readers = [v for v, other in calls.items() if var in tensors_of(other)]
        asked = config.levels_of(str(var.name)).realisation
        if readers != [pack] or asked not in (None, "plain"):
            continue
        layer = _sign_layer(calls.get(var))
        if layer is not None and realise(layer, core).micro:
            fused[var] = (pack, layer)
    return fused


def _sign_layer(call: Expr | None) -> Layer | None:
    """The layer for a call's signs; None where it is no convolution that has one."""
    if call is None or op_name(call) != "vq.conv2d":
        return None
    attrs: Conv2dAttrs = attributes(call)
    if attrs.groups > 1 or attrs.dilation != (1, 1):
        return None
    weight, bias, w_scale = (constant_value(arg) for arg in call.args[1:])
    x = TensorSpec(shape_of(call.args[0]), dtype_of(call.args[0]))
    threshold = thresholds(weight, bias, w_scale, attrs, x.dtype)
    if threshold is None:
        return None
    own = SignConv2dAttrs(attrs.strides, attrs.padding, attrs.x_zero_point)
    y = TensorSpec(output_shape(x.shape, weight.shape, own), own.y_dtype)
    return Layer("vq.sign_conv2d", own, (x,), (weight, threshold), y)


def thresholds(
    weight: NDArray[np.int8],
    bias: NDArray[np.int32],
    w_scale: NDArray[np.float32],
    attrs: Conv2dAttrs,
    x_dtype: str,
) -> NDArray[np.int32] | None:
    """(O,): the least sum of products, without the bias, whose output is not negative; one more
    than the largest sum where none is. None where sums may overflow on their way to the output."""
    rows = weight.reshape(len(weight), -1).astype(np.int64)
    ends = np.array([np.iinfo(x_dtype).min, np.iinfo(x_dtype).max]) - attrs.x_zero_point
    products = rows * ends[:, np.newaxis, np.newaxis]
    first = bias + np.minimum(products.min(axis=0), 0).sum(axis=1)
    last = bias + np.maximum(products.max(axis=0), 0).sum(axis=1) + 1
    scaling = constants(w_scale, attrs)
    if not _rises(scaling, max(-int(first.min()), int(last.max()))):
        return None
    while np.any(first < last):
        middle = (first + last) // 2
        output = requantize(middle, scaling) + attrs.y_zero_point
        positive = np.clip(output, attrs.y_min, attrs.y_max) >= 0
        # where the search has ended, at a sum that no input reaches, it stays
        first, last = (
            np.where(positive | (first == last), first, middle + 1),
            np.where(positive, middle, last),
        )
    return np.asarray(first - bias, np.int32)


def _rises(scaling: RequantizeConstants, largest: int) -> bool:
    """Whether outputs never fall as sums up to `largest` rise: `double` may shift out of a word."""
    left = max(0, int(scaling.shift.max())) if scaling.rounding == "double" else 0
    return largest << left < _LIMIT


def _rebuilt(function: Expr, fused: _Fused) -> Expr:
    """The function; where a convolution was packed is a layer with its name."""
    builder = relax.BlockBuilder()
    values: dict[Expr, Expr] = {}
    convolutions = {pack: var for var, (pack, _) in fused.items()}
    calls = dict(bindings_of(function))
    with main_function(builder, function.params) as finish:
        for var, value in calls.items():
            if var in convolutions:
                convolution = convolutions[var]
                layer, x = fused[convolution][1], calls[convolution].args[0]
                args = [values.get(x, x), *map(constant, layer.constants)]
                call = make_call(layer.op, args, layer.attrs)
                values[var] = builder.emit(call, name_hint=convolution.name)
            elif op_name(value) and var not in fused:
                args = [values.get(arg, arg) for arg in value.args]
                call = make_call(op_name(value), args, attributes(value))
                values[var] = builder.emit(call, name_hint=var.name)
            elif not op_name(value):
                values[var] = substitute(value, values)
        finish(substitute(function.body.body, values))
    return builder.get()["main"].with_attrs(kept_attrs(function))


__all__ = ["FuseSigns", "thresholds"]
