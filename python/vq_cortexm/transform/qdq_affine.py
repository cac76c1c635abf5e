"""Batch norms, and products and sums with constants of each channel: y = gain * x + shift.

Behind a convolution or dense layer they become part of it, as real numbers:

    weights        w * sign(gain)          zero where gain is
    weight scales  w_scale * |gain|        as they are where gain is zero
    bias           bias * gain + shift     rounded to the new input scale x weight scale

Elsewhere they are a depthwise 1x1 convolution, whose weights are +-127 so that its bias is fine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import relax

from ..compat import Expr, call_op, constant, constant_value, is_constant, op_name, shape_of
from ..errors import ModelError
from .qdq_context import (
    Folder,
    LayerContext,
    QuantParams,
    input_attrs,
    output_attrs,
    read_scales,
)
from .qdq_products import PRODUCT_RULES
from .qdq_tables import real_constant

Real = NDArray[np.float64]

_UNIT_WEIGHT = 127
_STEEPEST_BIAS = 2.0**30
_CONSTANT_BIAS = 1 << 20
"""Of a channel to which its input adds nothing that counts."""


@dataclass(frozen=True, eq=False)
class Affine:
    """gain * source + shift; gain and shift broadcast to the source's shape."""

    source: Expr
    gain: Real
    shift: Real


def as_affine(folder: Folder, call: Expr, context: LayerContext) -> Expr | None:
    """The layer that a float expression of these operators is; None where it is none."""
    affine = _affine(folder, call)
    if affine is None or affine.source.same_as(folder.resolve(call)):
        return None
    if op_name(affine.source) in PRODUCT_RULES:
        return _into_product(folder, affine, context)
    return _depthwise(folder, affine, context)


def _affine(folder: Folder, expr: Expr) -> Affine | None:
    """Walks back over the operators, the last one first."""
    node = folder.resolve(expr)
    gain, shift = np.ones(()), np.zeros(())
    while (step := _step(folder, node)) is not None:
        node = folder.resolve(step.source)
        gain, shift = gain * step.gain, gain * step.shift + shift
    return Affine(node, gain, shift)


def _step(folder: Folder, node: Expr) -> Affine | None:
    """One operator; None for any other."""
    name = op_name(node)
    if name == "relax.nn.batch_norm":
        return _batch_norm(folder, node)
    if name not in ("relax.add", "relax.subtract", "relax.multiply", "relax.divide"):
        return None
    a, b = (real_constant(folder, arg) for arg in node.args)
    if (a is None) == (b is None) or (name == "relax.divide" and b is None):
        return None
    source, value = (node.args[0], b) if a is None else (node.args[1], a)
    assert value is not None
    one, zero = np.ones(()), np.zeros(())
    if name == "relax.multiply":
        return Affine(source, value, zero)
    if name == "relax.divide":
        return Affine(source, 1 / value, zero)
    if name == "relax.add":
        return Affine(source, one, value)
    return Affine(source, one, -value) if a is None else Affine(source, -one, value)


