"""TFLite's layers of every form: batches, groups, dilation, multipliers, several dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tflite_builder import TfliteBuilder
from tflite_layers import LITERT, TFLM, check_against

BACK_ENDS = pytest.mark.parametrize("back_end", [TFLM, LITERT], ids=["tflm", "litert"])
X, Y = (0.05, -9), (0.06, 4)

# operator, input, weights, axis of their output channels, output, options
Case = tuple[str, tuple[int, ...], tuple[int, ...], int, tuple[int, ...], dict[str, Any]]
STRIDE = {"StrideH": 1, "StrideW": 2, "Padding": "SAME"}
CASES: list[Case] = [
    ("CONV_2D", (3, 5, 6, 4), (7, 3, 3, 4), 0, (3, 5, 3, 7), STRIDE),
    (
        "CONV_2D",
        (1, 9, 1, 6),
        (5, 3, 1, 6),
        0,
        (1, 9, 1, 5),
        {"StrideH": 1, "StrideW": 1, "DilationHFactor": 2, "Padding": "SAME"},
    ),
    (
        "DEPTHWISE_CONV_2D",
        (2, 6, 5, 4),
        (1, 3, 2, 12),
        3,
        (2, 6, 3, 12),
        {**STRIDE, "DepthMultiplier": 3},
    ),
    (
        "DEPTHWISE_CONV_2D",
        (1, 8, 7, 5),
        (1, 3, 3, 5),
        3,
        (1, 4, 3, 5),
        {
            "StrideH": 1,
            "StrideW": 1,
            "DilationHFactor": 2,
            "DilationWFactor": 2,
            "DepthMultiplier": 1,
            "Padding": "VALID",
        },
    ),
    ("FULLY_CONNECTED", (5, 12), (7, 12), 0, (5, 7), {}),
    ("FULLY_CONNECTED", (2, 3, 12), (7, 12), 0, (2, 3, 7), {"KeepNumDims": True}),
    ("FULLY_CONNECTED", (2, 3, 12), (7, 12), 0, (6, 7), {}),
]


def side_by_side(cases: list[Case], per_channel: bool) -> bytes:
    """A model of one layer for each case, each on its own input."""
    rng = np.random.default_rng(2)
    builder = TfliteBuilder()
    inputs, outputs = [], []
    for operator, x_shape, w_shape, axis, y_shape, options in cases:
        channels = w_shape[axis]
        fan_in = np.prod(w_shape) / channels
        count = channels if per_channel else 1
        w_scale = (rng.uniform(0.3, 1, count) / np.sqrt(fan_in) / 70).astype(np.float32)
        weight = rng.integers(-127, 128, w_shape).astype(np.int8)
        bias = rng.integers(-900, 900, channels).astype(np.int32)
        inputs.append(builder.tensor(x_shape, *X))
        outputs.append(builder.tensor(y_shape, *Y))
        weights = builder.constant(weight, w_scale, axis)
        biases = builder.constant(bias, w_scale * np.float32(X[0]))
        builder.add(operator, [inputs[-1], weights, biases], [outputs[-1]], **options)
    return builder.build(inputs, outputs)


@BACK_ENDS
def test_layers_with_scales_for_each_channel(back_end: Any) -> None:
    cases = [case for case in CASES if case[0] != "FULLY_CONNECTED"]
    shapes = [case[1] for case in cases]
    check_against(side_by_side(cases, per_channel=True), back_end, *shapes)


@BACK_ENDS
def test_layers_with_one_scale(back_end: Any) -> None:
    cases = [case for case in CASES if case[0] == "FULLY_CONNECTED"]
    shapes = [case[1] for case in cases]
    check_against(side_by_side(cases, per_channel=False), back_end, *shapes)
