"""QOperator models equal ONNX Runtime, as ONNX Runtime's own quantizer writes them and by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

import vq_cortexm
from vq_cortexm.errors import ModelError
from vq_cortexm.frontend import from_onnx
from vq_cortexm.frontend.onnx_qoperator import with_qdq
from vq_cortexm.samples import random_samples

MICROSOFT = "com.microsoft"
SAMPLES = 10


class _Samples(CalibrationDataReader):  # type: ignore[misc]
    """Random inputs that the quantizer finds its scales with."""

    def __init__(self, shape: Sequence[int]) -> None:
        rng = np.random.default_rng(5)
        self.samples = iter([{"x": rng.standard_normal(shape, np.float32)} for _ in range(8)])

    def get_next(self) -> Any:
        return next(self.samples, None)


class _Float:
    """A float net of one input, whose weights are drawn."""

    def __init__(self, shape: Sequence[int]) -> None:
        self.rng = np.random.default_rng(3)
        self.shape = list(shape)
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def constant(self, value: npt.NDArray[Any]) -> str:
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(value, name))
        return name

    def drawn(self, *shape: int) -> str:
        fan_in = int(np.prod(shape[1:])) or 1
        return self.constant((self.rng.standard_normal(shape) / fan_in**0.5).astype(np.float32))

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        output = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], output, **attributes))
        return output

    def conv(self, x: str, *shape: int, **attributes: Any) -> str:
        return self.add("Conv", x, self.drawn(*shape), self.drawn(shape[0]), **attributes)

    def model(self, y: str) -> onnx.ModelProto:
        ends = [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape),
            helper.make_tensor_value_info(y, TensorProto.FLOAT, None),
        ]
        graph = helper.make_graph(self.nodes, "net", ends[:1], ends[1:], self.initializers)
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        return onnx.shape_inference.infer_shapes(proto)


def _convolutions() -> onnx.ModelProto:
    net = _Float((1, 3, 8, 9))
    x = net.add("Relu", net.conv("x", 6, 3, 3, 3, pads=[1, 1, 1, 1], strides=[2, 2]))
    x = net.add("Relu", net.conv(x, 6, 1, 3, 3, group=6, pads=[1, 1, 1, 1]))
    return net.model(net.conv(x, 5, 6, 1, 1))


def _moves() -> onnx.ModelProto:
    """Operators that are 8-bit between the others: pooling, pads, layouts."""
    net = _Float((1, 2, 8, 8))
    x = net.add("MaxPool", net.conv("x", 4, 2, 1, 1), kernel_shape=[2, 2], strides=[2, 2])
    x = net.add("Transpose", x, perm=[0, 1, 3, 2])
    x = net.add("Pad", x, net.constant(np.array([0, 0, 1, 0, 0, 0, 0, 1], np.int64)))
    return net.model(net.conv(x, 4, 4, 3, 3))


def _classifier() -> onnx.ModelProto:
    net = _Float((1, 2, 6, 6))
    x = net.add("Relu", net.conv("x", 4, 2, 3, 3))
    x = net.add("Flatten", x)
    x = net.add("Gemm", x, net.drawn(7, 64), net.drawn(7), transB=1)
    return net.model(net.add("MatMul", x, net.drawn(7, 5)))


def _joined() -> onnx.ModelProto:
    net = _Float((1, 2, 6, 6))
    parts = [net.conv("x", 3, 2, 1, 1), net.conv("x", 2, 2, 1, 1)]
    return net.model(net.conv(net.add("Concat", *parts, axis=1), 4, 5, 1, 1))


def _sum() -> onnx.ModelProto:
    net = _Float((1, 2, 6, 6))
    first = net.conv("x", 4, 2, 1, 1)
    return net.model(net.add("Add", first, net.conv(first, 4, 4, 1, 1)))


def _means() -> onnx.ModelProto:
    net = _Float((1, 2, 8, 8))
    x = net.add("AveragePool", net.conv("x", 4, 2, 1, 1), kernel_shape=[2, 2], strides=[2, 2])
    return net.model(net.add("GlobalAveragePool", x))


def _softmax() -> onnx.ModelProto:
    net = _Float((1, 12))
    return net.model(net.add("Softmax", net.add("MatMul", "x", net.drawn(12, 6))))


def _quantized(
    proto: onnx.ModelProto, folder: Path, form: Any, kind: Any, per_channel: bool
) -> onnx.ModelProto:
    source, target = folder / "float.onnx", folder / "quantized.onnx"
    onnx.save(proto, source)
    quantize_static(
        source,
        target,
        _Samples([d.dim_value for d in proto.graph.input[0].type.tensor_type.shape.dim]),
        quant_format=form,
        activation_type=kind,
        weight_type=QuantType.QInt8,
        per_channel=per_channel,
        extra_options={"WeightSymmetric": True},
    )
    return _between_borders(onnx.load(target))


def _between_borders(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model from its first integers to its last, as ours is."""
    graph = proto.graph
    (x,), (y,) = graph.input, graph.output
    (first,) = [node for node in graph.node if x.name in node.input]
    (last,) = [node for node in graph.node if y.name in node.output]
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    for border, node, name in ((x, first, first.output[0]), (y, last, last.input[0])):
        kind = helper.np_dtype_to_tensor_dtype(constants[node.input[2]].dtype)
        border.name, border.type.tensor_type.elem_type = name, kind
        graph.node.remove(node)
    return proto


