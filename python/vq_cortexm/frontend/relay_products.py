"""Relay's convolutions and dense layers: int32 sums, their biases, and `qnn.requantize`.

The scale of a layer's sums is an argument of its `qnn.requantize`, and need not be the product of
the input's and the weights' scales. So the operators here get it as the scale of the weights, with
1 for the input: their product is what counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compat import constant, dtype_of, shape_of
from ..errors import ModelError
from ..op.conv2d import Conv2dAttrs
from ..op.dense import DenseAttrs
from ..op.depthwise_conv2d import DepthwiseConv2dAttrs
from ..op.quantization import dtype_range
from .relay_graph import RelayCall
from .relay_rounding import away_from_zero
from .relay_values import (
    ACTIVATIONS,
    NCHW_TO_NHWC,
    ROUNDING,
    Converter,
    Layer,
    Scale,
    Sums,
    Tensor,
    Value,
    Wide,
    rescaled,
    where,
)

_ATTRS: dict[str, Any] = {
    "vq.conv2d": Conv2dAttrs,
    "vq.dense": DenseAttrs,
    "vq.depthwise_conv2d": DepthwiseConv2dAttrs,
}
_ACCUMULATOR = 1 << 31


def scalar(converter: Converter, call: RelayCall, position: int) -> float:
    """A constant argument that is one number."""
    value = converter.array(call, position)
    if value.size != 1:
        raise ModelError(
            f"{where(call)}: its argument {position} has {value.size} numbers; one works"
        )
    return float(value.reshape(-1)[0])


def scale_at(converter: Converter, call: RelayCall, scale: int, zero_point: int) -> Scale:
    """The scale that these two arguments are."""
    found = Scale(scalar(converter, call, scale), int(scalar(converter, call, zero_point)))
    if not (np.isfinite(found.scale) and found.scale > 0):
        raise ModelError(f"{where(call)}: its scale {found.scale} is not a positive number")
    return found


def conv2d(converter: Converter, call: RelayCall) -> Value:
    """`qnn.conv2d`, whose padding is the input's zero point, or `nn.conv2d` of integers."""
    quantized = call.op == "qnn.conv2d"
    x = _input(converter, call, quantized)
    weight = _weight(converter, call, quantized)
    attrs = call.attrs
    layouts = attrs.text("data_layout", "NCHW"), attrs.text("kernel_layout", "OIHW")
    if layouts[0] not in ("NCHW", "NHWC") or sorted(layouts[1]) != sorted("OHWI"):
        raise ModelError(
            f"{where(call)}: layouts {layouts[0]} and {layouts[1]}; NCHW or NHWC with one of O, H, "
            "W and I works"
        )
    if attrs.text("out_layout", "") not in ("", layouts[0]):
        raise ModelError(f"{where(call)}: its output has another layout than its input")
    if weight.ndim != 4 or len(shape_of(x.expr)) != 4:
        raise ModelError(f"{where(call)}: its input and weights must have 4 dimensions")
    weight = weight.transpose([layouts[1].index(axis) for axis in "OHWI"])
    expr = x.expr if layouts[0] == "NHWC" else converter.permuted(x.expr, NCHW_TO_NHWC)
    groups, channels = attrs.integer("groups", 1), shape_of(expr)[3]
    geometry: dict[str, Any] = {
        "strides": spread(attrs.integers("strides"), 2, 1),
        "padding": sides(attrs.integers("padding")),
        "dilation": spread(attrs.integers("dilation"), 2, 1),
        "x_zero_point": int(scalar(converter, call, 2)) if quantized else 0,
    }
    multiplier = weight.shape[3]
    if 1 < groups == channels and (weight.shape[0] == groups or multiplier == 1):
        # output channel c * M + m: either O are the input's channels and I is M, or I is 1
        op, weight = "vq.depthwise_conv2d", weight.transpose(1, 2, 0, 3)
        weight = weight.reshape(*weight.shape[:2], -1)
        per_channel = weight.reshape(-1, weight.shape[2])
    else:
        op, geometry["groups"] = "vq.conv2d", groups
        per_channel = weight.reshape(weight.shape[0], -1).T
    axis = 1 if layouts[0] == "NCHW" else 3
    return _sums(op, converter, Tensor(expr, x.scale), weight, per_channel, geometry, axis, 4)


