"""FusePad: no pad where the layer behind it pads by itself, and never another result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tvm import relax
from vq_models import ModelBuilder

from vq_cortexm.build import build_folded
from vq_cortexm.compat import op_name, shape_of
from vq_cortexm.op.avg_pool2d import AvgPool2dAttrs
from vq_cortexm.op.conv2d import Conv2dAttrs
from vq_cortexm.op.depthwise_conv2d import DepthwiseConv2dAttrs
from vq_cortexm.op.max_pool2d import MaxPool2dAttrs
from vq_cortexm.op.pad import PadAttrs
from vq_cortexm.op.transpose import TransposeAttrs
from vq_cortexm.reference import run_reference
from vq_cortexm.samples import random_samples
from vq_cortexm.transform import FusePad

ZERO_POINT = -9
X = {"x_scale": 0.02, "x_zero_point": ZERO_POINT}
Make = Callable[["_Net", Any], Any]


class _Net(ModelBuilder):
    def pad(self, x: Any, *width: int, value: int = ZERO_POINT) -> Any:
        return self.emit("vq.pad", [x], PadAttrs(width, value), "pad")

    def transpose(self, x: Any, *axes: int) -> Any:
        return self.emit("vq.transpose", [x], TransposeAttrs(axes), "transpose")

    def conv(self, x: Any, kernel: int = 3, own: int = 0, dilation: int = 1) -> Any:
        attrs = Conv2dAttrs((2, 1), (own,) * 4, (dilation,) * 2, 1, **X, **self.ends())
        w = self.weights((5, kernel, kernel, shape_of(x)[3]), 5, kernel * kernel * 3)
        return self.emit("vq.conv2d", [x, *w], attrs, "conv")

    def depthwise(self, x: Any) -> Any:
        attrs = DepthwiseConv2dAttrs((1, 2), (0, 1, 0, 0), (1, 1), **X, **self.ends())
        channels = shape_of(x)[3]
        w = self.weights((3, 3, channels), channels, 9)
        return self.emit("vq.depthwise_conv2d", [x, *w], attrs, "depthwise")

    def pool(self, x: Any, kind: str = "max") -> Any:
        record = MaxPool2dAttrs if kind == "max" else AvgPool2dAttrs
        same = {"y_scale": 0.02, "y_zero_point": ZERO_POINT, "y_min": -128, "y_max": 127}
        attrs = record((3, 2), (1, 1), (0, 0, 0, 0), **X, **same)
        return self.emit(f"vq.{kind}_pool2d", [x], attrs, "pool")


def fused(make: Make) -> list[str]:
    """What is left; asserts that no output changed, of the module and of its C."""
    before = _Net((1, 6, 7, 3), seed=1).build(make)
    after = FusePad()(before)
    compiled = build_folded(after)
    samples = random_samples(compiled.program.inputs, 4, seed=2)
    result = compiled.run(samples, "host", check=True, poison=True)
    assert result.bit_exact
    for sample, (got,) in zip(samples, result.outputs, strict=True):
        (want,) = run_reference(before, sample)
        np.testing.assert_array_equal(got, want)
    bindings = [b for block in after["main"].body.blocks for b in block.bindings]
    return [op_name(b.value).removeprefix("vq.") for b in bindings if op_name(b.value)]


AROUND = (0, 0, 1, 2, 2, 0, 0, 0)
"""Rows and columns: 1 above, 2 below, 2 to the left."""


@pytest.mark.parametrize(
    ("make", "left"),
    [
        (lambda m, x: m.conv(m.pad(x, *AROUND)), ["conv2d"]),
        (lambda m, x: m.conv(m.pad(x, 0, 0, 1, 1, 1, 0, 0, 0), own=1), ["conv2d"]),
        (lambda m, x: m.conv(m.pad(x, 0, 0, 2, 4, 3, 3, 0, 0), dilation=2), ["conv2d"]),
        (lambda m, x: m.depthwise(m.pad(x, 0, 0, 1, 2, 1, 2, 0, 0)), ["depthwise_conv2d"]),
        (lambda m, x: m.pool(m.pad(x, 0, 0, 2, 1, 1, 1, 0, 0, value=-128)), ["max_pool2d"]),
        (
            lambda m, x: m.conv(m.transpose(m.pad(x, 0, 0, 0, 0, 1, 0, 0, 2), 0, 2, 3, 1)),
            ["transpose", "conv2d"],
        ),
    ],
    ids=["conv", "own padding", "dilation", "depthwise", "max pool", "transposed"],
)
def test_pad_becomes_padding(make: Make, left: list[str]) -> None:
    assert fused(make) == left


@pytest.mark.parametrize(
    ("make", "left"),
    [
        (lambda m, x: m.conv(m.pad(x, *AROUND, value=0)), ["pad", "conv2d"]),
        (lambda m, x: m.conv(m.pad(x, 0, 0, 1, 1, 1, 1, 0, 1)), ["pad", "conv2d"]),
        (lambda m, x: m.conv(m.pad(x, 0, 0, 3, 0, 0, 0, 0, 0)), ["pad", "conv2d"]),
        (lambda m, x: m.conv(m.pad(x, 0, 0, 0, 0, 0, 2, 0, 0), own=1), ["pad", "conv2d"]),
        (lambda m, x: m.pool(m.pad(x, *AROUND)), ["pad", "max_pool2d"]),
        (lambda m, x: m.pool(m.pad(x, *AROUND), "avg"), ["pad", "avg_pool2d"]),
        (lambda m, x: m.pad(x, *AROUND), ["pad"]),
    ],
    ids=["value", "channels", "window above", "window beside", "zero in a pool", "mean", "alone"],
)
def test_pad_that_is_something_else_stays(make: Make, left: list[str]) -> None:
    assert fused(make) == left


def test_pad_stays_for_those_that_need_it() -> None:
    def make(net: _Net, x: Any) -> Any:
        padded = net.pad(x, *AROUND)
        return relax.Tuple([net.conv(padded), net.pool(padded, "avg")])

    before = _Net((1, 6, 7, 3), seed=3)
    module = before.build(lambda m, x: m.builder.emit(make(m, x)))
    after = FusePad()(module)
    bindings = [b for block in after["main"].body.blocks for b in block.bindings]
    names = [op_name(b.value) for b in bindings if op_name(b.value)]
    assert sorted(names) == ["vq.avg_pool2d", "vq.conv2d", "vq.pad"]
    (x,) = random_samples(build_folded(after).program.inputs, 1, seed=1)
    for want, got in zip(run_reference(module, x), run_reference(after, x), strict=True):
        np.testing.assert_array_equal(want, got)


def test_names_and_attributes_stay() -> None:
    module = _Net((1, 6, 7, 3), seed=1).build(lambda m, x: m.conv(m.pad(x, *AROUND)))
    after = FusePad()(module)
    assert str(after["main"].attrs["vq.rounding"]) == "single"
    (binding,) = [b for block in after["main"].body.blocks for b in block.bindings][:1]
    assert binding.var.name == "conv"
