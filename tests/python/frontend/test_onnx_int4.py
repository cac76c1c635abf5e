"""ONNX tensors of 4 and 2 bits equal ONNX Runtime's, and keep their levels."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import vq_cortexm
from vq_cortexm.compat import constant_value, op_name
from vq_cortexm.errors import ModelError
from vq_cortexm.frontend import from_onnx
from vq_cortexm.nary import detect
from vq_cortexm.op.registry import attributes
from vq_cortexm.samples import random_samples
from vq_cortexm.transform.rewriting import bindings_of

RANGES = {"INT4": (-8, 7), "UINT4": (0, 15), "INT2": (-2, 1), "UINT2": (0, 3), "INT8": (-8, 7)}
Y_SCALE = 1 / 4


def _tensor(name: str, kind: str, values: Any) -> Any:
    values = np.asarray(values)
    return helper.make_tensor(name, getattr(TensorProto, kind), values.shape, values.reshape(-1))


def _model(kind: str, y_kind: str = "INT8", as_node: bool = False) -> onnx.ModelProto:
    """A convolution with weights of `kind`, its output quantized to `y_kind`."""
    rng, (low, high) = np.random.default_rng(3), RANGES[kind]
    weight = _tensor("w", kind, rng.integers(low, high + 1, (5, 3, 3, 3)))
    middle = 0 if low else (high + 1) // 2
    tensors = {
        "w_scale": np.exp2(rng.integers(-6, -3, 5)).astype(np.float32),
        "x_scale": np.float32(1 / 16),
        "y_scale": np.float32(Y_SCALE),
        "x_zero": np.int8(0),
    }
    initializers = [numpy_helper.from_array(np.asarray(v), k) for k, v in tensors.items()]
    initializers += [_tensor("w_zero", kind, [middle] * 5)]
    initializers += [_tensor("y_zero", y_kind, 0)]
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "x_scale", "x_zero"], ["xr"]),
        helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["wr"], axis=0),
        helper.make_node("Conv", ["xr", "wr"], ["c"], pads=[1] * 4),
        helper.make_node("QuantizeLinear", ["c", "y_scale", "y_zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "y_scale", "y_zero"], ["y"]),
    ]
    initializers.append(weight)
    if as_node:
        for tensor in initializers:
            node = helper.make_node("Constant", [], [tensor.name], value=tensor)
            node.attribute[0].t.name = "its own"
            nodes.insert(0, node)
        initializers = []
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.INT8, [1, 3, 6, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5, 6, 6])],
        initializers,
    )
    opset = 25 if "2" in kind + y_kind else 21
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def _conv(proto: onnx.ModelProto) -> Any:
    module = vq_cortexm.build(from_onnx(proto), rounding="float").module
    calls = [call for _, call in bindings_of(module["main"])]
    (conv,) = (call for call in calls if op_name(call) == "vq.conv2d")
    return conv


@pytest.mark.parametrize("as_node", [False, True])
@pytest.mark.parametrize("y_kind", ["INT8", "INT4", "UINT4"])
@pytest.mark.parametrize("kind", ["INT4", "UINT4"])
def test_four_bits_equal_onnx_runtime(kind: str, y_kind: str, as_node: bool) -> None:
    proto = _model(kind, y_kind, as_node)
    compiled = vq_cortexm.build(from_onnx(proto), rounding="float")
    samples = random_samples(compiled.program.inputs, 6, seed=1)
    result = compiled.run(samples, "host", check=True)
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    expected = np.stack([session.run(None, {"x": sample[0]})[0] for sample in samples])
    assert result.bit_exact
    got = np.stack([outputs[0] for outputs in result.outputs])
    assert len(np.unique(got)) > 10
    np.testing.assert_array_equal(got * Y_SCALE, expected)


@pytest.mark.parametrize(("kind", "middle"), [("INT2", 0), ("UINT2", 2), ("INT4", 0), ("UINT4", 8)])
def test_weights_keep_their_few_levels(kind: str, middle: int) -> None:
    proto = _model(kind)
    (stored,) = (t for t in proto.graph.initializer if t.name == "w")
    values = numpy_helper.to_array(stored).astype(np.int8) - middle
    weight = constant_value(_conv(proto).args[1])
    np.testing.assert_array_equal(weight, values.transpose(0, 2, 3, 1))
    low, high = RANGES[kind]
    assert detect(weight).levels == high - low + 1


@pytest.mark.parametrize("as_node", [False, True])
@pytest.mark.parametrize("kind", ["INT2", "UINT2", "INT4", "UINT4"])
def test_output_is_clipped_to_its_range(kind: str, as_node: bool) -> None:
    given = attributes(_conv(_model("INT4", kind, as_node)))
    assert ((given.y_min, given.y_max), given.y_dtype) == (RANGES[kind], "int8")


def test_integer_output_is_int8() -> None:
    proto = _model("INT4", "INT4")
    del proto.graph.output[:], proto.graph.node[-1]
    proto.graph.output.append(helper.make_tensor_value_info("q", TensorProto.INT4, [1, 5, 6, 6]))
    (y,) = vq_cortexm.build(from_onnx(proto)).metadata["outputs"]
    assert (y["dtype"], y["name"]) == ("int8", "q")


def test_input_of_four_bits_is_refused() -> None:
    proto = _model("INT4")
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.INT4
    with pytest.raises(ModelError, match=r"'x' has less than 8 bits; int8 and uint8 work"):
        from_onnx(proto)


def test_scale_that_is_not_constant_is_refused() -> None:
    proto = _model("INT4", "INT4")
    proto.graph.node[3].input[1] = "xr"
    with pytest.raises(ModelError, match=r"node 'q': its scale must be a constant"):
        from_onnx(proto)


def test_scales_of_blocks_are_refused() -> None:
    proto = _model("INT4")
    proto.graph.node[1].attribute.append(helper.make_attribute("block_size", 3))
    with pytest.raises(ModelError, match=r"node 'wr' \(DequantizeLinear\): scales of blocks"):
        from_onnx(proto)


def test_type_without_a_zero_point_is_refused() -> None:
    proto = _model("INT4", "INT4")
    del proto.graph.node[3].input[2]
    proto.graph.node[3].attribute.append(helper.make_attribute("output_dtype", TensorProto.INT4))
    with pytest.raises(ModelError, match=r"node 'q' \(QuantizeLinear\): .* need a zero point"):
        from_onnx(proto)
