"""Drawers of TFLite's operators over windows and whole rows: each adds one layer behind `x` and
returns its output.

They draw what the compiler promises to take; a file that is refused is a failure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tflite_builder import same_padding

from . import draws
from .draws import Tensor
from .tflite_net import TfliteNet


def conv_2d(net: TfliteNet, x: Tensor) -> Tensor:
    channels = x.shape[3]
    groups = net.random.choice([g for g in (1, 1, 1, 2, 4) if channels % g == 0])
    outputs = groups * net.random.choice([1, 2, 3, 4, 5, 8, 9, 16] if groups == 1 else [1, 2, 3])
    kernel, options, spatial = _window(net, x)
    constants, scale = net.product(
        x, (outputs, *kernel, channels // groups), 0, draws.chance(net.random, 0.8)
    )
    y = net.output(x, (x.shape[0], *spatial, outputs), scale)
    net.add("CONV_2D", [x.name, *constants], [y.name], **options, **net.activation())
    return y


def depthwise_conv_2d(net: TfliteNet, x: Tensor) -> Tensor:
    multiplier = net.random.choice([1, 1, 1, 2, 3])
    outputs = x.shape[3] * multiplier
    kernel, options, spatial = _window(net, x)
    constants, scale = net.product(x, (1, *kernel, outputs), 3, draws.chance(net.random, 0.8))
    y = net.output(x, (x.shape[0], *spatial, outputs), scale)
    net.add(
        "DEPTHWISE_CONV_2D",
        [x.name, *constants],
        [y.name],
        DepthMultiplier=multiplier,
        **options,
        **net.activation(),
    )
    return y


def fully_connected(net: TfliteNet, x: Tensor) -> Tensor:
    return dense(net, x, net.random.randint(1, 20))


def dense(net: TfliteNet, x: Tensor, outputs: int) -> Tensor:
    """A fully connected layer of so many outputs."""
    inputs = int(np.prod(x.shape[1:]))
    # LiteRT's of int16 round another way without a bias
    has_bias = x.dtype == "int16" or draws.chance(net.random, 0.8)
    constants, scale = net.product(x, (outputs, inputs), 0, False, has_bias)
    y = net.output(x, (x.shape[0], outputs), scale)
    net.add("FULLY_CONNECTED", [x.name, *constants], [y.name], **net.activation())
    return y


def average_pool_2d(net: TfliteNet, x: Tensor) -> Tensor:
    return _pool(net, x, "AVERAGE_POOL_2D")


def max_pool_2d(net: TfliteNet, x: Tensor) -> Tensor:
    return _pool(net, x, "MAX_POOL_2D")


def reduction(operator: str) -> Callable[[TfliteNet, Tensor], Tensor]:
    """MEAN, SUM, REDUCE_MAX or REDUCE_MIN over any axes; the last two do not rescale."""

    def draw(net: TfliteNet, x: Tensor) -> Tensor:
        count = min(net.random.choice([1, 1, 2, 3]), len(x.shape) - 1)
        axes = sorted(net.random.sample(range(1, len(x.shape)), count))
        keep = draws.chance(net.random, 0.5)
        shape = np.empty(x.shape, np.int8).sum(axis=tuple(axes), keepdims=keep).shape
        y = net.near(x, shape) if operator in ("MEAN", "SUM") else net.like(x, shape)
        net.add(operator, [x.name, net.ints(axes)], [y.name], KeepDims=keep)
        return y

    return draw


def transpose_conv(net: TfliteNet, x: Tensor) -> Tensor:
    outputs = net.random.choice([1, 2, 3, 5, 8])
    kernel = (net.random.randint(1, 4), net.random.randint(1, 4))
    strides = (net.random.randint(1, 3), net.random.randint(1, 3))
    # LiteRT leaves kernels shorter than their strides to another back end where they are padded
    reaches = all(k >= s for k, s in zip(kernel, strides, strict=True))
    padding = net.random.choice(["SAME", "VALID"]) if reaches else "VALID"
    size = [
        n * s if padding == "SAME" else (n - 1) * s + max(k, s)
        for n, s, k in zip(x.shape[1:3], strides, kernel, strict=True)
    ]
    constants, scale = net.product(x, (outputs, *kernel, x.shape[3]), 0, True)
    y = net.output(x, (x.shape[0], *size, outputs), scale)
    weight, bias = constants
    inputs = [net.ints(y.shape), weight, x.name, bias]
    options = {"Padding": padding, "StrideH": strides[0], "StrideW": strides[1]}
    net.add("TRANSPOSE_CONV", inputs, [y.name], **options)
    return y


def _window(
    net: TfliteNet, x: Tensor, dilates: bool = True, largest: int = 5
) -> tuple[tuple[int, int], dict[str, Any], tuple[int, int]]:
    """Kernel, options and output plane of a window over (N, H, W, C)."""
    extent = (x.shape[1], x.shape[2])
    kernel, strides = draws.draw_window(net.random, extent, largest)
    dilation = (1, 1)
    if dilates and draws.chance(net.random, 0.2):
        dilation = (net.random.randint(1, 3), net.random.randint(1, 3))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    fits = all(r <= n for r, n in zip(reach, extent, strict=True))
    padding = "VALID" if fits and draws.chance(net.random, 0.5) else "SAME"
    top, left, bottom, right = (
        same_padding(extent, kernel, strides, dilation) if padding == "SAME" else (0, 0, 0, 0)
    )
    rows = (extent[0] + top + bottom - reach[0]) // strides[0] + 1
    columns = (extent[1] + left + right - reach[1]) // strides[1] + 1
    options = {"Padding": padding, "StrideH": strides[0], "StrideW": strides[1]}
    if dilates:
        options |= {"DilationHFactor": dilation[0], "DilationWFactor": dilation[1]}
    return kernel, options, (rows, columns)


def _pool(net: TfliteNet, x: Tensor, operator: str) -> Tensor:
    kernel, options, spatial = _window(net, x, dilates=False)
    y = net.like(x, (x.shape[0], *spatial, x.shape[3]))
    size = {"FilterHeight": kernel[0], "FilterWidth": kernel[1]}
    net.add(operator, [x.name], [y.name], **options, **size, **net.activation())
    return y
