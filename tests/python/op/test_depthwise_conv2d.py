"""`vq.depthwise_conv2d` against TensorFlow Lite Micro and LiteRT."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tflite_builder import TfliteBuilder, quantize_clamp, run_litert, run_tflm, same_padding

from vq_cortexm.op.depthwise_conv2d import DepthwiseConv2dAttrs, macs, output_shape, reference

# input, (KH, KW, C * M), strides, padding, dilation, activation
CASES = [
    ((1, 7, 9, 5), (3, 3, 5), (1, 1), "SAME", (1, 1), "NONE"),
    ((2, 10, 8, 16), (3, 3, 16), (2, 2), "SAME", (1, 1), "RELU"),
    ((1, 9, 9, 8), (5, 4, 8), (1, 1), "VALID", (1, 1), "RELU6"),
    ((1, 8, 8, 3), (3, 3, 12), (1, 1), "SAME", (1, 1), "NONE"),
    ((1, 12, 11, 6), (3, 3, 6), (1, 1), "SAME", (2, 2), "RELU_N1_TO_1"),
    ((1, 30, 1, 40), (3, 1, 40), (1, 1), "VALID", (1, 1), "NONE"),
    ((1, 25, 5, 33), (25, 5, 33), (1, 1), "VALID", (1, 1), "NONE"),
    ((1, 8, 8, 1), (3, 3, 4), (2, 2), "SAME", (1, 1), "NONE"),
]


def _layer(case: Any, seed: int, rounding: str) -> tuple[bytes, Any, Any]:
    x_shape, w_shape, strides, padding, dilation, activation = case
    rng = np.random.default_rng(seed)
    x_scale, x_zero_point = (
        float(np.float32(np.exp(rng.uniform(-5, 0)))),
        int(rng.integers(-128, 128)),
    )
    w_scale = np.exp(rng.uniform(-9, -2, w_shape[2])).astype(np.float32)
    spread = (
        x_scale * float(np.exp(np.log(w_scale).mean())) * 5500 * (w_shape[0] * w_shape[1]) ** 0.5
    )
    y_scale, y_zero_point = float(np.float32(spread / 40)), int(rng.integers(-128, 128))
    y_min, y_max = quantize_clamp(activation, y_scale, y_zero_point, rounding=rounding)
    pads = (0, 0, 0, 0)
    if padding == "SAME":
        pads = same_padding(x_shape[1:3], w_shape[:2], strides, dilation)
    attrs = DepthwiseConv2dAttrs(
        strides,
        pads,
        dilation,
        x_scale,
        x_zero_point,
        y_scale,
        y_zero_point,
        y_min,
        y_max,
        rounding,
    )
    x = rng.integers(-128, 128, x_shape).astype(np.int8)
    w = rng.integers(-127, 128, w_shape).astype(np.int8)
    b = rng.integers(-20000, 20000, w_shape[2]).astype(np.int32)
    builder = TfliteBuilder()
    tx = builder.tensor(x_shape, x_scale, x_zero_point)
    tw = builder.constant(w[None], w_scale, axis=3)
    tb = builder.constant(b, np.float32(x_scale) * w_scale)
    ty = builder.tensor(output_shape(x_shape, w_shape, attrs), y_scale, y_zero_point)
    builder.add(
        "DEPTHWISE_CONV_2D",
        [tx, tw, tb],
        [ty],
        Padding=padding,
        StrideH=strides[0],
        StrideW=strides[1],
        DilationHFactor=dilation[0],
        DilationWFactor=dilation[1],
        DepthMultiplier=w_shape[2] // x_shape[3],
        FusedActivationFunction=activation,
    )
    return builder.build([tx], [ty]), x, reference(x, w, b, w_scale, attrs)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", range(6))
def test_double_equals_tflm(case: Any, seed: int) -> None:
    model, x, y = _layer(case, seed, "double")
    np.testing.assert_array_equal(y, run_tflm(model, x))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", range(6))
def test_float_equals_litert(case: Any, seed: int) -> None:
    model, x, y = _layer(case, seed, "float")
    np.testing.assert_array_equal(y, run_litert(model, x))


def test_single_is_within_one_of_both() -> None:
    single = _layer(CASES[1], 0, "single")[2].astype(int)
    for rounding in ("double", "float"):
        assert np.abs(single - _layer(CASES[1], 0, rounding)[2].astype(int)).max() <= 1


def test_shapes_and_errors() -> None:
    attrs = DepthwiseConv2dAttrs((2, 2), (0, 0, 1, 1), (1, 1), 0.1, 0, 0.1, 0, -128, 127)
    assert output_shape((1, 8, 8, 3), (3, 3, 6), attrs) == (1, 4, 4, 6)
    assert macs((1, 8, 8, 3), (3, 3, 6), attrs) == 4 * 4 * 6 * 9
    with pytest.raises(ValueError, match="do not fit"):
        output_shape((1, 8, 8, 4), (3, 3, 6), attrs)
