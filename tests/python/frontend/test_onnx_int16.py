"""ONNX models whose activations are int16: within one step of ONNX Runtime, which is float here."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import vq_cortexm
from vq_cortexm.errors import ModelError
from vq_cortexm.frontend import from_onnx

SHAPE = (1, 4, 6, 5)
X_SCALE, Y_SCALE = np.float32(1 / 3000), np.float32(1 / 2500)


def net(dtype: type[np.generic] = np.int16) -> Any:
    """A convolution with ReLU and a global mean between quantized tensors, NCHW."""
    rng = np.random.default_rng(0)
    w_scale = (rng.uniform(0.5, 1.5, 5) / 540).astype(np.float32)
    constants = {
        "xs": X_SCALE,
        "ys": Y_SCALE,
        "zero": np.array(0, dtype),
        "w": rng.integers(-127, 128, (5, 4, 3, 3)).astype(np.int8),
        "ws": w_scale,
        "wz": np.zeros(5, np.int8),
        "b": rng.integers(-(10**6), 10**6, 5).astype(np.int32),
        "bs": X_SCALE * w_scale,
        "bz": np.zeros(5, np.int32),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "zero"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "zero"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=0),
        helper.make_node("DequantizeLinear", ["b", "bs", "bz"], ["bd"], axis=0),
        helper.make_node("Conv", ["xd", "wd", "bd"], ["conv"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("QuantizeLinear", ["relu", "ys", "zero"], ["rq"]),
        helper.make_node("DequantizeLinear", ["rq", "ys", "zero"], ["rd"]),
        helper.make_node("GlobalAveragePool", ["rd"], ["mean"]),
        helper.make_node("QuantizeLinear", ["mean", "ys", "zero"], ["mq"]),
        helper.make_node("DequantizeLinear", ["mq", "ys", "zero"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 5, 1, 1))],
        [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.mark.parametrize("rounding", ["single", "double", "float"])
def test_within_a_step_of_onnx_runtime(rounding: str) -> None:
    model = net()
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    compiled = vq_cortexm.build(from_onnx(model), rounding=rounding)
    rng = np.random.default_rng(1)
    for _ in range(3):
        x = rng.integers(-32768, 32768, SHAPE).astype(np.int16)
        result = compiled.run([[x]], "host", check=True)
        (real,) = session.run(None, {"x": x.astype(np.float32) * X_SCALE})
        assert result.bit_exact
        assert np.abs(np.array(result.outputs[0][0]) - np.rint(real / Y_SCALE)).max() <= 1


def test_uint16_is_refused_in_one_line() -> None:
    with pytest.raises(ModelError, match="uint16 tensors are not supported") as caught:
        vq_cortexm.build(from_onnx(net(np.uint16)))
    assert "\n" not in str(caught.value)