def _differences(proto: onnx.ModelProto, seen: int = 5) -> npt.NDArray[Any]:
    """Our outputs on the host minus ONNX Runtime's, in steps of the output's scale."""
    compiled = vq_cortexm.build(from_onnx(proto), rounding="float")
    samples = random_samples(compiled.program.inputs, SAMPLES, seed=1)
    result = compiled.run(samples, "host", check=True)
    assert result.bit_exact
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (name,) = [value.name for value in session.get_inputs()]
    expected = np.stack([session.run(None, {name: sample[0]})[0] for sample in samples])
    assert len(np.unique(expected)) >= seen
    got = np.stack([outputs[0] for outputs in result.outputs])
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    return got.astype(np.int32) - expected.astype(np.int32)


@pytest.mark.parametrize("form", [QuantFormat.QOperator, QuantFormat.QDQ])
@pytest.mark.parametrize("kind", [QuantType.QInt8, QuantType.QUInt8])
@pytest.mark.parametrize("make", [_convolutions, _moves, _classifier, _joined])
def test_integer_net_equals_onnx_runtime(
    make: Callable[[], onnx.ModelProto], kind: Any, form: Any, tmp_path: Path
) -> None:
    proto = _quantized(make(), tmp_path, form, kind, per_channel=make is _convolutions)
    assert not _differences(proto).any()


@pytest.mark.parametrize("kind", [QuantType.QInt8, QuantType.QUInt8])
@pytest.mark.parametrize("make", [_sum, _means, _softmax])
def test_net_that_is_computed_in_float_is_within_one_step(
    make: Callable[[], onnx.ModelProto], kind: Any, tmp_path: Path
) -> None:
    proto = _quantized(make(), tmp_path, QuantFormat.QOperator, kind, per_channel=False)
    assert any(node.op_type.startswith("QLinear") for node in proto.graph.node)
    assert np.abs(_differences(proto)).max() <= 1


# -------------------------------------------------------------------- operators one by one


