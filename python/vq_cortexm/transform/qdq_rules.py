"""How each float operator between dequantize and quantize becomes a `vq.*` operator.

A rule takes the folder (for its inputs), the float call and the layer's context, and returns the
bound integer result. Activations are NHWC inside; an NCHW operator is put between two transposes,
which `CancelTransposes` removes where neighbours agree.
"""

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
from ..op.quantization import dtype_range
from .qdq_context import (
    Folder,
    LayerContext,
    QuantParams,
    input_attrs,
    output_attrs,
    read_scales,
)
from .qdq_moves import MOVE_RULES

_NCHW_TO_NHWC = (0, 2, 3, 1)
_NHWC_TO_NCHW = (0, 3, 1, 2)


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
    channels_first = str(attrs.data_layout) == "NCHW"
    if str(attrs.kernel_layout) == "OIHW":
        weight = weight.transpose(0, 2, 3, 1)
    elif str(attrs.kernel_layout) != "OHWI":
        raise ModelError(f"layer {context.name}: weight layout {attrs.kernel_layout}")
    out_channels = weight.shape[0]
    w_scale = _per_channel(w_scale, out_channels)
    bias_value = _bias(folder, bias, x_params, w_scale, context.name)
    if channels_first:
        x = _transpose(folder, x, _NCHW_TO_NHWC)
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
    return _transpose(folder, y, _NHWC_TO_NCHW) if channels_first else y


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


def _add(folder: Folder, call: Expr, context: LayerContext) -> Expr:
    """A bias after a convolution or product, else an elementwise sum of two tensors."""
    for product, bias in (call.args, (call.args[1], call.args[0])):
        source = folder.resolve(product)
        if op_name(source) in _BIASED and _is_bias(folder, bias):
            return _BIASED[op_name(source)](folder, source, context, bias)
    a, a_params = folder.dequantized(call.args[0], context)
    b, b_params = folder.dequantized(call.args[1], context)
    if is_constant(a) or is_constant(b) or shape_of(a) != shape_of(b):
        raise ModelError(f"layer {context.name}: an add of a constant or with broadcasting")
    values = {
        "a_scale": a_params.scale,
        "a_zero_point": a_params.zero_point,
        "b_scale": b_params.scale,
        "b_zero_point": b_params.zero_point,
        **output_attrs(context),
    }
    return folder.emit(call_op("vq.add", [a, b], values), context.name)


def _bias_source(folder: Folder, expr: Expr) -> Expr:
    """What a bias is made of, behind the reshape that an NCHW add needs."""
    call = folder.resolve(expr)
    return folder.resolve(call.args[0]) if op_name(call) == "relax.reshape" else call


def _is_bias(folder: Folder, expr: Expr) -> bool:
    call = _bias_source(folder, expr)
    return is_constant(call) or (op_name(call) == "relax.dequantize" and is_constant(call.args[0]))


def _pool2d(folder: Folder, call: Expr, context: LayerContext) -> Expr:
    attrs = call.attrs
    x, x_params = folder.dequantized(call.args[0], context)
    if int(attrs.ceil_mode) or any(int(d) != 1 for d in attrs.dilation):
        raise ModelError(f"layer {context.name}: pooling with ceil mode or dilation")
    counts_padding = op_name(call) == "relax.nn.avg_pool2d" and int(attrs.count_include_pad)
    if counts_padding and any(int(p) for p in attrs.padding):
        raise ModelError(f"layer {context.name}: average pooling that counts its padding")
    size, strides = [int(n) for n in attrs.pool_size], [int(n) for n in attrs.strides]
    padding = [int(n) for n in attrs.padding]
    return _emit_pool(
        folder, call, context, x, x_params, size, strides, padding, str(attrs.layout) == "NCHW"
    )


