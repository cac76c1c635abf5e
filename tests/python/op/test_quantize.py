"""`vq.quantize` and `vq.dequantize`: the interpreters' arithmetic at a model's borders."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from one_layer import one_layer_module
from onnx import TensorProto, helper, numpy_helper
from tflite_builder import TfliteBuilder, run_litert, run_tflm

from vq_cortexm.build import build_folded
from vq_cortexm.op import dequantize, quantize
from vq_cortexm.op.dequantize import DequantizeAttrs
from vq_cortexm.op.quantization import dtype_range
from vq_cortexm.op.quantize import QuantizeAttrs

SCALE = 0.0371
DTYPES = ["int8", "uint8"]


def _attrs(dtype: str, rounding: str, scale: float = SCALE, **more: Any) -> QuantizeAttrs:
    low, high = dtype_range(dtype)
    return QuantizeAttrs(scale, (low + high) // 2 + 3, low, high, rounding, dtype, **more)


def _numbers(scale: float = SCALE) -> npt.NDArray[np.float32]:
    """Halves of the scale and their neighbours, random numbers, and ones beyond every range."""
    halves = (np.arange(-300, 300) * scale / 2).astype(np.float32)
    near = [np.nextafter(halves, np.float32(end)) for end in (-np.inf, np.inf)]
    rng = np.random.default_rng(2)
    far = np.float32([1e9, -1e9, 3e38, -3e38, 0.0, -0.0])
    return np.concatenate([halves, *near, rng.normal(0, 4, 800).astype(np.float32), far])


def _tflite(kind: str, size: int, dtype: str, zero_point: int) -> bytes:
    net = TfliteBuilder()
    real, whole = (
        net.tensor((size,), None, 0, "float32"),
        net.tensor((size,), SCALE, zero_point, dtype),
    )
    ends = (real, whole) if kind == "QUANTIZE" else (whole, real)
    net.add(kind, ends[:1], ends[1:])
    return net.build(ends[:1], ends[1:])


@pytest.mark.parametrize(
    ("rounding", "run", "dtype"),
    [("double", run_tflm, "int8"), ("float", run_litert, "int8"), ("float", run_litert, "uint8")],
)
def test_quantize_equals_the_interpreter(rounding: str, run: Any, dtype: str) -> None:
    # TensorFlow Lite Micro leaves undefined what becomes of the last, which are beyond int32
    x = _numbers()[:-6] if rounding == "double" else _numbers()
    attrs = _attrs(dtype, rounding, reciprocal=True)
    model = _tflite("QUANTIZE", x.size, dtype, attrs.y_zero_point)
    np.testing.assert_array_equal(quantize.reference(x, attrs), run(model, x))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("run", [run_tflm, run_litert])
def test_dequantize_equals_the_interpreter(run: Any, dtype: str) -> None:
    low, high = dtype_range(dtype)
    x = np.arange(low, high + 1).astype(dtype)
    model = _tflite("DEQUANTIZE", x.size, dtype, low + 100)
    got = dequantize.reference(x, DequantizeAttrs(SCALE, low + 100))
    np.testing.assert_array_equal(got, run(model, x))


def _onnx(kind: str, dtype: str, zero_point: int) -> bytes:
    ends = {"s": np.float32(SCALE), "z": np.dtype(dtype).type(zero_point)}
    types = [TensorProto.FLOAT, helper.np_dtype_to_tensor_dtype(np.dtype(dtype))]
    values = [
        helper.make_tensor_value_info(name, each, [None])
        for name, each in zip("xy", types if kind == "QuantizeLinear" else types[::-1], strict=True)
    ]
    graph = helper.make_graph(
        [helper.make_node(kind, ["x", "s", "z"], ["y"])],
        "border",
        values[:1],
        values[1:],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in ends.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


def _run_onnx(model: bytes, x: npt.NDArray[Any]) -> Any:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_borders_equal_onnx_runtime(dtype: str) -> None:
    attrs = _attrs(dtype, "float")
    x = _numbers()
    y = quantize.reference(x, attrs)
    np.testing.assert_array_equal(
        y, _run_onnx(_onnx("QuantizeLinear", dtype, attrs.y_zero_point), x)
    )
    back = dequantize.reference(y, DequantizeAttrs(SCALE, attrs.y_zero_point))
    expected = _run_onnx(_onnx("DequantizeLinear", dtype, attrs.y_zero_point), y)
    np.testing.assert_array_equal(back, expected)


@settings(max_examples=200, deadline=None)
@given(
    st.floats(width=32, allow_nan=True, allow_infinity=True),
    st.floats(2.0**-20, 2.0**10, width=32),
    st.sampled_from(["single", "double", "float"]),
)
def test_result_is_the_nearest_step_or_an_end(x: float, scale: float, rounding: str) -> None:
    attrs = _attrs("int8", rounding, scale)
    (y,) = quantize.reference(np.float32([x]), attrs).astype(int)
    if np.isnan(x):
        assert y == attrs.y_min
    else:
        steps = np.clip(x / scale, -1e6, 1e6) + attrs.y_zero_point
        assert abs(np.clip(steps, attrs.y_min, attrs.y_max) - y) <= 0.5 + 1e-4


@pytest.mark.parametrize(
    ("dtype", "rounding", "board"),
    [
        *((dtype, "single", "host") for dtype in (*DTYPES, "int16")),
        *(("int8", rounding, "host") for rounding in ("double", "float")),
        ("int8", "double", "mps2-an385"),
        ("uint8", "float", "mps2-an386"),
    ],
)
def test_kernels_equal_the_reference(dtype: str, rounding: str, board: str) -> None:
    zero_point = 0 if dtype == "int16" else 3
    attrs = QuantizeAttrs(SCALE, zero_point, *dtype_range(dtype), rounding, dtype)
    core = "cortex-m3" if board == "mps2-an385" else "cortex-m4"
    x = np.append(_numbers(), np.float32([np.nan, np.inf, -np.inf]))
    there = one_layer_module("quantize", x.shape, "float32", [], attrs)
    compiled = build_folded(there, f"vq-cortexm/{core}")
    assert compiled.run([x], board, check=True).bit_exact
    assert compiled.plan.arena_bytes == 4 * x.size
    back = one_layer_module("dequantize", x.shape, dtype, [], DequantizeAttrs(SCALE, zero_point))
    compiled = build_folded(back, f"vq-cortexm/{core}")
    assert compiled.run([quantize.reference(x, attrs)], board, check=True).bit_exact
    # it goes backwards, so that its output takes its input's place
    assert compiled.plan.arena_bytes == 4 * x.size


def test_attributes_are_checked() -> None:
    with pytest.raises(ValueError, match="y_scale -1"):
        _attrs("int8", "single", -1.0)
    with pytest.raises(ValueError, match="reciprocal"):
        _attrs("int8", "single", 1e-39)
    with pytest.raises(ValueError, match="must be float32"):
        quantize.reference(np.zeros(3), _attrs("int8", "single"))
    with pytest.raises(ValueError, match="y_dtype"):
        DequantizeAttrs(1.0, 0, "int8")