def _operator(
    kind: str, inputs: Sequence[Any], shape: Sequence[int], version: int = 17, **attributes: Any
) -> onnx.ModelProto:
    """A model of one operator; inputs are arrays, or the name "x" of its only tensor."""
    names, initializers = [], []
    for position, value in enumerate(inputs):
        names.append(value if isinstance(value, str) else f"c{position}")
        if not isinstance(value, str):
            initializers.append(numpy_helper.from_array(np.asarray(value), names[-1]))
    standard = ("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger")
    domain = "" if kind in standard else MICROSOFT
    node = helper.make_node(kind, names, ["y"], "layer", domain=domain, **attributes)
    ends = [
        helper.make_tensor_value_info("x", TensorProto.UINT8, list(shape)),
        helper.make_tensor_value_info("y", TensorProto.UINT8, None),
    ]
    graph = helper.make_graph([node], "net", ends[:1], ends[1:], initializers)
    opsets = [helper.make_opsetid("", version), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def _ends(scale: float, zero_point: int) -> list[Any]:
    return [np.float32(scale), np.uint8(zero_point)]


_X = ["x", *_ends(0.05, 120)]
_WEIGHTS = np.random.default_rng(7).integers(-127, 128, (5, 6)).astype(np.int8)
_SCALES = np.float32([0.01, 0.02, 0.03, 0.01, 0.02])
_ZEROS = np.zeros(5, np.int8)
_BIASES = np.int32([100, -200, 300, -400, 500])
_OTHER = np.random.default_rng(8).integers(0, 256, (4, 6)).astype(np.uint8)
_OPERATORS = {
    "conv": _operator(
        "QLinearConv",
        [*_X, _WEIGHTS.reshape(5, 6, 1, 1), _SCALES, _ZEROS, *_ends(0.1, 100), _BIASES],
        (1, 6, 3, 3),
    ),
    "matmul": _operator(
        "QLinearMatMul",
        [*_X, _WEIGHTS.T.copy(), np.float32(0.02), np.int8(0), *_ends(0.1, 100)],
        (4, 6),
    ),
    "gemm": _operator(
        "QGemm",
        [*_X, _WEIGHTS, _SCALES, _ZEROS, _BIASES, *_ends(0.1, 100)],
        (4, 6),
        alpha=0.5,
        transB=1,
    ),
    "add": _operator("QLinearAdd", [*_X, _OTHER, *_ends(0.03, 9), *_ends(0.07, 50)], (4, 6)),
    "mul": _operator("QLinearMul", [*_X, _OTHER, *_ends(0.03, 9), *_ends(0.17, 99)], (4, 6)),
    "sigmoid": _operator("QLinearSigmoid", [*_X, *_ends(1 / 256, 0)], (4, 6)),
    "leaky": _operator("QLinearLeakyRelu", [*_X, *_ends(0.04, 30)], (4, 6), alpha=0.2),
    "softmax": _operator(
        "QLinearSoftmax", ["x", *_ends(0.01, 120), *_ends(1 / 256, 0)], (4, 6), axis=-1, opset=13
    ),
    "average": _operator(
        "QLinearAveragePool",
        [*_X, *_ends(0.04, 111)],
        (1, 2, 5, 5),
        kernel_shape=[2, 3],
        pads=[1, 0, 0, 1],
    ),
    "global": _operator("QLinearGlobalAveragePool", [*_X, *_ends(0.02, 111)], (1, 9, 5, 5)),
    "concat": _operator(
        "QLinearConcat", [*_ends(0.06, 100), *_X, _OTHER, *_ends(0.03, 9)], (4, 6), axis=1
    ),
}


def _outputs(proto: onnx.ModelProto, optimized: bool = True) -> npt.NDArray[Any]:
    options = onnxruntime.SessionOptions()
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    shape = session.get_inputs()[0].shape
    x = np.random.default_rng(6).integers(0, 256, shape).astype(np.uint8)
    return np.asarray(session.run(None, {"x": x})[0]).astype(np.int32)


@pytest.mark.parametrize("name", _OPERATORS)
def test_rewritten_operator_means_the_same(name: str) -> None:
    """Both forms in ONNX Runtime; that of QDQ is computed in float."""
    proto = _OPERATORS[name]
    rewritten = with_qdq(proto)
    assert {node.domain for node in rewritten.graph.node} == {""}
    expected = _outputs(proto)
    assert len(np.unique(expected)) > 5
    assert np.abs(_outputs(rewritten, optimized=False) - expected).max() <= 1


@pytest.mark.parametrize("name", ["conv", "matmul", "gemm"])
def test_operator_with_weights_equals_onnx_runtime(name: str) -> None:
    assert not _differences(_OPERATORS[name]).any()


@pytest.mark.parametrize("opset", [13, 18])
def test_mean_has_its_axes_where_the_version_wants_them(opset: int) -> None:
    """ONNX Runtime has no kernel for this operator."""
    inputs = [*_X, *_ends(0.02, 111)]
    proto = _operator("QLinearReduceMean", inputs, (1, 2, 5, 5), opset, axes=[2, 3], keepdims=1)
    x = np.random.default_rng(6).integers(0, 256, (1, 2, 5, 5))
    mean = ((x - 120) * 0.05).mean(axis=(2, 3), keepdims=True)
    assert np.abs(_outputs(with_qdq(proto), optimized=False) - (mean / 0.02 + 111)).max() <= 0.51


def _dynamic(scale: str) -> onnx.ModelProto:
    """MatMulInteger of weights, as integer exporters write it: Cast and Mul behind it."""
    proto = _operator("MatMulInteger", ["x", _WEIGHTS.T.copy(), np.uint8(120), np.int8(0)], (4, 6))
    graph = proto.graph
    graph.node[0].output[0] = "sums"
    for name, value in (("scale", 0.05 * _SCALES), ("ys", np.float32(0.1)), ("yz", np.uint8(99))):
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    graph.node.extend(
        [
            helper.make_node("Cast", ["sums"], ["float"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["float", scale], ["real"]),
            helper.make_node("QuantizeLinear", ["real", "ys", "yz"], ["y"]),
        ]
    )
    return proto


def test_integer_product_takes_the_scale_behind_it() -> None:
    assert np.abs(_differences(_dynamic("scale"))).max() <= 1


def test_borders_of_the_foreign_domain_are_onnx_own() -> None:
    proto = _OPERATORS["conv"]
    real = onnx.ModelProto()
    real.CopyFrom(proto)
    real.graph.node.append(
        helper.make_node("DequantizeLinear", ["y", "c6", "c7"], ["r"], domain=MICROSOFT)
    )
    real.graph.output[0].name = "r"
    real.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    compiled = vq_cortexm.build(from_onnx(real), rounding="float")
    assert compiled.metadata["outputs"][0]["scale"] == pytest.approx(0.1)


def _refused(proto: onnx.ModelProto) -> str:
    with pytest.raises(ModelError) as caught:
        from_onnx(proto, "net.onnx")
    message = str(caught.value)
    assert message.startswith("net.onnx: node 'layer'")
    assert "\n" not in message
    return message


def test_dynamic_quantization_is_refused() -> None:
    proto = _operator("DynamicQuantizeMatMul", ["x", _WEIGHTS.T.copy(), np.float32(0.1)], (4, 6))
    assert "static quantization works" in _refused(proto)


def test_integer_product_without_a_scale_is_refused() -> None:
    proto = _operator("MatMulInteger", ["x", _WEIGHTS.T.copy()], (4, 6))
    assert "QLinearMatMul" in _refused(proto)


def test_scale_that_is_computed_is_refused() -> None:
    proto = _operator("QLinearSigmoid", ["x", "x", np.uint8(1), *_ends(1 / 256, 0)], (1,))
    assert "scale 'x' must be a constant" in _refused(proto)


def test_channels_last_is_refused() -> None:
    inputs = [*_X, *_ends(0.02, 111)]
    proto = _operator("QLinearGlobalAveragePool", inputs, (1, 2, 5, 5), channels_last=1)
    assert "channels_last" in _refused(proto)
