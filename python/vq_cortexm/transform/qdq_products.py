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
from .qdq_layouts import as_picture


def _weights(
    folder: Folder, expr: Expr, context: LayerContext, channel_axis: int
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Constant int8 weights and their scales: one, or one per index of `channel_axis`."""
    call = folder.resolve(expr)
    if op_name(call) != "relax.dequantize" or not is_constant(call.args[0]):
        raise ModelError(f"layer {context.name}: its weights are not quantized constants")
    scale, zero_point = read_scales(call, f"layer {context.name}")
    weight = constant_value(call.args[0])
    if weight.dtype.itemsize > 1:
        raise ModelError(f"layer {context.name}: its weights are {weight.dtype}; int8 works")
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
) -> NDArray[Any]:
    """Bias at the scale x_scale * w_scale, int32; beside int16 inputs int64 where it is, or where
    there is none. Zeros where there is none."""
    if expr is None:
        return np.zeros(w_scale.shape, np.int64 if x.dtype == "int16" else np.int32)
    dtype: Any = np.int32
    scale = np.float64(x.scale) * w_scale.astype(np.float64)
    call = _bias_source(folder, expr)
    if op_name(call) == "relax.dequantize" and is_constant(call.args[0]):
        given, zero_point = read_scales(call, f"layer {layer}: bias")
        if np.any(zero_point != 0) or np.any(np.abs(given.reshape(-1) / scale - 1) > 1e-2):
            raise ModelError(f"layer {layer}: its bias is not at input scale x weight scale")
        value: NDArray[Any] = constant_value(call.args[0]).astype(np.int32)
    elif (wide := _wide_bias(folder, call)) is not None:
        value, given = wide
        if np.any(np.abs(given.reshape(-1) / scale - 1) > 1e-2):
            raise ModelError(f"layer {layer}: its bias is not at input scale x weight scale")
        if x.dtype != "int16":
            raise ModelError(f"layer {layer}: an int64 bias beside {x.dtype} inputs; int32 works")
        dtype = np.int64
    elif is_constant(call):
        value = np.rint(constant_value(call).reshape(-1).astype(np.float64) / scale)
        if x.dtype == "int16" and np.any(np.abs(value) >= 2**31):
            dtype = np.int64
        else:
            value = np.clip(value, -(2**31), 2**31 - 1)
    else:
        raise ModelError(f"layer {layer}: its bias is not a constant")
    flat = value.reshape(-1)
    if flat.size not in (1, w_scale.size):
        raise ModelError(f"layer {layer}: {flat.size} biases for {w_scale.size} channels")
    return np.broadcast_to(flat, w_scale.shape).astype(dtype)


def _wide_bias(folder: Folder, call: Expr) -> tuple[NDArray[np.int64], NDArray[np.float32]] | None:
    """An int64 bias and its scales, which stand for dequantize of int64: Relax has none."""
    if op_name(call) != "relax.multiply" or not is_constant(call.args[1]):
        return None
    cast = folder.resolve(call.args[0])
    if op_name(cast) != "relax.astype" or not is_constant(cast.args[0]):
        return None
    return constant_value(cast.args[0]), constant_value(call.args[1])


def _per_channel(scale: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    return np.broadcast_to(scale, (channels,)).astype(np.float32)


def _conv2d(folder: Folder, call: Expr, context: LayerContext, bias: Expr | None = None) -> Expr:
    attrs = call.attrs
    x, x_params = folder.dequantized(call.args[0], context)
    weight, w_scale = _weights(folder, call.args[1], context, channel_axis=0)
    weight = _in_layout(weight, str(attrs.kernel_layout), "OHWI", context)
    w_scale = _per_channel(w_scale, weight.shape[0])
    bias_value = _bias(folder, bias, x_params, w_scale, context.name)
    x, back = as_picture(folder, x, str(attrs.data_layout), context.name)
    in_channels = shape_of(x)[3]
    values: dict[str, Any] = {
        **_window(attrs, ("strides", "padding", "dilation")),
        **input_attrs(x_params),
        **output_attrs(context),
    }
    groups = int(attrs.groups)
    if groups == in_channels and weight.shape[3] == 1 and groups > 1:
        name, weight = "vq.depthwise_conv2d", weight[..., 0].transpose(1, 2, 0)
    else:
        name, values["groups"] = "vq.conv2d", groups
    args = [x, constant(weight), constant(bias_value), constant(w_scale)]
    return back(folder, folder.emit(call_op(name, args, values), context.name))


def _conv2d_transpose(
    folder: Folder, call: Expr, context: LayerContext, bias: Expr | None = None
) -> Expr:
    attrs, groups = call.attrs, int(call.attrs.groups)
    x, x_params = folder.dequantized(call.args[0], context)
    weight, w_scale = _weights(folder, call.args[1], context, channel_axis=1)
    weight = _in_layout(weight, str(attrs.kernel_layout), "IHWO", context)
    inputs, height, width, outputs = weight.shape
    by_group = weight.reshape(groups, inputs // groups, height, width, outputs)
    weight = by_group.transpose(0, 4, 2, 3, 1).reshape(groups * outputs, height, width, -1)
    window = _window(attrs, ("strides", "padding", "dilation", "output_padding"))
    weight = _spread(weight, window.pop("dilation"))
    w_scale = _per_channel(np.tile(w_scale, groups) if w_scale.size > 1 else w_scale, len(weight))
    bias_value = _bias(folder, bias, x_params, w_scale, context.name)
    if x_params.dtype == "int16":
        raise ModelError(f"layer {context.name}: a transposed convolution of int16; int8 works")
    x, back = as_picture(folder, x, str(attrs.data_layout), context.name)
    values = {**window, "groups": groups, **input_attrs(x_params), **output_attrs(context)}
    args = [x, constant(weight), constant(bias_value), constant(w_scale)]
    y = folder.emit(call_op("vq.conv2d_transpose", args, values), context.name)
    return back(folder, y)


def _spread(weight: NDArray[Any], dilation: list[int]) -> NDArray[Any]:
    """Weights (O, KH, KW, I) with zeros between them, instead of their dilation."""
    down, right = dilation
    outputs, height, width, inputs = weight.shape
    shape = (outputs, (height - 1) * down + 1, (width - 1) * right + 1, inputs)
    spread = np.zeros(shape, weight.dtype)
    spread[:, ::down, ::right] = weight
    return spread


def _in_layout(
    weight: NDArray[Any], given: str, wanted: str, context: LayerContext
) -> NDArray[Any]:
    """Weights with their axes as wanted; those of one dimension as of one row."""
    if "H" not in given:
        given, weight = given.replace("W", "HW"), np.expand_dims(weight, given.index("W"))
    if sorted(given) != sorted(wanted):
        raise ModelError(f"layer {context.name}: weights of layout {given}; {wanted} works")
    return weight.transpose([given.index(axis) for axis in wanted])


def _window(attrs: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """Lists of numbers for rows and columns; those of one dimension are of one row."""
    alone = {"strides": 1, "dilation": 1, "padding": 0, "output_padding": 0}
    values = {}
    for name in names:
        given = [int(n) for n in getattr(attrs, name)]
        if str(attrs.data_layout) == "NCW":
            given = [n for each in given for n in (alone[name], each)]
        values[name] = given
    return values


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
    if op_name(call) == "relax.dequantize":
        return is_constant(call.args[0])
    return is_constant(call) or _wide_bias(folder, call) is not None


def _is_along_channels(product: Expr, bias: Expr, total: Expr) -> bool:
    """Whether what is added is one number, or one for each channel, and not for each row or column,
    of which there may be as many."""
    shape, own = shape_of(product), shape_of(bias)
    if op_name(product) == "relax.matmul":
        channels = len(shape) - 1
    else:
        layout = str(product.attrs.out_layout or product.attrs.data_layout)
        channels = layout.index("C")
    aligned = (1,) * (len(shape) - len(own)) + own
    along = all(n == 1 for axis, n in enumerate(aligned) if axis != channels)
    return along and shape_of(total) == shape


def biased(folder: Folder, call: Expr, context: LayerContext) -> Expr | None:
    """The product whose bias an add is; None where it is none."""
    for product, bias in (call.args, (call.args[1], call.args[0])):
        source = folder.resolve(product)
        if op_name(source) not in PRODUCT_RULES or not _is_bias(folder, bias):
            continue
        if _is_along_channels(source, bias, call):
            return PRODUCT_RULES[op_name(source)](folder, source, context, bias)
    return None


PRODUCT_RULES: dict[str, Callable[..., Expr]] = {
    "relax.matmul": _dense,
    "relax.nn.conv1d": _conv2d,
    "relax.nn.conv1d_transpose": _conv2d_transpose,
    "relax.nn.conv2d": _conv2d,
    "relax.nn.conv2d_transpose": _conv2d_transpose,
}
