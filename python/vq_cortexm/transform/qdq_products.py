"""Rules of the QDQ fold for operators that sum products, with their biases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compat import (
    Expr,
    call_op,
    constant,
    constant_value,
    is_constant,
    op_name,
    shape_of,
)
from ..errors import ModelError
from .qdq_context import (
    Folder,
    LayerContext,
    QuantParams,
    input_attrs,
    output_attrs,
    read_scales,
)
from .qdq_layouts import channels_first, channels_last


def _weights(
    folder: Folder, expr: Expr, context: LayerContext, channel_axis: int
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Constant int8 weights and their scales: one, or one per index of `channel_axis`."""
    call = folder.resolve(expr)
    if op_name(call) != "relax.dequantize" or not is_constant(call.args[0]):
        raise ModelError(f"layer {context.name}: its weights are not quantized constants")
    scale, zero_point = read_scales(call, f"layer {context.name}")
    weight = constant_value(call.args[0])
    if scale.size > 1 and int(call.attrs.axis) % weight.ndim != channel_axis:
        raise ModelError(f"layer {context.name}: weight scales that differ within a channel")
    if zero_point.size > 1 and np.any(zero_point != zero_point.reshape(-1)[0]):
        raise ModelError(f"layer {context.name}: weights need the zero point 0")
    shifted = weight.astype(np.int32) - int(zero_point.reshape(-1)[0])
    if shifted.min() < -128 or shifted.max() > 127:
        raise ModelError(f"layer {context.name}: weights need the zero point 0")
    return shifted.astype(np.int8), scale.reshape(-1).astype(np.float32)


def _bias(
    folder: Folder, expr: Expr | None, x: QuantParams, w_scale: NDArray[np.float32], layer: str
) -> NDArray[np.int32]:
    """int32 bias at the scale x_scale * w_scale; zeros where there is none."""
    if expr is None:
        return np.zeros(w_scale.shape, np.int32)
    scale = np.float64(x.scale) * w_scale.astype(np.float64)
    call = _bias_source(folder, expr)
    if op_name(call) == "relax.dequantize" and is_constant(call.args[0]):
        given, zero_point = read_scales(call, f"layer {layer}: bias")
        if np.any(zero_point != 0) or np.any(np.abs(given.reshape(-1) / scale - 1) > 1e-2):
            raise ModelError(f"layer {layer}: its bias is not at input scale x weight scale")
        value = constant_value(call.args[0]).astype(np.int32)
    elif is_constant(call):
        value = np.rint(constant_value(call).reshape(-1).astype(np.float64) / scale)
        value = np.clip(value, -(2**31), 2**31 - 1).astype(np.int32)
    else:
        raise ModelError(f"layer {layer}: its bias is not a constant")
    flat = value.reshape(-1)
    if flat.size not in (1, w_scale.size):
        raise ModelError(f"layer {layer}: {flat.size} biases for {w_scale.size} channels")
    return np.broadcast_to(flat, w_scale.shape).astype(np.int32)


def _per_channel(scale: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    return np.broadcast_to(scale, (channels,)).astype(np.float32)


def _conv2d(folder: Folder, call: Expr, context: LayerContext, bias: Expr | None = None) -> Expr:
    attrs = call.attrs
    x, x_params = folder.dequantized(call.args[0], context)
    weight, w_scale = _weights(folder, call.args[1], context, channel_axis=0)
    nchw = str(attrs.data_layout) == "NCHW"
    if str(attrs.kernel_layout) == "OIHW":
        weight = weight.transpose(0, 2, 3, 1)
    elif str(attrs.kernel_layout) != "OHWI":
        raise ModelError(f"layer {context.name}: weight layout {attrs.kernel_layout}")
    out_channels = weight.shape[0]
    w_scale = _per_channel(w_scale, out_channels)
    bias_value = _bias(folder, bias, x_params, w_scale, context.name)
    if nchw:
        x = channels_last(folder, x)
    in_channels = shape_of(x)[3]
    values: dict[str, Any] = {
        "strides": [int(n) for n in attrs.strides],
        "padding": [int(n) for n in attrs.padding],
        "dilation": [int(n) for n in attrs.dilation],
        **input_attrs(x_params),
        **output_attrs(context),
    }
    groups = int(attrs.groups)
    if groups == in_channels and weight.shape[3] == 1 and groups > 1:
        name, weight = "vq.depthwise_conv2d", weight[..., 0].transpose(1, 2, 0)
    else:
        name, values["groups"] = "vq.conv2d", groups
    args = [x, constant(weight), constant(bias_value), constant(w_scale)]
    y = folder.emit(call_op(name, args, values), context.name)
    return channels_first(folder, y) if nchw else y


def _dense(folder: Folder, call: Expr, context: LayerContext, bias: Expr | None = None) -> Expr:
    x, x_params = folder.dequantized(call.args[0], context)
    kernel = folder.resolve(call.args[1])
    transposed = op_name(kernel) == "relax.permute_dims"
    source = kernel.args[0] if transposed else kernel
    weight, w_scale = _weights(folder, source, context, channel_axis=0 if transposed else 1)
    if weight.ndim != 2:
        raise ModelError(f"layer {context.name}: a product with {weight.ndim}-D weights")
    weight = weight if transposed else weight.T
    w_scale = _per_channel(w_scale, weight.shape[0])
    bias_value = _bias(folder, bias, x_params, w_scale, context.name)
    args = [x, constant(weight), constant(bias_value), constant(w_scale)]
    return folder.emit(
        call_op("vq.dense", args, {**input_attrs(x_params), **output_attrs(context)}), context.name
    )


def _bias_source(folder: Folder, expr: Expr) -> Expr:
    """What a bias is made of, behind the reshape that an NCHW add needs."""
    call = folder.resolve(expr)
    return folder.resolve(call.args[0]) if op_name(call) == "relax.reshape" else call


def _is_bias(folder: Folder, expr: Expr) -> bool:
    call = _bias_source(folder, expr)
    return is_constant(call) or (op_name(call) == "relax.dequantize" and is_constant(call.args[0]))


def biased(folder: Folder, call: Expr, context: LayerContext) -> Expr | None:
    """The product whose bias an add is; None where it is none."""
    for product, bias in (call.args, (call.args[1], call.args[0])):
        source = folder.resolve(product)
        if op_name(source) in PRODUCT_RULES and _is_bias(folder, bias):
            return PRODUCT_RULES[op_name(source)](folder, source, context, bias)
    return None


PRODUCT_RULES: dict[str, Callable[..., Expr]] = {
    "relax.matmul": _dense,
    "relax.nn.conv2d": _conv2d,
}
