"""Convolutions and products of a QONNX graph as integers: weights, scales and biases.

What follows a layer and is affine per channel (a bias, batch normalization, a factor) is folded:
y = gain * layer(x) + offset. The gain goes into the weights' scale, its sign into the weights; the
offset becomes the bias, int32 at x_scale * w_scale, rounded half to even from float64. So a layer
with a gain or a bias off that grid differs from QONNX's float32 by less than a step of its output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from .qonnx_graph import attributes, where
from .qonnx_values import Format, QuantizedConstant

Float64Array = npt.NDArray[np.float64]
Lookup = Callable[[str], Any]
"""The real value of a constant by its name; None of any other tensor."""

_INT32_MAX = (1 << 31) - 1

_LARGEST_BIAS = 1 << 23
"""Of a channel that its weights do not move: exact in float32."""


@dataclass(frozen=True, eq=False)
class Layer:
    """A convolution's or product's constants: output channels come first.

    weight int8 (O, …), w_scale float32 (O,), bias int32 (O,) at x_scale * w_scale.
    """

    weight: npt.NDArray[np.int8]
    w_scale: npt.NDArray[np.float32]
    bias: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Affine:
    """y = gain * x + offset, both float64 (O,)."""

    gain: Float64Array
    offset: Float64Array

    def then(self, gain: Any, offset: Any) -> Affine:
        """Another one after it."""
        return Affine(self.gain * gain, self.offset * gain + offset)


def channels_first(steps: npt.NDArray[Any], node: Any) -> npt.NDArray[Any]:
    """Weights of a Conv, Gemm or MatMul with its output channels as the first axis."""
    if node.op_type == "Conv" or attributes(node).get("transB", 0):
        return steps
    return np.moveaxis(steps, -1, 0)


def channels_of(node: Any, weights: QuantizedConstant) -> int:
    """Output channels of a Conv, Gemm or MatMul."""
    return int(channels_first(weights.steps, node).shape[0])


def integer_weights(
    node: Any, constant: QuantizedConstant
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Whole numbers (O, …) and the scale (O,) of a layer's weights."""
    steps, scale = (channels_first(part, node) for part in (constant.steps, constant.scale))
    rank = 4 if node.op_type == "Conv" else 2
    if steps.ndim != rank:
        raise ModelError(f"{where(node)}: weights of {steps.ndim} dimensions; {rank} work")
    rows = scale.reshape(scale.shape[0], -1)
    if np.any(rows != rows[:, :1]):
        raise ModelError(
            f"{where(node)}: weight scales that differ within an output channel; one per channel "
            "works"
        )
    if np.any(steps != np.rint(steps)):
        raise ModelError(f"{where(node)}: weights with a fractional zero point; an integer works")
    if np.any(~np.isfinite(rows)) or np.any(rows <= 0):
        raise ModelError(f"{where(node)}: a weight scale is not a positive number")
    return steps, rows[:, 0]


def own_affine(node: Any, constants: Lookup, channels: int) -> Affine:
    """Gemm's factors, and the bias that is an input of the node itself."""
    given = attributes(node)
    gain = np.full(channels, float(given.get("alpha", 1.0)))
    offset = np.zeros(channels)
    if len(node.input) > 2 and node.input[2]:
        bias = constants(node.input[2])
        if bias is None or bias.size not in (1, channels):
            raise ModelError(f"{where(node)}: its bias must be a constant, one number per channel")
        offset += bias.reshape(-1).astype(np.float64) * float(given.get("beta", 1.0))
    return Affine(gain, offset)


