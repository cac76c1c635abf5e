"""Nets with channels that are constant, and what removing those must not change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from vq_models import ModelBuilder

from vq_cortexm.compat import constant, op_name, shape_of
from vq_cortexm.op.add import AddAttrs
from vq_cortexm.op.avg_pool2d import AvgPool2dAttrs
from vq_cortexm.op.concat import ConcatAttrs
from vq_cortexm.op.conv2d import Conv2dAttrs
from vq_cortexm.op.dense import DenseAttrs
from vq_cortexm.op.depthwise_conv2d import DepthwiseConv2dAttrs
from vq_cortexm.op.max_pool2d import MaxPool2dAttrs
from vq_cortexm.op.pad import PadAttrs
from vq_cortexm.op.requantize import RequantizeAttrs
from vq_cortexm.reference import run_reference
from vq_cortexm.transform.remove_constant_channels import RemoveConstantChannels
from vq_cortexm.transform.rewriting import bindings_of

ROUNDINGS = ("single", "double", "float")
ZERO_POINT = -5
SCALE = 0.05
RELU = {"y_min": ZERO_POINT}
ALWAYS_CLAMPED = -(1 << 24)

each_rounding = pytest.mark.parametrize("rounding", ROUNDINGS)


class Net(ModelBuilder):
    """Layers whose tensors all have one scale and zero point, so only weights tell channels apart.

    `dead` maps output channels to biases: their weights are zero.
    """

    def ends(self, y_min: int = -128) -> dict[str, Any]:
        return {
            "y_scale": SCALE,
            "y_zero_point": ZERO_POINT,
            "y_min": y_min,
            "y_max": 127,
            "rounding": self.rounding,
        }

    def around(self, y_min: int = -128) -> dict[str, Any]:
        return {"x_scale": SCALE, "x_zero_point": ZERO_POINT, **self.ends(y_min)}

    def constants(self, shape: tuple[int, ...], axis: int, dead: dict[int, int]) -> list[Any]:
        channels, fan_in = shape[axis], int(np.prod(shape)) // shape[axis]
        w = self.rng.integers(-127, 128, shape).astype(np.int8)
        b = self.rng.integers(-2000, 2000, channels).astype(np.int32)
        for channel, bias in dead.items():
            np.moveaxis(w, axis, 0)[channel] = 0
            b[channel] = bias
        scales = self.rng.uniform(0.006, 0.012, channels) / np.sqrt(fan_in)
        return [constant(w), constant(b), constant(scales.astype(np.float32))]

    def window(self, pad: int, y_min: int) -> dict[str, Any]:
        around = self.around(y_min)
        return {"strides": (1, 1), "padding": (pad,) * 4, "dilation": (1, 1), **around}

    def conv(
        self,
        x: Any,
        channels: int,
        label: str,
        *,
        kernel: int = 1,
        pad: int = 0,
        groups: int = 1,
        dead: dict[int, int] | None = None,
        y_min: int = -128,
    ) -> Any:
        shape = (channels, kernel, kernel, shape_of(x)[3] // groups)
        attrs = Conv2dAttrs(groups=groups, **self.window(pad, y_min))
        return self.emit("vq.conv2d", [x, *self.constants(shape, 0, dead or {})], attrs, label)

    def depthwise_conv(
        self,
        x: Any,
        label: str,
        *,
        kernel: int = 3,
        pad: int = 0,
        multiplier: int = 1,
        dead: dict[int, int] | None = None,
        y_min: int = -128,
    ) -> Any:
        shape = (kernel, kernel, shape_of(x)[3] * multiplier)
        attrs = DepthwiseConv2dAttrs(**self.window(pad, y_min))
        w = self.constants(shape, 2, dead or {})
        return self.emit("vq.depthwise_conv2d", [x, *w], attrs, label)

    def full(self, x: Any, outputs: int, label: str, dead: dict[int, int] | None = None) -> Any:
        w = self.constants((outputs, shape_of(x)[-1]), 0, dead or {})
        return self.emit("vq.dense", [x, *w], DenseAttrs(**self.around()), label)

    def sum(self, a: Any, b: Any, label: str) -> Any:
        scales = {"a_scale": SCALE, "b_scale": SCALE}
        zeros = {"a_zero_point": ZERO_POINT, "b_zero_point": ZERO_POINT}
        return self.emit("vq.add", [a, b], AddAttrs(**scales, **zeros, **self.ends()), label)

    def pool(self, x: Any, label: str, kind: str = "avg", pad: int = 0) -> Any:
        record = AvgPool2dAttrs if kind == "avg" else MaxPool2dAttrs
        attrs = record((2, 2), (1, 1), (pad,) * 4, **self.around())
        return self.emit(f"vq.{kind}_pool2d", [x], attrs, label)

    def rescale(self, x: Any, label: str) -> Any:
        attrs = RequantizeAttrs(**{**self.around(), "x_scale": 0.8 * SCALE})
        return self.emit("vq.requantize", [x], attrs, label)

    def join(self, axis: int, *parts: Any) -> Any:
        return self.emit("vq.concat", list(parts), ConcatAttrs(axis), "join")

    def border(self, x: Any, label: str, value: int = 3) -> Any:
        return self.emit("vq.pad", [x], PadAttrs((0, 0, 1, 0, 0, 1, 0, 0), value), label)


def net(
    make: Callable[[Net, Any], Any],
    rounding: str = "single",
    shape: tuple[int, ...] = (1, 7, 6, 3),
    seed: int = 0,
) -> Any:
    return Net(shape, seed, rounding).build(make)


def samples(module: Any, count: int = 6) -> list[Any]:
    shape = shape_of(module["main"].params[0])
    rng = np.random.default_rng(count)
    levels = [np.full(shape, value, np.int8) for value in (-128, ZERO_POINT, 127)]
    corners = rng.choice(np.array([-128, 127], np.int8), shape)
    drawn = [rng.integers(-128, 128, shape).astype(np.int8) for _ in range(count)]
    return [*levels, corners, *drawn]


def removed(module: Any) -> dict[str, tuple[int, int]]:
    """Channels removed and channels before, by layer; asserts that no output bit changed."""
    after = RemoveConstantChannels()(module)
    for x in samples(module):
        expected, actual = run_reference(module, [x]), run_reference(after, [x])
        assert len(expected) == len(actual)
        for e, a in zip(expected, actual, strict=True):
            assert e.dtype == a.dtype
            np.testing.assert_array_equal(e, a)
    report = after["main"].attrs["vq.removed"]
    assert report["macs_after"] <= report["macs_before"]
    assert (report["macs_after"] < report["macs_before"]) == bool(report["layers"])
    names = [[str(v.name) for v, _ in bindings_of(m["main"])] for m in (module, after)]
    assert names[0] == names[1]
    shapes = {str(v.name): shape_of(v) for v, call in bindings_of(after["main"]) if op_name(call)}
    for name, lost in report["layers"].items():
        assert shapes[str(name)][-1] == int(lost["channels"]) - int(lost["removed"])
    return {str(k): (int(v["removed"]), int(v["channels"])) for k, v in report["layers"].items()}
