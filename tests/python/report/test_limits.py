"""Limits of layers against sums by hand, and against what the emulator measures."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from vq_models import TINY_MODELS

from vq_cortexm.build import build_folded
from vq_cortexm.kernels.layer import Layer, TensorSpec
from vq_cortexm.op.add import AddAttrs
from vq_cortexm.op.avg_pool2d import AvgPool2dAttrs
from vq_cortexm.op.conv2d import Conv2dAttrs
from vq_cortexm.op.dense import DenseAttrs
from vq_cortexm.op.depthwise_conv2d import DepthwiseConv2dAttrs
from vq_cortexm.op.max_pool2d import MaxPool2dAttrs
from vq_cortexm.op.registry import OPS
from vq_cortexm.report.limits import LIMITS, LayerLimit, layer_limits
from vq_cortexm.samples import random_samples
from vq_cortexm.target import CORES

X = {"x_scale": 0.1, "x_zero_point": 0}
Y = {"y_scale": 0.1, "y_zero_point": 0, "y_min": -128, "y_max": 127}
POINT: dict[str, Any] = {"strides": (1, 1), "padding": (0, 0, 0, 0), "dilation": (1, 1)}
SAME = POINT | {"padding": (1, 1, 1, 1)}


def limit_of(op: str, x: tuple[int, ...], attrs: Any, *weight: tuple[int, ...]) -> LayerLimit:
    """Of a layer on inputs of shape `x` with weights of shape `weight`."""
    spec = OPS[op]
    shapes = [*weight, (1,), (1,)] if weight else [x] * (spec.num_inputs - 1)
    y = TensorSpec(spec.output_shape(x, *shapes, attrs), "int8")
    constants = tuple(np.zeros(shape, np.int8) for shape in weight)
    inputs = (TensorSpec(x, "int8"),) * (1 if weight else spec.num_inputs)
    return LIMITS[op](Layer(op, attrs, inputs, constants, y))


def conv2d(
    x: tuple[int, ...], weight: tuple[int, ...], groups: int = 1, **window: Any
) -> LayerLimit:
    attrs = Conv2dAttrs(**(POINT | window), groups=groups, **X, **Y)
    return limit_of("vq.conv2d", x, attrs, weight)


def depthwise(x: tuple[int, ...], weight: tuple[int, ...], **window: Any) -> LayerLimit:
    attrs = DepthwiseConv2dAttrs(**(POINT | window), **X, **Y)
    return limit_of("vq.depthwise_conv2d", x, attrs, weight)


def test_pointwise_convolution() -> None:
    limit = conv2d((1, 25, 5, 64), (32, 1, 1, 64))
    assert limit.parts == {
        "MAC": 125 * 32 * 64 * 15 / 16,
        "widening": 125 * 64 * 21 / 16,
        "requantization": 125 * 32 * 4.75,
    }
    assert limit.cycles == 240_000 + 10_500 + 19_000
    assert limit.limited_by == "MAC"


def test_what_a_stride_skips_is_not_widened() -> None:
    limit = conv2d((1, 16, 16, 32), (64, 1, 1, 32), strides=(2, 2))
    assert limit.parts["widening"] == 8 * 8 * 32 * 21 / 16


def test_padding_is_not_multiplied() -> None:
    limit = conv2d((1, 8, 8, 4), (6, 3, 3, 4), **SAME)
    assert limit.parts["MAC"] == 22 * 22 * 4 * 6 * 15 / 16
    assert limit.parts["widening"] == 8 * 8 * 4 * 21 / 16


def test_groups_share_the_inputs() -> None:
    limit = conv2d((2, 4, 4, 6), (8, 1, 1, 3), groups=2)
    assert limit.parts["MAC"] == 2 * 16 * 8 * 3 * 15 / 16
    assert limit.parts["widening"] == 2 * 16 * 6 * 21 / 16


@pytest.mark.parametrize(
    ("stride", "dilation", "padding", "extent"),
    [
        (1, 1, (0, 0), 7),
        (2, 1, (1, 0), 8),
        (3, 2, (2, 1), 9),
        (2, 3, (0, 4), 10),
        (4, 1, (0, 0), 9),
    ],
)
def test_window_against_its_enumeration(
    stride: int, dilation: int, padding: tuple[int, int], extent: int
) -> None:
    before, after = padding
    window = {
        "strides": (stride, 1),
        "dilation": (dilation, 1),
        "padding": (before, 0, after, 0),
    }
    limit = depthwise((1, extent, 3, 1), (3, 2, 1), **window)
    outputs = (extent + before + after - 2 * dilation - 1) // stride + 1
    rows = [
        row
        for o, k in product(range(outputs), range(3))
        if 0 <= (row := o * stride + k * dilation - before) < extent
    ]
    assert limit.parts["MAC"] == len(rows) * 2 * 2
    assert limit.parts["widening"] == len(set(rows)) * 3 * 29 / 16


def test_dense() -> None:
    limit = limit_of("vq.dense", (1, 640), DenseAttrs(**X, **Y), (128, 640))
    assert limit.parts == {
        "MAC": 640 * 128 * 19 / 16,
        "widening": 640 * 21 / 16,
        "requantization": 128 * 6,
    }


def test_one_pixel_is_dense_and_many_rows_are_a_convolution() -> None:
    one = limit_of("vq.dense", (1, 24), DenseAttrs(**X, **Y), (10, 24))
    assert conv2d((1, 1, 1, 24), (10, 1, 1, 24)).parts == one.parts
    many = limit_of("vq.dense", (5, 24), DenseAttrs(**X, **Y), (10, 24))
    assert conv2d((1, 1, 5, 24), (10, 1, 1, 24)).parts == many.parts


def test_depthwise_with_two_channels_for_each() -> None:
    limit = depthwise((1, 6, 6, 4), (3, 3, 8), **SAME)
    assert limit.parts == {
        "MAC": 16 * 16 * 8,
        "widening": 6 * 6 * 4 * 29 / 16,
        "requantization": 6 * 6 * 8 * 3,
    }


def test_depthwise_that_skips_most_is_limited_by_widening() -> None:
    assert depthwise((1, 9, 9, 2), (1, 1, 2)).limited_by == "requantization"
    assert depthwise((1, 12, 12, 2), (3, 3, 2), strides=(3, 3)).limited_by == "widening"


def test_add() -> None:
    scales = {"a_scale": 0.1, "a_zero_point": 0, "b_scale": 0.2, "b_zero_point": 0}
    limit = limit_of("vq.add", (1, 4, 4, 2), AddAttrs(**scales, **Y))
    assert limit.parts == {"elements": 32 * 45 / 8}
    assert limit.cycles == 180


def test_pooling() -> None:
    shape, pool = (1, 5, 5, 8), {"pool_size": (2, 2), "strides": (2, 2), "padding": (0, 0, 0, 0)}
    average = limit_of("vq.avg_pool2d", shape, AvgPool2dAttrs(**pool, **X, **Y))
    assert average.parts == {"elements": 4 * 4 * 8 * 13 / 16, "requantization": 2 * 2 * 8 * 3}
    largest = limit_of("vq.max_pool2d", shape, MaxPool2dAttrs(**pool, **X, **Y))
    assert largest.parts == {"elements": 4 * 4 * 8 * 13 / 16}


@pytest.mark.parametrize("core", [core for core in CORES.values() if not core.models_cycles])
def test_no_limit_without_a_cycle_model(core: Any) -> None:
    assert set(layer_limits(TINY_MODELS["tiny_residual"](), core)) == {None}


@pytest.mark.parametrize("name", TINY_MODELS)
def test_no_layer_is_below_its_limit(name: str) -> None:
    compiled = build_folded(TINY_MODELS[name](), name=name)
    samples = random_samples(compiled.program.inputs, 1, seed=1)
    layers = compiled.run(samples, "mps2-an386").layers
    limits = layer_limits(compiled.module, CORES["cortex-m4"])
    assert [(layer.limit_cycles, layer.limited_by) for layer in layers] == [
        (limit.cycles, limit.limited_by) if limit else (None, None) for limit in limits
    ]
    assert {layer.op for layer in layers if not layer.limit_cycles} <= {"softmax"}
    assert all(layer.cycles >= (layer.limit_cycles or 0) for layer in layers)
