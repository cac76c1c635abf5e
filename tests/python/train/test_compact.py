"""Compacted QONNX files: the same constants, in fewer bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from qonnx_builder import QonnxNet

from vq_cortexm.frontend.qonnx_constants import Constants
from vq_cortexm.frontend.qonnx_graph import SourceGraph
from vq_cortexm.train.compact import compact_weights


def net(outputs: int, bits: int) -> Any:
    """A convolution of few enough weights that some are left as they are, and of more."""
    graph = QonnxNet((1, 5, 6, 6), 3)
    weight = graph.weight((outputs, 5, 3, 3), bits, powers=False)
    y = graph.node("Conv", [graph.quant("x", 1 / 64, 8), weight])
    return graph.model(graph.quant(y, 1 / 4, 8))


def weights(proto: onnx.ModelProto, count: int = 1) -> list[Any]:
    found = list(Constants(SourceGraph(proto)).quantized.values())
    assert len(found) == count
    return found


@pytest.mark.parametrize("bits", [1, 4, 8])
@pytest.mark.parametrize("outputs", [5, 13, 64])
def test_weights_are_the_same_after_it(bits: int, outputs: int) -> None:
    proto = net(outputs, bits)
    compacted = onnx.ModelProto()
    compacted.CopyFrom(proto)
    compact_weights(compacted)
    onnx.checker.check_model(compacted)
    (before,), (after,) = weights(proto), weights(compacted)
    np.testing.assert_array_equal(after.steps, before.steps)
    np.testing.assert_array_equal(after.scale, before.scale)
    types = {tensor.data_type for tensor in compacted.graph.initializer}
    stored = onnx.TensorProto.UINT8 if bits == 1 else onnx.TensorProto.INT8
    assert (stored in types) == (outputs * 45 >= 256)
    if outputs == 64:
        assert compacted.ByteSize() < proto.ByteSize() / 2


@pytest.mark.parametrize("bits", [1, 4])
def test_weights_that_two_layers_read_are_stored_once(bits: int) -> None:
    graph = QonnxNet((1, 5, 6, 6), 3)
    weight = graph.weight((13, 5, 3, 3), bits, powers=False)
    x = graph.quant("x", 1 / 64, 8)
    proto = graph.model(graph.quant(graph.node("Conv", [x, weight]), 1 / 4, 8))
    (quantizer,) = (node for node in proto.graph.node if node.output[0] == weight)
    again = onnx.NodeProto()
    again.CopyFrom(quantizer)
    again.output[0] = "again"
    convolution = onnx.helper.make_node("Conv", [x, "again"], ["more"])
    proto.graph.node.extend([again, convolution])
    before = weights(proto, 2)
    compact_weights(proto)
    onnx.checker.check_model(proto)
    for one, two in zip(before, weights(proto, 2), strict=True):
        np.testing.assert_array_equal(one.steps, two.steps)
        np.testing.assert_array_equal(one.scale, two.scale)
    large = [tensor for tensor in proto.graph.initializer if np.prod(tensor.dims) > 64]
    assert len(large) == 1 and large[0].data_type != onnx.TensorProto.FLOAT


def test_operators_of_onnx_alone_make_the_bits() -> None:
    proto = net(13, 1)
    compact_weights(proto)
    bipolar = next(n for n in proto.graph.node if n.op_type == "BipolarQuant")
    made = [n for n in proto.graph.node if n.domain == "" and n.op_type != "Conv"]
    graph = onnx.helper.make_graph(
        made,
        "weights",
        [],
        [onnx.helper.make_tensor_value_info(bipolar.input[0], 1, (13, 5, 3, 3))],
        list(proto.graph.initializer),
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    (signs,) = ReferenceEvaluator(model).run(None, {})
    assert set(np.unique(signs)) == {-1, 1}


def test_what_depends_on_constants_is_computed() -> None:
    graph = QonnxNet((1, 5, 6, 6), 3)
    borders = graph.node("Concat", [graph.constant([0] * 2), graph.constant([1] * 6)], axis=0)
    borders = graph.node("Cast", [borders], to=onnx.TensorProto.INT64)
    padded = graph.node("Pad", [graph.quant("x", 1 / 64, 8), borders])
    proto = graph.model(graph.quant(graph.node("Relu", [padded]), 1 / 64, 8))
    compact_weights(proto)
    assert [node.op_type for node in proto.graph.node] == ["Quant", "Pad", "Relu", "Quant"]
    assert [value.name for value in proto.graph.input] == ["x"]
    onnx.checker.check_model(proto, full_check=False)


def test_batch_norms_are_factors_and_terms() -> None:
    """Two of them, whose variances are one tensor."""
    rng = np.random.default_rng(3)
    graph = QonnxNet((1, 5, 6, 6), 5)
    shared = graph.constant(rng.uniform(0.5, 2, 5).astype(np.float32))
    y = "x"
    for _ in range(2):
        others = [graph.constant(rng.normal(size=5).astype(np.float32)) for _ in range(3)]
        y = graph.node("BatchNormalization", [y, *others, shared], epsilon=1e-3)
    proto = graph.model(y)
    x = rng.normal(size=(1, 5, 6, 6)).astype(np.float32)
    wanted = ReferenceEvaluator(proto).run(None, {"x": x})
    compact_weights(proto)
    onnx.checker.check_model(proto)
    np.testing.assert_allclose(ReferenceEvaluator(proto).run(None, {"x": x}), wanted, rtol=1e-5)
    names = [node.op_type for node in proto.graph.node]
    assert names == ["ConstantOfShape"] * 2 + ["BatchNormalization"] * 2
    assert sorted(tuple(tensor.dims) for tensor in proto.graph.initializer) == [(1,)] + [(5,)] * 4