def dense(converter: Converter, call: RelayCall) -> Value:
    """`qnn.dense`, or `nn.dense` of integers; weights (O, I)."""
    quantized = call.op == "qnn.dense"
    x = _input(converter, call, quantized)
    weight = _weight(converter, call, quantized)
    if weight.ndim != 2:
        raise ModelError(f"{where(call)}: its weights have {weight.ndim} dimensions; 2 work")
    attrs = {"x_zero_point": int(scalar(converter, call, 2)) if quantized else 0}
    rank = len(shape_of(x.expr))
    return _sums("vq.dense", converter, x, weight, weight.T, attrs, rank - 1, rank)


def _input(converter: Converter, call: RelayCall, quantized: bool) -> Tensor:
    out_dtype = call.attrs.text("out_dtype", "")
    if out_dtype not in (("int32",) if quantized else ("int32", "")):
        raise ModelError(f"{where(call)}: its sums are {out_dtype}; int32 works")
    value = converter.value(call, 0)
    x = converter.emitted(value.source if isinstance(value, Wide) else value, call)
    dtype = dtype_of(x.expr)
    if dtype not in ACTIVATIONS or (not quantized and out_dtype == "" and value is x):
        raise ModelError(
            f"{where(call)}: works on {dtype}; int8 and uint8 with int32 sums work, as qnn."
            f"{call.op.rpartition('.')[2]} has them"
        )
    if quantized:
        converter.learn(x, scale_at(converter, call, 4, 2))
    return x


def _weight(converter: Converter, call: RelayCall, quantized: bool) -> NDArray[np.int8]:
    """Without their zero point, which may be one for all or one for each output channel."""
    weight = converter.array(call, 1)
    if weight.dtype.kind not in "iu":
        raise ModelError(f"{where(call)}: its weights are {weight.dtype.name}; int8 and uint8 work")
    zero_point = converter.array(call, 3).reshape(-1) if quantized else np.zeros(1, np.int32)
    if np.any(zero_point != zero_point[:1]) or zero_point.size == 0:
        raise ModelError(f"{where(call)}: weights with several zero points; one works")
    centred = weight.astype(np.int64) - int(zero_point[0])
    if centred.size == 0 or centred.min() < -128 or centred.max() > 127:
        raise ModelError(f"{where(call)}: weights less their zero point exceed int8")
    return centred.astype(np.int8)


def _sums(
    op: str,
    converter: Converter,
    x: Tensor,
    weight: NDArray[np.int8],
    per_channel: NDArray[np.int8],
    attrs: dict[str, Any],
    channel_axis: int,
    rank: int,
) -> Sums:
    """Sums without bias; per_channel: (products, O)."""
    largest = max(abs(n - attrs["x_zero_point"]) for n in dtype_range(dtype_of(x.expr)))
    bound = np.abs(per_channel.astype(np.int64)).sum(axis=0) * largest
    bias = np.zeros(bound.shape, np.int64)
    return Sums(op, x.expr, weight, bias, bound, attrs, channel_axis, rank)


def biased(
    converter: Converter, call: RelayCall, sums: Sums, bias: NDArray[Any], axes: int
) -> Value:
    """Sums plus a constant that has one number a channel, or one for all, and whose last axis is
    the sums' axis number `axes`."""
    shape = [1] * (axes + 1 - bias.ndim) + list(bias.shape) + [1] * (sums.rank - 1 - axes)
    alone = all(n == 1 for axis, n in enumerate(shape) if axis != sums.channel_axis)
    flat = bias.reshape(-1)
    if bias.dtype != np.int32 or len(shape) != sums.rank or not alone:
        raise ModelError(
            f"{where(call)}: {bias.dtype.name}{bias.shape} is no bias of the sums before it; int32 "
            "with one number a channel works"
        )
    if flat.size not in (1, sums.bias.size):
        raise ModelError(f"{where(call)}: {flat.size} biases for {sums.bias.size} channels")
    total = replace(sums, bias=sums.bias + flat)
    if sums.relu or np.any(total.bound + np.abs(total.bias) >= _ACCUMULATOR):
        what = "follows a relu" if sums.relu else "may take the sums beyond int32"
        raise ModelError(f"{where(call)}: its bias {what}")
    return total


def bias_add(converter: Converter, call: RelayCall) -> Value:
    """`nn.bias_add` of a convolution or dense layer."""
    sums = converter.value(call, 0)
    if not isinstance(sums, Sums):
        raise ModelError(f"{where(call)}: a bias works after a convolution or dense layer alone")
    axis = call.attrs.integer("axis", 1) % sums.rank
    return biased(converter, call, sums, converter.array(call, 1).reshape(-1), axis)


