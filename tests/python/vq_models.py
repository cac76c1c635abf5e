"""Tiny models of `vq.*` operators, built directly, with random weights from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tvm import relax

import vq_cortexm  # noqa: F401  (registers the operators)
from vq_cortexm.compat import constant, shape_of, tensor_type
from vq_cortexm.op.add import AddAttrs
from vq_cortexm.op.avg_pool2d import AvgPool2dAttrs
from vq_cortexm.op.conv2d import Conv2dAttrs
from vq_cortexm.op.dense import DenseAttrs
from vq_cortexm.op.depthwise_conv2d import DepthwiseConv2dAttrs
from vq_cortexm.op.max_pool2d import MaxPool2dAttrs
from vq_cortexm.op.registry import make_call
from vq_cortexm.op.reshape import ReshapeAttrs
from vq_cortexm.op.softmax import SoftmaxAttrs


class ModelBuilder:
    """Adds layers one after another; every scale is drawn so that outputs fill their range."""

    def __init__(self, shape: Sequence[int], seed: int, rounding: str = "single") -> None:
        self.rng = np.random.default_rng(seed)
        self.rounding = rounding
        self.builder = relax.BlockBuilder()
        self.input = relax.Var("x", tensor_type(shape, "int8"))
        self.layers: list[tuple[str, Any, Any]] = []

    def build(self, make: Any) -> Any:
        """The module whose output `make(self, x)` returns."""
        with self.builder.function("main", [self.input]):
            with self.builder.dataflow():
                output = self.builder.emit_output(make(self, self.input))
            self.builder.emit_func_output(output)
        module = self.builder.get()
        module["main"] = module["main"].with_attrs(
            {"vq.rounding": self.rounding, "vq.quantization": {"inputs": [{}], "outputs": [{}]}}
        )
        return module

    def emit(self, name: str, args: list[Any], attrs: Any, label: str) -> Any:
        return self.builder.emit(make_call(name, args, attrs), name_hint=label)

    def ends(self, y_min: int = -128) -> dict[str, Any]:
        return {
            "y_scale": 0.05,
            "y_zero_point": int(self.rng.integers(-20, 20)),
            "y_min": y_min,
            "y_max": 127,
            "rounding": self.rounding,
        }

    def weights(self, shape: tuple[int, ...], channels: int, fan_in: int) -> list[Any]:
        w = self.rng.integers(-127, 128, shape).astype(np.int8)
        b = self.rng.integers(-2000, 2000, channels).astype(np.int32)
        # outputs of about +-100: the sum of fan_in products of +-70 each way
        scale = 0.05 * 100 / (0.02 * 70 * 70 * np.sqrt(fan_in) * 2)
        scales = (scale * self.rng.uniform(0.5, 1.0, channels)).astype(np.float32)
        return [constant(w), constant(b), constant(scales)]

    def conv2d(self, x: Any, channels: int, kernel: int, label: str, **options: Any) -> Any:
        depth = shape_of(x)[3]
        pad = options.get("pad", 0)
        attrs = Conv2dAttrs(
            strides=options.get("strides", (1, 1)),
            padding=(pad,) * 4,
            dilation=(1, 1),
            groups=1,
            x_scale=0.02,
            x_zero_point=-3,
            **self.ends(),
        )
        w = self.weights((channels, kernel, kernel, depth), channels, kernel * kernel * depth)
        return self.emit("vq.conv2d", [x, *w], attrs, label)

    def depthwise(self, x: Any, kernel: int, label: str, strides: int = 1) -> Any:
        channels, pad = shape_of(x)[3], kernel // 2
        attrs = DepthwiseConv2dAttrs(
            strides=(strides, strides),
            padding=(pad,) * 4,
            dilation=(1, 1),
            x_scale=0.02,
            x_zero_point=5,
            **self.ends(),
        )
        w = self.weights((kernel, kernel, channels), channels, kernel * kernel)
        return self.emit("vq.depthwise_conv2d", [x, *w], attrs, label)

    def dense(self, x: Any, outputs: int, label: str) -> Any:
        depth = shape_of(x)[-1]
        attrs = DenseAttrs(x_scale=0.02, x_zero_point=7, **self.ends())
        return self.emit(
            "vq.dense", [x, *self.weights((outputs, depth), outputs, depth)], attrs, label
        )

    def add(self, a: Any, b: Any, label: str) -> Any:
        attrs = AddAttrs(
            a_scale=0.03, a_zero_point=1, b_scale=0.04, b_zero_point=-2, **self.ends(y_min=-40)
        )
        return self.emit("vq.add", [a, b], attrs, label)

    def max_pool(self, x: Any, label: str) -> Any:
        ends = {**self.ends(), "y_scale": 0.02, "y_zero_point": 4}
        attrs = MaxPool2dAttrs((2, 2), (2, 2), (0, 0, 0, 0), x_scale=0.02, x_zero_point=4, **ends)
        return self.emit("vq.max_pool2d", [x], attrs, label)

    def avg_pool(self, x: Any, size: int, label: str) -> Any:
        ends = {**self.ends(), "y_scale": 0.02, "y_zero_point": 4}
        attrs = AvgPool2dAttrs(
            (size, size), (size, size), (0, 0, 0, 0), x_scale=0.02, x_zero_point=4, **ends
        )
        return self.emit("vq.avg_pool2d", [x], attrs, label)

    def flatten(self, x: Any, label: str) -> Any:
        shape = shape_of(x)
        return self.emit(
            "vq.reshape", [x], ReshapeAttrs((shape[0], int(np.prod(shape[1:])))), label
        )

    def softmax(self, x: Any, label: str) -> Any:
        attrs = SoftmaxAttrs(
            beta=1.0,
            x_scale=0.05,
            x_zero_point=0,
            y_scale=1 / 256,
            y_zero_point=-128,
            y_min=-128,
            y_max=127,
            rounding=self.rounding,
        )
        return self.emit("vq.softmax", [x], attrs, label)


def tiny_conv(rounding: str = "single") -> Any:
    """Padded 3x3 convolution with a channel count that leaves a remainder, max pooling."""
    model = ModelBuilder((1, 6, 6, 3), seed=1, rounding=rounding)
    return model.build(lambda m, x: m.max_pool(m.conv2d(x, 6, 3, "conv", pad=1), "pool"))


def tiny_residual(rounding: str = "single") -> Any:
    """Depthwise and pointwise layers around a residual sum, average pooling."""

    def make(m: ModelBuilder, x: Any) -> Any:
        first = m.conv2d(x, 4, 1, "first")
        wide = m.conv2d(m.depthwise(first, 3, "depthwise"), 4, 1, "pointwise")
        return m.avg_pool(m.add(first, wide, "sum"), 5, "mean")

    return ModelBuilder((1, 5, 5, 4), seed=2, rounding=rounding).build(make)


def tiny_classifier(rounding: str = "single") -> Any:
    """Strided convolution, dense layer, softmax."""

    def make(m: ModelBuilder, x: Any) -> Any:
        y = m.flatten(m.conv2d(x, 5, 3, "conv", strides=(2, 2)), "flat")
        return m.softmax(m.dense(y, 7, "dense"), "softmax")

    return ModelBuilder((1, 7, 5, 2), seed=3, rounding=rounding).build(make)


TINY_MODELS = {
    "tiny_conv": tiny_conv,
    "tiny_residual": tiny_residual,
    "tiny_classifier": tiny_classifier,
}
