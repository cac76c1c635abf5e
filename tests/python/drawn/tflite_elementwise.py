"""Drawers of TFLite's operators on single elements, and softmax; as in `tflite_layers`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import draws
from .draws import Tensor
from .tflite_net import TfliteNet


def binary(operator: str) -> Callable[[TfliteNet, Tensor], Tensor]:
    """ADD, SUB or MUL with another input, a constant, or the same tensor again."""

    def draw(net: TfliteNet, x: Tensor) -> Tensor:
        other, shape = _second(net, x)
        y = net.near(x, np.broadcast_shapes(x.shape, shape))
        names = [x.name, other] if draws.chance(net.random, 0.7) else [other, x.name]
        net.add(operator, names, [y.name], **net.activation())
        return y

    return draw


def extremum(operator: str) -> Callable[[TfliteNet, Tensor], Tensor]:
    """MAXIMUM or MINIMUM of two inputs, all of one quantization."""

    def draw(net: TfliteNet, x: Tensor) -> Tensor:
        other = net.input_like(x)
        return _unary(net, x, operator, net.like(x, x.shape), others=[other.name])

    return draw


def curve(
    operator: str, output: tuple[float, int] | None = None
) -> Callable[[TfliteNet, Tensor], Tensor]:
    """A function of one number; of outputs of 8 bits some have their own (scale, zero point)."""

    def draw(net: TfliteNet, x: Tensor) -> Tensor:
        if output is None:
            return _unary(net, x, operator, net.near(x, x.shape))
        ends = output if x.dtype == "int8" else (2.0**-15, 0)
        return _unary(net, x, operator, net.make(x.shape, *ends, x.dtype))

    return draw


def leaky_relu(net: TfliteNet, x: Tensor) -> Tensor:
    alpha = draws.float32(net.random.choice([0.01, 0.1, 0.5, net.random.uniform(0, 1)]))
    return _unary(net, x, "LEAKY_RELU", net.near(x, x.shape), Alpha=alpha)


def prelu(net: TfliteNet, x: Tensor) -> Tensor:
    slopes = net.rng.integers(-128, 128, (1, 1, x.shape[-1])).astype(np.int8)
    slope = net.constant(slopes, 0.01, zero_point=net.random.randint(-128, 127))
    return _unary(net, x, "PRELU", net.near(x, x.shape), others=[slope])


def relu(net: TfliteNet, x: Tensor) -> Tensor:
    """LiteRT's of int16 to another scale rounds in a way of its own."""
    y = net.near(x, x.shape) if x.dtype == "int8" else net.like(x, x.shape)
    return _unary(net, x, "RELU", y)


def clamp(operator: str) -> Callable[[TfliteNet, Tensor], Tensor]:
    """An activation by itself; TensorFlow Lite Micro's does not rescale."""
    return lambda net, x: _unary(net, x, operator, net.like(x, x.shape))


def quantize(net: TfliteNet, x: Tensor) -> Tensor:
    return _unary(net, x, "QUANTIZE", net.near(x, x.shape))


def quantize_to_uint8(net: TfliteNet, x: Tensor) -> Tensor:
    zero_point = draws.draw_zero_point(net.random, "uint8")
    y = net.make(x.shape, draws.draw_scale(net.random, x.scale), zero_point, "uint8")
    return _unary(net, x, "QUANTIZE", y)


def softmax(net: TfliteNet, x: Tensor) -> Tensor:
    ends = (1 / 256, -128) if x.dtype == "int8" else (2.0**-15, 0)
    beta = net.random.choice([1.0, 1.0, 0.5, 2.0])
    return _unary(net, x, "SOFTMAX", net.make(x.shape, *ends, x.dtype), Beta=beta)


def _second(net: TfliteNet, x: Tensor) -> tuple[int, tuple[int, ...]]:
    """The other operand's tensor and its shape, which the tensor's own broadcasts to or from."""
    kind = net.random.choice(["input", "input", "wide", "channels", "number", "same"])
    if x.dtype != "int8" or kind == "input":
        return net.input(x.shape, x.dtype).name, x.shape
    if kind == "same":
        return x.name, x.shape
    if kind == "wide":
        axes = [axis for axis in range(len(x.shape)) if draws.chance(net.random, 0.5)]
        shape = tuple(1 if axis in axes else n for axis, n in enumerate(x.shape))
        return net.input(shape, x.dtype).name, shape
    shape = (x.shape[-1],) if kind == "channels" else (1,)
    value = net.rng.integers(-128, 128, shape).astype(x.dtype)
    zero_point = draws.draw_zero_point(net.random, x.dtype)
    return net.constant(value, draws.draw_scale(net.random), zero_point=zero_point), shape


def _unary(
    net: TfliteNet,
    x: Tensor,
    operator: str,
    y: Tensor,
    others: list[int] | None = None,
    **options: Any,
) -> Tensor:
    net.add(operator, [x.name, *(others or [])], [y.name], **options)
    return y
