"""Drawers of ONNX's operators over windows and whole rows, in QDQ form: each adds one layer behind
`x` and returns its output.

As in `tflite_layers`, what they draw is what the compiler promises to take.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import draws
from .draws import Tensor
from .onnx_net import OnnxNet


def conv(net: OnnxNet, x: Tensor) -> Tensor:
    channels = x.shape[1]
    kind = net.random.choice(["plain", "plain", "grouped", "depthwise"])
    groups = {"plain": 1, "depthwise": channels}.get(kind, 2 if channels % 2 == 0 else 1)
    outputs = groups * net.random.choice([1, 2, 3, 5, 8] if groups == 1 else [1, 1, 2])
    window, spatial = _window(net, x)
    shape = (outputs, channels // groups, *window["kernel_shape"])
    parameters, scale = net.product(x, shape, 0, draws.chance(net.random, 0.8))
    value = net.node("Conv", [x.name, *parameters], group=groups, **window)
    value = _activated(net, value, scale)
    return net.quantized(value, (x.shape[0], outputs, *spatial), scale, net.zero_point(x), x.dtype)


def gemm(net: OnnxNet, x: Tensor) -> Tensor:
    outputs = net.random.randint(1, 20)
    transposed = draws.chance(net.random, 0.7)
    shape = (outputs, x.shape[1]) if transposed else (x.shape[1], outputs)
    parameters, scale = net.product(x, shape, 0 if transposed else 1, False)
    value = net.node("Gemm", [x.name, *parameters], transB=int(transposed))
    value = _activated(net, value, scale)
    return net.quantized(value, (x.shape[0], outputs), scale, net.zero_point(x), x.dtype)


def matmul(net: OnnxNet, x: Tensor) -> Tensor:
    outputs = net.random.randint(1, 20)
    parameters, scale = net.product(x, (x.shape[1], outputs), 1, False)
    value = net.node("MatMul", [x.name, parameters[0]])
    return net.quantized(value, (x.shape[0], outputs), scale, net.zero_point(x), x.dtype)


def conv_transpose(net: OnnxNet, x: Tensor) -> Tensor:
    outputs = net.random.choice([1, 2, 3, 5])
    kernel, strides = (tuple(net.random.randint(1, n) for _ in range(2)) for n in (4, 3))
    pads = [net.random.randint(0, (k - 1) // 2) for k in (*kernel, *kernel)]
    parameters, scale = net.product(x, (x.shape[1], outputs, *kernel), 1, True)
    attributes = {"kernel_shape": kernel, "strides": strides, "pads": pads}
    value = net.node("ConvTranspose", [x.name, *parameters], **attributes)
    size = [
        (n - 1) * s + k - pads[i] - pads[i + 2]
        for i, (n, s, k) in enumerate(zip(x.shape[2:], strides, kernel, strict=True))
    ]
    return net.quantized(value, (x.shape[0], outputs, *size), scale, net.zero_point(x), x.dtype)


def reduction(operator: str) -> Callable[[OnnxNet, Tensor], Tensor]:
    """ReduceMean, ReduceMax or ReduceMin over one or two axes."""

    def draw(net: OnnxNet, x: Tensor) -> Tensor:
        count = net.random.randint(1, min(2, len(x.shape) - 1))
        axes = sorted(net.random.sample(range(1, len(x.shape)), count))
        keep = net.random.randint(0, 1)
        value = net.node(operator, [x.name], axes=axes, keepdims=keep)
        shape = np.empty(x.shape, np.int8).sum(axis=tuple(axes), keepdims=bool(keep)).shape
        rescales = operator == "ReduceMean"
        return net.near(x, value, shape) if rescales else net.like(x, value, shape)

    return draw


def average_pool(net: OnnxNet, x: Tensor) -> Tensor:
    window, spatial = _window(net, x, dilates=False)
    counted = net.random.randint(0, 1)
    value = net.node("AveragePool", [x.name], count_include_pad=counted, **window)
    return net.near(x, value, (*x.shape[:2], *spatial))


def global_average_pool(net: OnnxNet, x: Tensor) -> Tensor:
    return net.near(x, net.node("GlobalAveragePool", [x.name]), (*x.shape[:2], 1, 1))


def global_max_pool(net: OnnxNet, x: Tensor) -> Tensor:
    return net.like(x, net.node("GlobalMaxPool", [x.name]), (*x.shape[:2], 1, 1))


def max_pool(net: OnnxNet, x: Tensor) -> Tensor:
    window, spatial = _window(net, x, dilates=False)
    value = net.node("MaxPool", [x.name], **window)
    return net.like(x, value, (*x.shape[:2], *spatial))


def _activated(net: OnnxNet, value: str, scale: float) -> str:
    """Often a Relu or a Clip behind a value of outputs of `scale`."""
    kind = net.random.choice(["", "", "Relu", "Clip"])
    if kind == "Relu":
        return net.node("Relu", [value])
    if kind == "Clip":
        ends = [net.constant(np.float32(end)) for end in (0, scale * net.random.randint(50, 300))]
        return net.node("Clip", [value, *ends])
    return value


def _window(
    net: OnnxNet, x: Tensor, dilates: bool = True
) -> tuple[dict[str, Any], tuple[int, int]]:
    """Attributes and output plane of a window over (N, C, H, W)."""
    extent = (x.shape[2], x.shape[3])
    kernel, strides = draws.draw_window(net.random, extent)
    dilations = (1, 1)
    if dilates and draws.chance(net.random, 0.2):
        dilations = (net.random.randint(1, 3), net.random.randint(1, 3))
        kernel = tuple(
            min(k, (n - 1) // d + 1) for k, n, d in zip(kernel, extent, dilations, strict=True)
        )
    pads = [0, 0, 0, 0]
    if draws.chance(net.random, 0.5):
        pads = [net.random.randint(0, k - 1) for k in (*kernel, *kernel)]
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": strides, "pads": pads}
    if dilates:
        attributes["dilations"] = dilations
    spatial = tuple(
        (n + pads[i] + pads[i + 2] - (k - 1) * d - 1) // s + 1
        for i, (n, k, d, s) in enumerate(zip(extent, kernel, dilations, strides, strict=True))
    )
    return attributes, (spatial[0], spatial[1])
