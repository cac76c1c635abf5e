"""Drawers of ONNX's operators on single elements, and softmax; as in `onnx_layers`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import draws
from .draws import Tensor
from .onnx_net import OnnxNet


def binary(operator: str) -> Callable[[OnnxNet, Tensor], Tensor]:
    """Add, Sub, Mul, Max or Min with another input, of its shape or with axes of length one."""

    def draw(net: OnnxNet, x: Tensor) -> Tensor:
        shape = x.shape
        if draws.chance(net.random, 0.3):
            shape = tuple(1 if draws.chance(net.random, 0.5) else n for n in x.shape)
        # of extrema all have one quantization
        extremum = operator in ("Max", "Min")
        other = net.input_like(x, shape) if extremum else net.input(shape, x.dtype)
        value = net.node(operator, [x.name, other.name])
        return net.like(x, value, x.shape) if extremum else net.near(x, value, x.shape)

    return draw


def curve(
    operator: str, low: float = 0.0, high: float = 0.0, **attributes: Any
) -> Callable[[OnnxNet, Tensor], Tensor]:
    """A function of one number, of results between `low` and `high` where these differ."""

    def draw(net: OnnxNet, x: Tensor) -> Tensor:
        value = net.node(operator, [x.name], **attributes)
        if low == high:
            return net.near(x, value, x.shape)
        scale = draws.float32((high - low) / 255)
        zero_point = int(np.iinfo(x.dtype).min) - round(low / scale)
        return net.quantized(value, x.shape, scale, zero_point, x.dtype)

    return draw


def clip(net: OnnxNet, x: Tensor) -> Tensor:
    ends = [net.constant(np.float32(end)) for end in (0, draws.draw_scale(net.random, 1.5))]
    return net.near(x, net.node("Clip", [x.name, *ends]), x.shape)


def requantize(net: OnnxNet, x: Tensor) -> Tensor:
    return net.near(x, x.name, x.shape)


def softmax(net: OnnxNet, x: Tensor) -> Tensor:
    """Over the last axis or the longest: ONNX Runtime has 0 for the uint8 of an only element."""
    axis = len(x.shape) - 1
    if x.shape[axis] == 1 or draws.chance(net.random, 0.2):
        axis = max(range(len(x.shape)), key=lambda a: x.shape[a])
    if x.shape[axis] == 1:
        return requantize(net, x)
    value = net.node("Softmax", [x.name], axis=axis)
    return net.quantized(value, x.shape, 1 / 256, int(np.iinfo(x.dtype).min), x.dtype)