def affine_after(
    node: Any, before: Affine, value: str, constants: Lookup, rank: int
) -> Affine | None:
    """`before` and then `node`, which reads `value`, of `rank` dimensions and channels as axis 1;
    None if that is not affine per channel, with constants."""
    if node.op_type in ("Identity", "Dropout"):
        return before
    if node.op_type == "BatchNormalization":
        gamma, beta, mean, variance = (_row(constants(name), before) for name in node.input[1:5])
        if gamma is None or beta is None or mean is None or variance is None:
            return None
        gain = gamma / np.sqrt(variance + float(attributes(node).get("epsilon", 1e-5)))
        return before.then(gain, beta - mean * gain)
    if node.op_type not in ("Add", "Sub", "Mul", "Div"):
        return None
    first = node.input[0] == value
    row = _row(constants(node.input[1 if first else 0]), before, rank)
    if row is None or (node.op_type == "Div" and not first):
        return None
    if node.op_type == "Add":
        return before.then(1, row)
    if node.op_type == "Sub":
        return before.then(1, -row) if first else before.then(-1, row)
    return before.then(row if node.op_type == "Mul" else 1 / row, 0)


def _row(value: Any, like: Affine, rank: int = 1) -> Float64Array | None:
    """A constant as one number per channel, float64 (O,); None where it is none, or is more."""
    if value is None:
        return None
    shape = (like.gain.size,) if rank == 1 else (1, like.gain.size, *[1] * (rank - 2))
    try:
        return np.broadcast_to(value, shape).reshape(-1).astype(np.float64)
    except ValueError:
        return None


def integer_layer(node: Any, constant: QuantizedConstant, x: Format, affine: Affine) -> Layer:
    """The layer with what follows it, on inputs of the format `x`.

    A channel whose gain is so small that its bias would not fit int32 has weights that move no
    8-bit output by half a step: they become 0, and the scale is raised.
    """
    steps, scale = integer_weights(node, constant)
    rows = (slice(None), *[None] * (steps.ndim - 1))
    weight = steps * np.where(affine.gain < 0, -1, 1)[rows]
    if weight.min() < -128 or weight.max() > 127:
        raise ModelError(
            f"{where(node)}: weights (less their zero point, times a batch norm's sign) from "
            f"{weight.min():g} to {weight.max():g}; -128 to 127 work"
        )
    w_scale = scale * np.abs(affine.gain)
    reach = np.abs(weight).reshape(weight.shape[0], -1).sum(axis=1) * x.largest
    with np.errstate(divide="ignore", invalid="ignore"):
        bias = np.where(affine.offset == 0, 0, affine.offset / (x.scale * w_scale))
    gone = (w_scale < np.finfo(np.float32).tiny) | (np.abs(bias) + reach > _INT32_MAX)
    if np.any(gone & (np.abs(bias) < 512 * reach) & (w_scale > 0)):
        raise ModelError(f"{where(node)}: a bias beyond int32 at the scale of its products")
    raised = np.maximum(np.abs(affine.offset) / (x.scale * _LARGEST_BIAS), np.float32(1e-30))
    w_scale = np.where(gone, raised, w_scale).astype(np.float32)
    weight = np.where(gone[rows], 0, weight)
    exact = affine.offset / (x.scale * w_scale.astype(np.float64))
    return Layer(weight.astype(np.int8), w_scale, np.rint(exact).astype(np.int32))


def sign_layer(node: Any, constant: QuantizedConstant, x: Format, affine: Affine) -> Layer:
    """A layer whose accumulators are not negative exactly where layer and affine are not.

    Every w_scale is 1: of a + offset / scale >= 0 with a whole number a nothing is lost if the
    quotient is rounded down.
    """
    steps, scale = integer_weights(node, constant)
    rows = (slice(None), *[None] * (steps.ndim - 1))
    weight = steps * np.sign(affine.gain)[rows]
    if weight.min() < -128 or weight.max() > 127:
        raise ModelError(f"{where(node)}: weights beyond int8; narrow range works")
    reach = np.abs(weight).reshape(weight.shape[0], -1).sum(axis=1) * x.largest
    unit = x.scale * scale.astype(np.float64) * np.abs(affine.gain)
    with np.errstate(divide="ignore", invalid="ignore"):
        bias = np.where(
            unit > 0, np.floor(affine.offset / unit), np.where(affine.offset < 0, -1, 0)
        )
    bias = np.clip(bias, -reach - 1, reach + 1)
    return Layer(
        weight.astype(np.int8), np.ones(weight.shape[0], np.float32), bias.astype(np.int32)
    )