def _batch_norm(folder: Folder, node: Expr) -> Affine:
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta."""
    statistics = [real_constant(folder, arg) for arg in node.args[1:5]]
    if any(value is None for value in statistics):
        raise ModelError("batch_norm: its statistics must be constants")
    gamma, beta, mean, variance = (np.asarray(value) for value in statistics)
    attrs, rank = node.attrs, len(shape_of(node.args[0]))
    gain = (gamma if attrs.scale else 1.0) / np.sqrt(variance + float(attrs.epsilon))
    shift = (beta if attrs.center else 0.0) - mean * gain
    shape = [1] * rank
    shape[int(attrs.axis) % rank] = -1
    return Affine(node.args[0], gain.reshape(shape), shift.reshape(shape))


def _of_channels(affine: Affine, shape: tuple[int, ...], axis: int) -> tuple[Real, Real] | None:
    """gain and shift of each index of `axis`, (C,); None where they differ along another."""
    rank, values = len(shape), []
    for value in (affine.gain, affine.shift):
        own = value.reshape([1] * (rank - value.ndim) + list(value.shape))
        wanted = [shape[axis] if i == axis else 1 for i in range(rank)]
        if own.ndim != rank or any(n not in (1, m) for n, m in zip(own.shape, wanted, strict=True)):
            return None
        values.append(np.broadcast_to(own.reshape(-1), (shape[axis],)))
    return values[0], values[1]


# ---------------------------------------------------------------------------- into a product


def _into_product(folder: Folder, affine: Affine, context: LayerContext) -> Expr | None:
    """The product with other weights, scales and bias; None where they do not fit its channels."""
    product = affine.source
    axis, weight_axis = _channel_axes(folder, product)
    channels = _of_channels(affine, shape_of(product), axis)
    if channels is None or weight_axis is None:
        return None
    weight = folder.resolve(product.args[1])
    behind = op_name(weight) == "relax.permute_dims"
    stored = folder.resolve(weight.args[0]) if behind else weight
    if op_name(stored) != "relax.dequantize" or not is_constant(stored.args[0]):
        return None
    scaled = _scaled_weights(stored, channels[0], weight_axis, context)
    if behind:
        scaled = relax.op.permute_dims(scaled, weight.attrs.axes)
    called = relax.Call(product.op, [product.args[0], scaled], product.attrs)
    bias = constant(channels[1].astype(np.float32))
    return PRODUCT_RULES[op_name(product)](folder, called, context, bias)


def _channel_axes(folder: Folder, product: Expr) -> tuple[int, int | None]:
    """The output's axis of channels, and that of the stored weights; None for weights that have
    none for all of them."""
    if op_name(product) == "relax.matmul":
        transposed = op_name(folder.resolve(product.args[1])) == "relax.permute_dims"
        return len(shape_of(product)) - 1, 0 if transposed else 1
    attrs = product.attrs
    layout = str(attrs.out_layout or attrs.data_layout)
    if op_name(product) != "relax.nn.conv2d":
        return layout.index("C"), None
    return layout.index("C"), str(attrs.kernel_layout).index("O")


def _scaled_weights(stored: Expr, gain: Real, axis: int, context: LayerContext) -> Expr:
    """The dequantize of the weights times `gain`, of each index of `axis`."""
    scale, zero_point = read_scales(stored, f"layer {context.name}")
    weight = constant_value(stored.args[0])
    shape = [-1 if i == axis else 1 for i in range(weight.ndim)]
    centred = weight.astype(np.int32) - zero_point.reshape(shape if zero_point.size > 1 else ())
    signed = centred * np.sign(gain).astype(np.int32).reshape(shape)
    if signed.min() < -128 or signed.max() > 127:
        raise ModelError(
            f"layer {context.name}: a batch norm with a negative factor behind weights of -128;"
            " quantize them to [-127, 127]"
        )
    scales = scale.reshape(-1) * np.where(gain == 0, 1.0, np.abs(gain))
    return relax.op.dequantize(
        constant(signed.astype(np.int8)),
        constant(scales.astype(np.float32)),
        constant(np.zeros(scales.shape, np.int32)),
        axis=axis,
    )


# ---------------------------------------------------------------------------- by itself


def _depthwise(folder: Folder, affine: Affine, context: LayerContext) -> Expr | None:
    shape = shape_of(affine.source)
    axis = _differing_axis(affine, len(shape))
    channels = None if axis is None else _of_channels(affine, shape, axis)
    if axis is None or channels is None:
        return None
    x, params = folder.dequantized(affine.source, context)
    order = [*(i for i in range(len(shape)) if i != axis), axis]
    x = _transposed(folder, x, order)
    image = [1, int(np.prod(shape)) // shape[axis], 1, shape[axis]] if len(shape) != 4 else None
    inner = shape_of(x)
    if image is not None:
        x = folder.emit(call_op("vq.reshape", [x], {"shape": image}))
    values: dict[str, Any] = {
        "strides": [1, 1],
        "padding": [0, 0, 0, 0],
        "dilation": [1, 1],
        **input_attrs(params),
        **output_attrs(context),
    }
    args = [x, *_unit_weights(*channels, params, context)]
    y = folder.emit(call_op("vq.depthwise_conv2d", args, values), context.name)
    if image is not None:
        y = folder.emit(call_op("vq.reshape", [y], {"shape": list(inner)}))
    return _transposed(folder, y, [int(i) for i in np.argsort(order)])


def _differing_axis(affine: Affine, rank: int) -> int | None:
    """The only axis along which gain or shift has several values, else the last."""
    longer = {
        rank - value.ndim + i
        for value in (affine.gain, affine.shift)
        for i, n in enumerate(value.shape)
        if n > 1
    }
    return None if len(longer) > 1 else next(iter(longer), rank - 1)


def _transposed(folder: Folder, x: Expr, order: list[int]) -> Expr:
    if order == sorted(order):
        return x
    return folder.emit(call_op("vq.transpose", [x], {"axes": order}))


def _unit_weights(
    gain: Real, shift: Real, x: QuantParams, context: LayerContext
) -> tuple[Expr, Expr, Expr]:
    """Weights (1, 1, C), biases and scales (C,).

    Where the shift is more than 2**30 of the smallest step of gain * x, the channel is the shift
    alone.
    """
    step = x.scale * np.abs(gain) / _UNIT_WEIGHT
    alone = np.abs(shift) >= _STEEPEST_BIAS * step
    size = np.where(shift == 0, context.y.scale * _CONSTANT_BIAS, np.abs(shift))
    weight = np.where(alone, 0, _UNIT_WEIGHT * np.sign(gain))
    scale = np.where(alone, size / _CONSTANT_BIAS / x.scale, step / x.scale).astype(np.float32)
    bias = np.rint(shift / (x.scale * scale.astype(np.float64)))
    return (
        constant(weight.astype(np.int8).reshape(1, 1, -1)),
        constant(bias.astype(np.int32)),
        constant(scale),
    )


AFFINE = ("relax.nn.batch_norm",)
"""The float operators that are nothing else."""
