"""TFLite models like MLPerf Tiny's four, but small: the layers that those have, weights drawn."""

from __future__ import annotations

import numpy as np
from tflite_builder import TfliteBuilder

SCALE, ZERO_POINT = 0.05, -5
RELU, RELU6 = ({"FusedActivationFunction": name} for name in ("RELU", "RELU6"))


class Net(TfliteBuilder):
    """Layers one after another; all activations have one scale and fill their range."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.rng = np.random.default_rng(seed)

    def activation(self, *shape: int) -> int:
        """A tensor of batch 1."""
        return self.tensor((1, *shape), SCALE, ZERO_POINT)

    def weights(self, shape: tuple[int, ...], axis: int, per_tensor: bool = False) -> list[int]:
        """Bell-shaped weights and their bias; the first channel along `axis` is dead."""
        channels = shape[axis]
        w = np.clip(np.rint(self.rng.normal(0, 40, shape)), -127, 127)
        np.moveaxis(w, axis, 0)[0] = 0
        scale = self.rng.uniform(0.5, 1.5, 1 if per_tensor else channels)
        scale = (scale / (40 * (np.prod(shape) / channels) ** 0.5)).astype(np.float32)
        b = self.rng.integers(-3000, 3000, channels).astype(np.int32)
        return [
            self.constant(w.astype(np.int8), scale, axis),
            self.constant(b, np.float32(SCALE) * scale),
        ]

    def conv(self, x: int, shape: tuple[int, ...], out: tuple[int, ...], stride: int = 1) -> int:
        """Padded convolution with weights of `shape` (OHWI) and ReLU."""
        y = self.activation(*out)
        options = {"StrideH": stride, "StrideW": stride, **RELU}
        self.add("CONV_2D", [x, *self.weights(shape, 0)], [y], Padding="SAME", **options)
        return y

    def depthwise(self, x: int, shape: tuple[int, ...], out: tuple[int, ...]) -> int:
        """Padded 3x3 depthwise convolution and ReLU6."""
        y = self.activation(*out)
        options = {"StrideH": 1, "StrideW": 1, "DepthMultiplier": 1, **RELU6}
        self.add("DEPTHWISE_CONV_2D", [x, *self.weights(shape, 3)], [y], Padding="SAME", **options)
        return y

    def dense(self, x: int, inputs: int, outputs: int, scale: float = SCALE) -> int:
        """Fully connected layer with one weight scale, as converters write it."""
        y = self.tensor((1, outputs), scale, ZERO_POINT)
        self.add("FULLY_CONNECTED", [x, *self.weights((outputs, inputs), 0, True)], [y])
        return y

    def head(self, x: int, height: int, width: int, channels: int) -> int:
        """Average over all pixels and a classifier of four whose scale is fine."""
        window = {"FilterHeight": height, "FilterWidth": width, "StrideH": 1, "StrideW": 1}
        pooled, flat = self.activation(1, 1, channels), self.activation(channels)
        self.add("AVERAGE_POOL_2D", [x], [pooled], Padding="VALID", **window)
        shape = self.constant(np.array([1, channels], np.int32))
        self.add("RESHAPE", [pooled, shape], [flat], NewShape=[1, channels])
        return self.dense(flat, channels, 4, SCALE / 16)


def autoencoder() -> bytes:
    """Dense layers alone."""
    net = Net(seed=1)
    x = y = net.activation(40)
    for inputs, outputs in ((40, 24), (24, 6), (6, 24), (24, 40)):
        y = net.dense(y, inputs, outputs)
    return net.build([x], [y])


def keywords() -> bytes:
    """Depthwise separable layers."""
    net = Net(seed=2)
    x = net.activation(10, 6, 1)
    y = net.conv(x, (12, 5, 4, 1), (5, 3, 12), stride=2)
    y = net.conv(net.depthwise(y, (1, 3, 3, 12), (5, 3, 12)), (10, 1, 1, 12), (5, 3, 10))
    return net.build([x], [net.head(y, 5, 3, 10)])


def residual() -> bytes:
    """A sum of two branches."""
    net = Net(seed=3)
    x = net.activation(8, 8, 3)
    stem = net.conv(x, (8, 3, 3, 3), (8, 8, 8))
    deep = net.conv(net.conv(stem, (8, 3, 3, 8), (8, 8, 8)), (8, 3, 3, 8), (8, 8, 8))
    total = net.activation(8, 8, 8)
    net.add("ADD", [stem, deep], [total], **RELU)
    y = net.conv(total, (12, 3, 3, 8), (4, 4, 12), stride=2)
    return net.build([x], [net.head(y, 4, 4, 12)])


def wake_words() -> bytes:
    """Depthwise layers between wider and wider 1x1 ones."""
    net = Net(seed=4)
    x = net.activation(12, 12, 3)
    y = net.conv(x, (8, 3, 3, 3), (6, 6, 8), stride=2)
    for inputs, outputs in ((8, 16), (16, 24)):
        y = net.depthwise(y, (1, 3, 3, inputs), (6, 6, inputs))
        y = net.conv(y, (outputs, 1, 1, inputs), (6, 6, outputs))
    return net.build([x], [net.head(y, 6, 6, 24)])


NETS = {net.__name__: net for net in (autoencoder, keywords, residual, wake_words)}