def requantize(converter: Converter, call: RelayCall) -> Value:
    """`qnn.requantize`: a layer's end, or another scale for a tensor."""
    attrs = call.attrs
    dtype = attrs.text("out_dtype", "int8")
    if dtype not in ACTIVATIONS:
        raise ModelError(f"{where(call)}: to {dtype}; int8 and uint8 work")
    if attrs.text("compute_dtype", "None") not in ("None", "int64"):
        raise ModelError(
            f"{where(call)}: compute_dtype {attrs.text('compute_dtype')}; int64, Relay's default, "
            "works"
        )
    rounding = attrs.text("rounding", "None")
    if rounding not in ("None", "UPWARD", "TONEAREST"):
        raise ModelError(f"{where(call)}: rounding {rounding}; UPWARD and TONEAREST work")
    y = scale_at(converter, call, 3, 4)
    low, high = dtype_range(dtype)
    if not low <= y.zero_point <= high:
        raise ModelError(f"{where(call)}: its zero point {y.zero_point} is not of {dtype}")
    value = converter.value(call, 0)
    if isinstance(value, Sums):
        return _complete(converter, call, value, y, dtype, rounding == "TONEAREST")
    x = converter.emitted(value.source if isinstance(value, Wide) else value, call)
    given = scale_at(converter, call, 1, 2)
    converter.learn(x, given)
    if rounding == "TONEAREST":
        reach = np.array([max(abs(n - given.zero_point) for n in dtype_range(dtype_of(x.expr)))])
        (scale,) = away_from_zero(np.array([given.scale], np.float32), y, reach, where(call))
        given = Scale(float(scale), given.zero_point)
    return rescaled(x.expr, given, y, dtype, y)


def _complete(
    converter: Converter, call: RelayCall, sums: Sums, y: Scale, dtype: str, nearest: bool
) -> Layer:
    """The layer of sums whose scale, and zero point, the requantization says."""
    scale = np.asarray(converter.array(call, 1), np.float32).reshape(-1)
    axis = call.attrs.integer("axis", -1) % sums.rank
    if scale.size not in (1, sums.bias.size) or (scale.size > 1 and axis != sums.channel_axis):
        raise ModelError(f"{where(call)}: {scale.size} scales along axis {axis} of its sums")
    if not (np.all(np.isfinite(scale)) and np.all(scale > 0)):
        raise ModelError(f"{where(call)}: a scale is not a positive number")
    zero_point = converter.array(call, 2).astype(np.int64).reshape(-1)
    if np.any(zero_point != zero_point[:1]):
        raise ModelError(f"{where(call)}: sums with several zero points; one works")
    bias, scale = sums.bias - zero_point[0], np.broadcast_to(scale, sums.bias.shape)
    reach = sums.bound + np.abs(bias)
    if np.any(np.maximum(reach, reach * (scale / y.scale)) >= _ACCUMULATOR - 256):
        raise ModelError(f"{where(call)}: its sums may exceed int32; a smaller scale works")
    if nearest:
        scale = away_from_zero(scale, y, reach, where(call))
    low, high = dtype_range(dtype)
    if sums.relu:
        # rounding rises with the sums, so it may come first; a relu's zero is then this
        if zero_point[0] != 0:
            raise ModelError(f"{where(call)}: sums with a zero point after a relu")
        low = max(low, y.zero_point)
    attrs = _ATTRS[sums.op](
        **sums.attrs,
        x_scale=1.0,
        y_scale=y.scale,
        y_zero_point=y.zero_point,
        y_min=low,
        y_max=high,
        rounding=ROUNDING,
        y_dtype=dtype,
    )
    args = [sums.x, *map(constant, (sums.weight, bias.astype(np.int32), scale.copy()))]
    return Layer(sums.op, args, attrs, y, nchw=sums.rank == 4 and sums.channel_axis == 1)


def spread(values: tuple[int, ...] | None, count: int, default: int) -> tuple[int, ...]:
    """As many numbers, of which one may stand for all."""
    given = values or (default,)
    if len(given) not in (1, count):
        raise ModelError(f"{len(given)} numbers where 1 or {count} work")
    return given * count if len(given) == 1 else given


def sides(values: tuple[int, ...] | None) -> tuple[int, ...]:
    """A padding as (top, left, bottom, right), of which Relay may leave out what repeats."""
    given = values or (0,)
    if len(given) not in (1, 2, 4):
        raise ModelError(f"a padding of {len(given)} numbers; 1, 2 and 4 work")
    return (given * 4)[:4]


PRODUCTS: dict[str, Callable[[Converter, RelayCall], Value]] = {
    "nn.bias_add": bias_add,
    "nn.conv2d": conv2d,
    "nn.dense": dense,
    "qnn.conv2d": conv2d,
    "qnn.dense": dense,
    "qnn.requantize": requantize,
}
"""Relay operator → its converter."""
