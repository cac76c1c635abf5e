"""`vq.requantize` against QUANTIZE of TensorFlow Lite Micro and ONNX Runtime's Q/DQ pair."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from tflite_builder import TfliteBuilder, run_litert, run_tflm

from vq_cortexm.op.requantize import RequantizeAttrs, constants, output_shape, reference, table

ALL = np.arange(-128, 128).astype(np.int8).reshape(1, 256)


def _attrs(seed: int, rounding: str) -> RequantizeAttrs:
    rng = np.random.default_rng(seed)
    x_scale, y_scale = (float(np.float32(s)) for s in np.exp(rng.uniform(-4, 1, 2)))
    x_zero, y_zero = (int(z) for z in rng.integers(-128, 128, 2))
    return RequantizeAttrs(x_scale, x_zero, y_scale, y_zero, -128, 127, rounding)


def _onnx_runtime(x: npt.NDArray[Any], attrs: RequantizeAttrs) -> npt.NDArray[Any]:
    def constant(name: str, value: Any, dtype: Any) -> Any:
        return numpy_helper.from_array(np.array(value, dtype), name)

    values = [
        constant("xs", attrs.x_scale, np.float32),
        constant("xz", attrs.x_zero_point, x.dtype),
        constant("ys", attrs.y_scale, np.float32),
        constant("yz", attrs.y_zero_point, attrs.y_dtype),
    ]
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "xs", "xz"], ["r"]),
        helper.make_node("QuantizeLinear", ["r", "ys", "yz"], ["y"]),
    ]
    types = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8}
    graph = helper.make_graph(
        nodes,
        "pair",
        [helper.make_tensor_value_info("x", types[x.dtype.name], x.shape)],
        [helper.make_tensor_value_info("y", types[attrs.y_dtype], x.shape)],
        values,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(None, {"x": x})[0])


@pytest.mark.parametrize("seed", range(40))
def test_double_equals_tflm(seed: int) -> None:
    attrs = _attrs(seed, "double")
    builder = TfliteBuilder()
    x = builder.tensor(ALL.shape, attrs.x_scale, attrs.x_zero_point)
    y = builder.tensor(ALL.shape, attrs.y_scale, attrs.y_zero_point)
    builder.add("QUANTIZE", [x], [y])
    np.testing.assert_array_equal(reference(ALL, attrs), run_tflm(builder.build([x], [y]), ALL))


@pytest.mark.parametrize("seed", range(40))
def test_float_equals_onnx_runtime(seed: int) -> None:
    attrs = _attrs(seed, "float")
    np.testing.assert_array_equal(reference(ALL, attrs), _onnx_runtime(ALL, attrs))


def test_float_from_unsigned_equals_onnx_runtime() -> None:
    attrs = RequantizeAttrs(0.021, 131, 0.034, 3, 0, 255, "float", "uint8")
    x = np.arange(256).astype(np.uint8)
    np.testing.assert_array_equal(reference(x, attrs), _onnx_runtime(x, attrs))


@pytest.mark.parametrize("rounding", ["single", "double", "float"])
def test_change_of_sign_alone_is_exact(rounding: str) -> None:
    """What starts a model of unsigned input: LiteRT's QUANTIZE from uint8 to int8."""
    attrs = RequantizeAttrs(0.5, 128, 0.5, 0, -128, 127, rounding)
    x = np.arange(256).astype(np.uint8).reshape(1, 256)
    builder = TfliteBuilder()
    tx = builder.tensor(x.shape, 0.5, 128, "uint8")
    ty = builder.tensor(x.shape, 0.5, 0)
    builder.add("QUANTIZE", [tx], [ty])
    y = reference(x, attrs)
    np.testing.assert_array_equal(y, x.astype(int) - 128)
    np.testing.assert_array_equal(y, run_litert(builder.build([tx], [ty]), x))


def test_clip_table_and_errors() -> None:
    attrs = RequantizeAttrs(0.1, 0, 0.1, 0, 0, 60)
    np.testing.assert_array_equal(reference(ALL, attrs), np.clip(ALL, 0, 60))
    np.testing.assert_array_equal(table("int8", attrs), np.clip(ALL[0], 0, 60))
    assert output_shape((2, 3), attrs) == (2, 3)
    assert constants(attrs).multiplier == 1 << 30
    with pytest.raises(ValueError, match="use `table`"):
        constants(_attrs(0, "float"))
    with pytest.raises(ValueError, match="must be int8, uint8 or int16"):
        reference(ALL.astype(np.int32), attrs)
    with pytest.raises(ValueError, match="its input is int32"):
        table("int32", attrs)
