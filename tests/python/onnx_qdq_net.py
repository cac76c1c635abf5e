"""A small ONNX QDQ model from float32 to float32, around one operator that is drawn in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SHAPE = [1, 3, 6, 6]
"""Of the input; the operator reads 4 channels of as many pixels."""


def net_around(
    operator: str, inputs: Sequence[Any] = (), quantized: bool = True, **attributes: Any
) -> onnx.ModelProto:
    """QuantizeLinear, a convolution, the operator (with further constant `inputs`), and where the
    result is `quantized` a QuantizeLinear and DequantizeLinear behind it."""
    rng = np.random.default_rng(1)
    constants: dict[str, Any] = {
        "x_scale": np.float32(0.05),
        "x_zero": np.int8(3),
        "w_scale": np.float32(0.02),
        "w_zero": np.int8(0),
        "w": rng.integers(-127, 127, (4, 3, 3, 3)).astype(np.int8),
        "c_scale": np.float32(0.05),
        "c_zero": np.int8(-5),
        "y_scale": np.float32(0.02),
        "y_zero": np.int8(0),
        **{f"more_{i}": value for i, value in enumerate(inputs)},
    }
    more = [f"more_{i}" for i in range(len(inputs))]
    result = "real" if quantized else "y"
    nodes = [
        _node("QuantizeLinear", ["x", "x_scale", "x_zero"], "x_whole"),
        _node("DequantizeLinear", ["x_whole", "x_scale", "x_zero"], "x_real"),
        _node("DequantizeLinear", ["w", "w_scale", "w_zero"], "w_real"),
        _node("Conv", ["x_real", "w_real"], "sums", pads=[1] * 4),
        _node("QuantizeLinear", ["sums", "c_scale", "c_zero"], "conv"),
        _node("DequantizeLinear", ["conv", "c_scale", "c_zero"], "c_real"),
        _node(operator, ["c_real", *more], result, **attributes),
    ]
    if quantized:
        nodes += [
            _node("QuantizeLinear", ["real", "y_scale", "y_zero"], "act"),
            _node("DequantizeLinear", ["act", "y_scale", "y_zero"], "y"),
        ]
    read = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 4)],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items() if k in read],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def _node(kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> Any:
    return helper.make_node(kind, list(inputs), [output], output, **attributes)