def _emit_pool(
    folder: Folder,
    call: Expr,
    context: LayerContext,
    x: Expr,
    x_params: QuantParams,
    size: list[int],
    strides: list[int],
    padding: list[int],
    channels_first: bool,
) -> Expr:
    name = "vq.max_pool2d" if op_name(call) == "relax.nn.max_pool2d" else "vq.avg_pool2d"
    if channels_first:
        x = _transpose(folder, x, _NCHW_TO_NHWC)
    values = {
        "pool_size": size,
        "strides": strides,
        "padding": padding,
        **input_attrs(x_params),
        **output_attrs(context),
    }
    if name == "vq.avg_pool2d":
        values["mean"] = op_name(call) == "relax.mean"
    elif x_params != context.y:
        return _rescaled_max_pool(folder, context, x, x_params, values, channels_first)
    y = folder.emit(call_op(name, [x], values), context.name)
    return _transpose(folder, y, _NHWC_TO_NCHW) if channels_first else y


def _rescaled_max_pool(
    folder: Folder,
    context: LayerContext,
    x: Expr,
    x_params: QuantParams,
    values: dict[str, Any],
    channels_first: bool,
) -> Expr:
    """Max pooling keeps its input's parameters; a rescaling follows."""
    lowest, highest = dtype_range(x_params.dtype)
    kept = {
        "y_scale": x_params.scale,
        "y_zero_point": x_params.zero_point,
        "y_min": lowest,
        "y_max": highest,
        "y_dtype": x_params.dtype,
    }
    pooled = folder.emit(call_op("vq.max_pool2d", [x], {**values, **kept}), f"{context.name}_pool")
    rescale = {**input_attrs(x_params), **output_attrs(context)}
    y = folder.emit(call_op("vq.requantize", [pooled], rescale), context.name)
    return _transpose(folder, y, _NHWC_TO_NCHW) if channels_first else y


def _mean(folder: Folder, call: Expr, context: LayerContext) -> Expr:
    """The mean over both spatial axes, as one average pooling window."""
    x, x_params = folder.dequantized(call.args[0], context)
    shape = shape_of(x)
    axes = sorted(int(a) % len(shape) for a in call.attrs.axis)
    if len(shape) != 4 or axes not in ([1, 2], [2, 3]):
        raise ModelError(f"layer {context.name}: a mean over axes {axes} of {len(shape)}")
    channels_first = axes == [2, 3]
    size = [shape[axes[0]], shape[axes[1]]]
    y = _emit_pool(folder, call, context, x, x_params, size, [1, 1], [0, 0, 0, 0], channels_first)
    if int(call.attrs.keepdims):
        return y
    return folder.emit(call_op("vq.reshape", [y], {"shape": list(shape_of(call))}))


def _softmax(folder: Folder, call: Expr, context: LayerContext) -> Expr:
    source, beta = call.args[0], 1.0
    scaled = folder.resolve(source)
    if op_name(scaled) == "relax.multiply" and is_constant(folder.resolve(scaled.args[1])):
        source, beta = scaled.args[0], float(constant_value(folder.resolve(scaled.args[1])))
    x, x_params = folder.dequantized(source, context)
    rank = len(shape_of(x))
    if int(call.attrs.axis) % rank != rank - 1:
        raise ModelError(f"layer {context.name}: softmax over an axis that is not the last")
    values = {"beta": beta, **input_attrs(x_params), **output_attrs(context)}
    return folder.emit(call_op("vq.softmax", [x], values), context.name)


def _transpose(folder: Folder, x: Expr, axes: tuple[int, ...]) -> Expr:
    return folder.emit(call_op("vq.transpose", [x], {"axes": list(axes)}))


_BIASED = {"relax.nn.conv2d": _conv2d, "relax.matmul": _dense}
QDQ_RULES: dict[str, Callable[..., Expr]] = {
    "relax.nn.conv2d": _conv2d,
    "relax.matmul": _dense,
    "relax.add": _add,
    "relax.nn.avg_pool2d": _pool2d,
    "relax.nn.max_pool2d": _pool2d,
    "relax.mean": _mean,
    "relax.nn.softmax": _softmax,
    **MOVE_RULES,
}
"""Float operators that a `quantize` may end."""
