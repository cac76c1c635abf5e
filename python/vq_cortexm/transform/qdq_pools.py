"""Rules of the QDQ fold for pooling and means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..compat import (
    Expr,
    call_op,
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
)
from .qdq_layouts import channels_first, channels_last


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
    nchw: bool,
) -> Expr:
    name = "vq.max_pool2d" if op_name(call) == "relax.nn.max_pool2d" else "vq.avg_pool2d"
    if nchw:
        x = channels_last(folder, x)
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
        return _rescaled_max_pool(folder, context, x, x_params, values, nchw)
    y = folder.emit(call_op(name, [x], values), context.name)
    return channels_first(folder, y) if nchw else y


def _rescaled_max_pool(
    folder: Folder,
    context: LayerContext,
    x: Expr,
    x_params: QuantParams,
    values: dict[str, Any],
    nchw: bool,
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
    return channels_first(folder, y) if nchw else y


def _mean(folder: Folder, call: Expr, context: LayerContext) -> Expr:
    """The mean over both spatial axes, as one average pooling window."""
    x, x_params = folder.dequantized(call.args[0], context)
    shape = shape_of(x)
    axes = sorted(int(a) % len(shape) for a in call.attrs.axis)
    if len(shape) != 4 or axes not in ([1, 2], [2, 3]):
        raise ModelError(f"layer {context.name}: a mean over axes {axes} of {len(shape)}")
    nchw = axes == [2, 3]
    size = [shape[axes[0]], shape[axes[1]]]
    y = _emit_pool(folder, call, context, x, x_params, size, [1, 1], [0, 0, 0, 0], nchw)
    if int(call.attrs.keepdims):
        return y
    return folder.emit(call_op("vq.reshape", [y], {"shape": list(shape_of(call))}))


POOL_RULES: dict[str, Callable[..., Expr]] = {
    "relax.mean": _mean,
    "relax.nn.avg_pool2d": _pool2d,
    "relax.nn.max_pool2d": _pool2d,
}
