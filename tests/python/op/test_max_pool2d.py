"""`vq.max_pool2d` against TensorFlow Lite Micro and LiteRT."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tflite_builder import TfliteBuilder, quantize_clamp, run_litert, run_tflm, same_padding

from vq_cortexm.op.max_pool2d import MaxPool2dAttrs, output_shape, reference

CASES = [
    ((1, 9, 7, 12), (3, 3), (1, 1), "SAME", "NONE"),
    ((2, 9, 7, 5), (3, 2), (2, 2), "VALID", "RELU"),
    ((1, 8, 8, 33), (2, 2), (2, 2), "SAME", "RELU6"),
    ((1, 10, 10, 3), (5, 4), (3, 2), "SAME", "RELU_N1_TO_1"),
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("rounding", "run"), [("double", run_tflm), ("float", run_litert)])
@pytest.mark.parametrize("scale", [0.05, 0.08, 0.4, 6 / 64.5])
@pytest.mark.parametrize("zero_point", [-20, -21])
def test_max_pool(case: Any, rounding: str, run: Any, scale: float, zero_point: int) -> None:
    x_shape, pool, strides, padding, activation = case
    rng = np.random.default_rng(0)
    scale = float(np.float32(scale))
    # the larger scales put an activation's bound halfway between two integers
    y_min, y_max = quantize_clamp(activation, scale, zero_point, rounding=rounding)
    pads = same_padding(x_shape[1:3], pool, strides) if padding == "SAME" else (0, 0, 0, 0)
    attrs = MaxPool2dAttrs(pool, strides, pads, scale, zero_point, scale, zero_point, y_min, y_max)
    builder = TfliteBuilder()
    x = builder.tensor(x_shape, scale, zero_point)
    y = builder.tensor(output_shape(x_shape, attrs), scale, zero_point)
    builder.add(
        "MAX_POOL_2D",
        [x],
        [y],
        Padding=padding,
        StrideH=strides[0],
        StrideW=strides[1],
        FilterHeight=pool[0],
        FilterWidth=pool[1],
        FusedActivationFunction=activation,
    )
    value = rng.integers(-128, 128, x_shape).astype(np.int8)
    np.testing.assert_array_equal(reference(value, attrs), run(builder.build([x], [y]), value))


def test_dilated_windows_skip_elements() -> None:
    attrs = MaxPool2dAttrs((2, 2), (1, 2), (1, 0, 0, 1), 0.1, 0, 0.1, 0, -128, 127, dilation=(3, 2))
    x = np.random.default_rng(0).integers(-128, 128, (1, 6, 7, 3)).astype(np.int8)
    padded = np.pad(x, ((0, 0), (1, 0), (0, 1), (0, 0)), constant_values=-128)
    corners = [padded[:, i : i + 4, j : j + 6 : 2] for i in (0, 3) for j in (0, 2)]
    assert output_shape(x.shape, attrs) == (1, 4, 3, 3)
    np.testing.assert_array_equal(reference(x, attrs), np.max(corners, axis=0))


def test_rescaling_is_refused() -> None:
    with pytest.raises(ValueError, match="requantize after it"):
        MaxPool2dAttrs((2, 2), (2, 2), (0, 0, 0, 0), 0.1, 0, 0.2, 0, -128, 127)
    attrs = MaxPool2dAttrs((2, 2), (2, 2), (0, 0, 0, 0), 0.1, 0, 0.1, 0, -128, 127)
    with pytest.raises(ValueError, match="requantize first"):
        reference(np.zeros((1, 4, 4, 1), np.uint8), attrs)
