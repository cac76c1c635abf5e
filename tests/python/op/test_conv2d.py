"""`vq.conv2d` against TensorFlow Lite Micro and LiteRT."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tflite_builder import TfliteBuilder, quantize_clamp, run_litert, run_tflm, same_padding

from vq_cortexm.op.conv2d import Conv2dAttrs, macs, output_shape, reference

# input, (O, KH, KW, I), strides, padding, dilation, activation
CASES = [
    ((1, 7, 9, 5), (6, 3, 3, 5), (1, 1), "SAME", (1, 1), "NONE"),
    ((2, 10, 8, 3), (9, 3, 2, 3), (2, 1), "VALID", (1, 1), "RELU"),
    ((1, 49, 10, 1), (16, 10, 4, 1), (2, 2), "SAME", (1, 1), "RELU6"),
    ((1, 6, 6, 32), (17, 1, 1, 32), (1, 1), "VALID", (1, 1), "RELU_N1_TO_1"),
    ((1, 9, 9, 4), (3, 1, 1, 4), (2, 2), "SAME", (1, 1), "NONE"),
    ((1, 11, 12, 4), (5, 3, 3, 4), (1, 1), "VALID", (2, 3), "NONE"),
    ((1, 11, 12, 4), (5, 3, 3, 4), (1, 1), "SAME", (2, 2), "RELU"),
    ((1, 4, 4, 70), (8, 3, 3, 70), (3, 3), "SAME", (1, 1), "NONE"),
]
GROUPED = ((1, 6, 5, 8), (12, 3, 3, 4), (1, 1), "SAME", (1, 1), "NONE")


def _random_layer(case: Any, seed: int) -> dict[str, Any]:
    x_shape, w_shape, *_ = case
    rng = np.random.default_rng(seed)
    depth = w_shape[1] * w_shape[2] * w_shape[3]
    x_scale = float(np.float32(np.exp(rng.uniform(-5, 0))))
    w_scale = np.exp(rng.uniform(-9, -2, w_shape[0])).astype(np.float32)
    # Outputs mostly inside the range: the accumulators' spread is about 74 * 74 * sqrt(depth).
    spread = x_scale * float(np.exp(np.log(w_scale).mean())) * 5500 * depth**0.5
    return {
        "x": rng.integers(-128, 128, x_shape).astype(np.int8),
        "w": rng.integers(-127, 128, w_shape).astype(np.int8),
        "b": rng.integers(-20000, 20000, w_shape[0]).astype(np.int32),
        "w_scale": w_scale,
        "x_scale": x_scale,
        "x_zero_point": int(rng.integers(-128, 128)),
        "y_scale": float(np.float32(spread / rng.uniform(20, 100))),
        "y_zero_point": int(rng.integers(-128, 128)),
    }


def _attrs(case: Any, layer: dict[str, Any], rounding: str) -> Conv2dAttrs:
    x_shape, w_shape, strides, padding, dilation, activation = case
    y_scale, y_zero_point = layer["y_scale"], layer["y_zero_point"]
    y_min, y_max = quantize_clamp(activation, y_scale, y_zero_point, rounding=rounding)
    pads = (0, 0, 0, 0)
    if padding == "SAME":
        pads = same_padding(x_shape[1:3], w_shape[1:3], strides, dilation)
    return Conv2dAttrs(
        strides=strides,
        padding=pads,
        dilation=dilation,
        groups=x_shape[3] // w_shape[3],
        y_min=y_min,
        y_max=y_max,
        rounding=rounding,
        **{k: layer[k] for k in ("x_scale", "x_zero_point", "y_scale", "y_zero_point")},
    )


def _model(case: Any, layer: dict[str, Any], attrs: Conv2dAttrs) -> bytes:
    x_shape, w_shape, strides, padding, dilation, activation = case
    builder = TfliteBuilder()
    x = builder.tensor(x_shape, attrs.x_scale, attrs.x_zero_point)
    w = builder.constant(layer["w"], layer["w_scale"])
    b = builder.constant(layer["b"], np.float32(attrs.x_scale) * layer["w_scale"])
    y = builder.tensor(output_shape(x_shape, w_shape, attrs), attrs.y_scale, attrs.y_zero_point)
    builder.add(
        "CONV_2D",
        [x, w, b],
        [y],
        Padding=padding,
        StrideH=strides[0],
        StrideW=strides[1],
        DilationHFactor=dilation[0],
        DilationWFactor=dilation[1],
        FusedActivationFunction=activation,
    )
    return builder.build([x], [y])


def _reference(layer: dict[str, Any], attrs: Conv2dAttrs) -> npt.NDArray[Any]:
    return reference(layer["x"], layer["w"], layer["b"], layer["w_scale"], attrs)


@pytest.mark.parametrize("case", [*CASES, GROUPED])
@pytest.mark.parametrize("seed", range(6))
def test_double_equals_tflm(case: Any, seed: int) -> None:
    layer = _random_layer(case, seed)
    attrs = _attrs(case, layer, "double")
    y = run_tflm(_model(case, layer, attrs), layer["x"])
    np.testing.assert_array_equal(_reference(layer, attrs), y)


@pytest.mark.parametrize("case", [*CASES, GROUPED])
@pytest.mark.parametrize("seed", range(6))
def test_float_equals_litert(case: Any, seed: int) -> None:
    layer = _random_layer(case, seed)
    attrs = _attrs(case, layer, "float")
    y = run_litert(_model(case, layer, attrs), layer["x"])
    np.testing.assert_array_equal(_reference(layer, attrs), y)


@pytest.mark.parametrize("seed", range(6))
def test_single_is_within_one_of_both(seed: int) -> None:
    layer = _random_layer(CASES[0], seed)
    single = _reference(layer, _attrs(CASES[0], layer, "single")).astype(int)
    for rounding in ("double", "float"):
        other = _reference(layer, _attrs(CASES[0], layer, rounding)).astype(int)
        assert np.abs(single - other).max() <= 1


@pytest.mark.parametrize(
    ("rounding", "run"), [("double", run_tflm), ("float", run_litert)], ids=["tflm", "litert"]
)
@pytest.mark.parametrize("value", [-128, 127])
def test_extreme_values(rounding: str, run: Any, value: int) -> None:
    case = CASES[0]
    layer = _random_layer(case, 1)
    layer["x"] = np.full(case[0], value, np.int8)
    layer["w"] = np.full(case[1], np.sign(value) * 127, np.int8)
    layer["b"] = np.full(case[1][0], 2**23 + 1, np.int32)
    layer["y_scale"] = float(np.float32(layer["y_scale"] * 30))
    attrs = _attrs(case, layer, rounding)
    np.testing.assert_array_equal(
        _reference(layer, attrs), run(_model(case, layer, attrs), layer["x"])
    )


@pytest.mark.parametrize(
    ("rounding", "run"), [("double", run_tflm), ("float", run_litert)], ids=["tflm", "litert"]
)
def test_tiny_and_large_scales(rounding: str, run: Any) -> None:
    """Down to ratios that TensorFlow Lite flushes to zero, up to multipliers beyond one."""
    case = CASES[3]
    layer = _random_layer(case, 5)
    layer["w_scale"] = np.geomspace(1e-12, 1e1, case[1][0]).astype(np.float32)
    layer["y_scale"] = float(np.float32(layer["x_scale"] * 0.2))
    layer["b"][:] = 0
    attrs = _attrs(case, layer, rounding)
    np.testing.assert_array_equal(
        _reference(layer, attrs), run(_model(case, layer, attrs), layer["x"])
    )


def test_unsigned_activations_equal_shifted_signed_ones() -> None:
    layer = _random_layer(CASES[0], 3)
    attrs = _attrs(CASES[0], layer, "single")
    shifted = Conv2dAttrs(
        **{
            **vars(attrs),
            "x_zero_point": attrs.x_zero_point + 128,
            "y_zero_point": attrs.y_zero_point + 128,
            "y_min": 0,
            "y_max": 255,
            "y_dtype": "uint8",
        }
    )
    y = _reference(layer, attrs)
    unsigned = {**layer, "x": (layer["x"].astype(int) + 128).astype(np.uint8)}
    z = _reference(unsigned, shifted)
    np.testing.assert_array_equal(y.astype(int) + 128, z)


def test_absent_bias_is_zero() -> None:
    layer = _random_layer(CASES[0], 4)
    attrs = _attrs(CASES[0], layer, "single")
    without = reference(layer["x"], layer["w"], None, layer["w_scale"], attrs)
    layer["b"][:] = 0
    np.testing.assert_array_equal(without, _reference(layer, attrs))


def test_shapes_and_macs() -> None:
    attrs = _attrs(CASES[1], _random_layer(CASES[1], 0), "single")
    assert output_shape((2, 10, 8, 3), (9, 3, 2, 3), attrs) == (2, 4, 7, 9)
    assert macs((2, 10, 8, 3), (9, 3, 2, 3), attrs) == 2 * 4 * 7 * 9 * 3 * 2 * 3


def test_errors_are_one_line() -> None:
    layer = _random_layer(CASES[0], 0)
    attrs = _attrs(CASES[0], layer, "single")
    with pytest.raises(ValueError, match="do not fit an input"):
        output_shape((1, 7, 9, 4), (6, 3, 3, 5), attrs)
    with pytest.raises(ValueError, match="exceeds the padded input"):
        output_shape((1, 7, 9, 5), (6, 30, 3, 5), attrs)
    with pytest.raises(ValueError, match="rounding 'half' is unknown"):
        _attrs(CASES[0], layer, "half")
    with pytest.raises(ValueError, match="y_scale"):
        Conv2dAttrs(**{**vars(attrs), "y_scale": 0.0})
    with pytest.raises(ValueError, match="clamp"):
        Conv2dAttrs(**{**vars(attrs), "y_min": 5, "y_max": 4})
    layer["b"][:] = 2**31 - 1
    layer["x_zero_point"] = -128
    with pytest.raises(ValueError, match="exceeds int32"):
        _reference(layer, attrs)
