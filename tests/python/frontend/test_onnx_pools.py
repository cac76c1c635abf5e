"""ONNX's pooling and reductions: ceil mode, counted padding, dilation, one dimension, any axes."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_layers import SCALE, ZERO_POINT, check_against_runtime, qdq_model

import vq_cortexm
from vq_cortexm.errors import ModelError
from vq_cortexm.frontend import from_onnx


def test_pools() -> None:
    body = """
        ry0 = MaxPool <kernel_shape = [3, 2], strides = [2, 2], ceil_mode = 1> (rx)
        ry1 = MaxPool <kernel_shape = [2, 3], dilations = [2, 3], pads = [1, 2, 1, 2]> (rx)
        ry2 = AveragePool <kernel_shape = [3, 3], strides = [2, 2], ceil_mode = 1> (rx)
        ry3 = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1], count_include_pad = 1> (rx)
        ry4 = AveragePool <kernel_shape = [2, 3], pads = [0, 1, 1, 1]> (rx)
        ry5 = AveragePool <kernel_shape = [2, 2], strides = [2, 2], auto_pad = "SAME_UPPER"> (rx)
        ry6 = GlobalAveragePool(rx)
        ry7 = GlobalMaxPool(rx)
    """
    outputs = {
        "y0": (2, 5, 4, 4),
        "y1": (2, 5, 8, 8),
        "y2": (2, 5, 4, 4),
        "y3": (2, 5, 8, 7),
        "y4": (2, 5, 8, 7),
        "y5": (2, 5, 4, 4),
        "y6": (2, 5, 1, 1),
        "y7": (2, 5, 1, 1),
    }
    scales = {"y1": (0.13, 5), "y6": (0.02, 3)}
    model = qdq_model(body, {"x": (2, 5, 8, 7)}, outputs, scales=scales)
    check_against_runtime(model, within=1)


def test_average_of_padding_alone_is_refused() -> None:
    body = "ry = AveragePool <kernel_shape = [2, 2], strides = [2, 2], pads = [2, 2, 0, 0]> (rx)"
    for scale in (SCALE, 0.07):
        scales = {"y": (scale, ZERO_POINT)}
        model = qdq_model(body, {"x": (1, 3, 4, 4)}, {"y": (1, 3, 3, 3)}, scales=scales)
        with pytest.raises(ModelError, match="a window lies in the padding alone"):
            vq_cortexm.build(from_onnx(model))


def test_reductions() -> None:
    body = """
        ry0 = ReduceMean <keepdims = 0> (rx, last)
        ry1 = ReduceMax <keepdims = 1> (rx, apart)
        ry2 = ReduceMin <keepdims = 0> (rx, rows)
        ry3 = ReduceSum <keepdims = 0> (rx, rows)
        ry4 = ReduceMean(rx)
    """
    outputs = {
        "y0": (2, 5, 8),
        "y1": (2, 1, 8, 1),
        "y2": (2, 5, 7),
        "y3": (2, 5, 7),
        "y4": (1, 1, 1, 1),
    }
    constants = {"last": np.array([-1]), "apart": np.array([1, 3]), "rows": np.array([2])}
    scales = {"y3": (0.4, 9), "y2": (0.2, 3)}
    model = qdq_model(body, {"x": (2, 5, 8, 7)}, outputs, constants, scales)
    check_against_runtime(model, within=1)


def test_pools_of_one_dimension() -> None:
    body = """
        pooled = MaxPool <kernel_shape = [3], strides = [2], pads = [1, 0]> (rx)
        qpooled = QuantizeLinear(pooled, sx, zx)
        rpooled = DequantizeLinear(qpooled, sx, zx)
        ry0 = AveragePool <kernel_shape = [2]> (rpooled)
        ry1 = GlobalAveragePool(rpooled)
    """
    outputs = {"y0": (1, 6, 4), "y1": (1, 6, 1)}
    compiled = check_against_runtime(qdq_model(body, {"x": (1, 6, 10)}, outputs), within=1)
    steps = [step.op for step in compiled.program.steps]
    assert sorted(steps) == ["avg_pool2d", "avg_pool2d", "max_pool2d", "transpose", "transpose"]
