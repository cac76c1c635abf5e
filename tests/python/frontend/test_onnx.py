"""The ONNX importer: QDQ models equal ONNX Runtime, damage is one line."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_layers import check_against_runtime, qdq_model

import vq_cortexm
from vq_cortexm.errors import ModelError
from vq_cortexm.frontend import from_onnx, load
from vq_cortexm.samples import random_samples

DIGITS = Path(__file__).parents[3] / "examples" / "digits"
SAMPLES = 10


class _Net:
    """An ONNX QDQ graph from one integer input, NCHW; every float value passes through `qdq`."""

    def __init__(self, shape: Sequence[int], dtype: str, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.dtype = np.dtype(dtype)
        self.middle = 0 if dtype == "int8" else 128
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.scales: dict[str, float] = {}
        self.shape = list(shape)
        self.input = self._dequantize("x", 0.05, -3)

    def _constant(self, value: Any, name: str) -> str:
        self.initializers.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Adds a node; returns its output."""
        output = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def _ends(self, scale: float, zero_point: int, name: str) -> list[str]:
        return [
            self._constant(np.float32(scale), f"{name}_scale"),
            self._constant(self.dtype.type(self.middle + zero_point), f"{name}_zero_point"),
        ]

    def _dequantize(self, integer: str, scale: float, zero_point: int) -> str:
        value = self.node("DequantizeLinear", [integer, *self._ends(scale, zero_point, integer)])
        self.scales[value] = scale
        return value

    def qdq(self, value: str, scale: float, zero_point: int) -> str:
        """QuantizeLinear and DequantizeLinear."""
        ends = self._ends(scale, zero_point, value)
        quantized = self.node("QuantizeLinear", [value, *ends])
        result = self.node("DequantizeLinear", [quantized, *ends])
        self.scales[result] = scale
        return result

    def weights(self, x: str, shape: tuple[int, ...], channels: int) -> list[str]:
        """Per-channel int8 weights and int32 bias behind DequantizeLinear: outputs of about +-4."""
        fan_in = int(np.prod(shape)) // channels
        scale = 4 / (self.scales[x] * 70 * 70 * fan_in**0.5) * self.rng.uniform(0.5, 1.5, channels)
        name = f"layer_{len(self.nodes)}"
        parameters = [
            ("weight", self.rng.integers(-127, 128, shape).astype(np.int8), scale),
            (
                "bias",
                self.rng.integers(-2000, 2000, channels).astype(np.int32),
                self.scales[x] * scale,
            ),
        ]
        result = []
        for what, value, scales in parameters:
            inputs = [
                self._constant(value, f"{name}_{what}"),
                self._constant(scales.astype(np.float32), f"{name}_{what}_scale"),
                self._constant(np.zeros(channels, value.dtype), f"{name}_{what}_zero_point"),
            ]
            result.append(self.node("DequantizeLinear", inputs, axis=0))
        return result

    def conv(self, x: str, shape: tuple[int, ...], relu: bool = False, **attributes: Any) -> str:
        """Convolution with weights of `shape` (OIHW), then quantized."""
        y = self.node("Conv", [x, *self.weights(x, shape, shape[0])], **attributes)
        y = self.node("Relu", [y]) if relu else y
        # after a ReLU the zero point is the lowest integer, as quantizers choose it
        return self.qdq(y, 0.02 if relu else 0.04, -128 if relu else 9)

    def gemm(self, x: str, shape: tuple[int, int]) -> str:
        """Fully connected layer with weights (outputs, inputs), then quantized."""
        return self.qdq(
            self.node("Gemm", [x, *self.weights(x, shape, shape[0])], transB=1), 0.05, -4
        )

    def model(self, y: str) -> onnx.ModelProto:
        """The model whose output is the integer behind `y`."""
        last = self.nodes.pop()
        assert list(last.output) == [y]
        kind = helper.np_dtype_to_tensor_dtype(self.dtype)
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("x", kind, self.shape)],
            [helper.make_tensor_value_info(last.input[0], kind, None)],
            self.initializers,
        )
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        proto = onnx.shape_inference.infer_shapes(proto)
        onnx.checker.check_model(proto)
        return proto


class _Refused:
    """Small models that are none of ours, by what is wrong with them."""

    @staticmethod
    def float_model() -> onnx.ModelProto:
        return _plain([1, 3], "Relu")

    @staticmethod
    def unsupported() -> onnx.ModelProto:
        net = _Net((1, 4, 3, 3), "int8", seed=9)
        axis = net._constant(np.int64(1), "axis")
        return net.model(net.qdq(net.node("CumSum", [net.input, axis]), 0.1, 0))

    @staticmethod
    def unknown_to_tvm() -> onnx.ModelProto:
        return _plain([1, 3], "Multinomial")


def _plain(shape: Sequence[int | str], operator: str) -> onnx.ModelProto:
    """A float model of one operator; a name in place of a size leaves the dimension open."""
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name in ("x", "y")
    ]
    graph = helper.make_graph(
        [helper.make_node(operator, ["x"], ["y"])], "plain", ends[:1], ends[1:]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _conv_relu(dtype: str) -> onnx.ModelProto:
    net = _Net((1, 3, 7, 9), dtype, seed=1)
    return net.model(net.conv(net.input, (6, 3, 3, 3), True, pads=[1, 1, 1, 1], strides=[2, 2]))


def _conv_relu6(dtype: str) -> onnx.ModelProto:
    """A Clip on both sides, as ReLU6 is exported, and one without a lower end."""
    net = _Net((1, 3, 7, 9), dtype, seed=12)
    ends = [net._constant(np.float32(end), f"end_{end}") for end in (0, 1.5, 2)]
    y = net.node("Conv", [net.input, *net.weights(net.input, (6, 3, 3, 3), 6)])
    y = net.qdq(net.node("Clip", [y, *ends[:2]]), 0.02, -100)
    y = net.node("Conv", [y, *net.weights(y, (4, 6, 1, 1), 4)])
    return net.model(net.qdq(net.node("Clip", [y, "", ends[2]]), 0.04, 9))


def _depthwise(dtype: str) -> onnx.ModelProto:
    net = _Net((1, 5, 7, 7), dtype, seed=2)
    return net.model(net.conv(net.input, (5, 1, 3, 3), group=5, pads=[1, 1, 1, 1]))


def _pointwise(dtype: str) -> onnx.ModelProto:
    net = _Net((1, 8, 5, 5), dtype, seed=3)
    return net.model(net.conv(net.input, (7, 8, 1, 1)))


def _max_pool(dtype: str) -> onnx.ModelProto:
    net = _Net((1, 4, 6, 6), dtype, seed=4)
    pooled = net.node("MaxPool", [net.input], kernel_shape=[2, 2], strides=[2, 2])
    return net.model(net.qdq(pooled, 0.05, -3))


def _flatten_gemm(dtype: str) -> onnx.ModelProto:
    net = _Net((1, 4, 3, 3), dtype, seed=5)
    flat = net.qdq(net.node("Flatten", [net.input]), 0.05, -3)
    return net.model(net.gemm(flat, (6, 36)))


def _add(dtype: str) -> onnx.ModelProto:
    net = _Net((1, 4, 6, 6), dtype, seed=6)
    other = net.conv(net.input, (4, 4, 1, 1))
    return net.model(net.qdq(net.node("Add", [net.input, other]), 0.07, 5))


def _global_average_pool(dtype: str) -> onnx.ModelProto:
    net = _Net((1, 4, 6, 6), dtype, seed=7)
    return net.model(net.qdq(net.node("GlobalAveragePool", [net.input]), 0.013, 2))


def _pad_conv(dtype: str) -> onnx.ModelProto:
    net = _Net((1, 3, 6, 7), dtype, seed=10)
    widths = net._constant(np.array([0, 0, 1, 1, 0, 0, 0, 1], np.int64), "widths")
    padded = net.qdq(net.node("Pad", [net.input, widths]), 0.05, -3)
    return net.model(net.conv(padded, (4, 3, 3, 3), True))


def _concat(dtype: str) -> onnx.ModelProto:
    """Channels of three layers; those of the second have another scale."""
    net = _Net((1, 3, 5, 5), dtype, seed=11)
    stem = net.conv(net.input, (4, 3, 1, 1))
    parts = [stem, net.conv(stem, (5, 4, 3, 3), True, pads=[1] * 4), net.conv(stem, (3, 4, 1, 1))]
    joined = net.qdq(net.node("Concat", parts, axis=1), 0.04, 9)
    return net.model(net.conv(joined, (6, 12, 1, 1)))


def _network(dtype: str) -> onnx.ModelProto:
    net = _Net((1, 1, 8, 8), dtype, seed=8)
    stem = net.conv(net.input, (8, 1, 3, 3), True, pads=[1, 1, 1, 1])
    deep = net.conv(stem, (8, 1, 3, 3), True, group=8, pads=[1, 1, 1, 1])
    deep = net.conv(deep, (8, 8, 1, 1))
    total = net.qdq(net.node("Add", [stem, deep]), 0.06, -7)
    pooled = net.node("MaxPool", [total], kernel_shape=[2, 2], strides=[2, 2])
    pooled = net.qdq(pooled, 0.06, -7)
    mean = net.qdq(net.node("GlobalAveragePool", [pooled]), 0.03, -20)
    flat = net.qdq(net.node("Flatten", [mean]), 0.03, -20)
    return net.model(net.gemm(flat, (5, 8)))


# ONNX Runtime computes these layers on integers and multiplies once in float32: `float`'s rule
INTEGER = [
    _conv_relu,
    _conv_relu6,
    _depthwise,
    _pointwise,
    _max_pool,
    _flatten_gemm,
    _pad_conv,
    _concat,
]
# and these in float32 in an order of its own, so that a half may round the other way
FLOAT = [_add, _global_average_pool, _network]


def _differences(proto: onnx.ModelProto, rounding: str = "float") -> npt.NDArray[Any]:
    """Our outputs on the host minus ONNX Runtime's, in steps of the output's scale."""
    compiled = vq_cortexm.build(from_onnx(proto), rounding=rounding)
    samples = random_samples(compiled.program.inputs, SAMPLES, seed=1)
    result = compiled.run(samples, "host", check=True)
    assert result.bit_exact
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    expected = np.stack([session.run(None, {"x": sample[0]})[0] for sample in samples])
    assert len(np.unique(expected)) > 10
    got = np.stack([outputs[0] for outputs in result.outputs])
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    return got.astype(np.int32) - expected.astype(np.int32)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("make", INTEGER)
def test_integer_layer_equals_onnx_runtime(
    make: Callable[[str], onnx.ModelProto], dtype: str
) -> None:
    assert not _differences(make(dtype)).any()


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("make", FLOAT)
def test_float_layer_is_within_one_step_of_onnx_runtime(
    make: Callable[[str], onnx.ModelProto], dtype: str
) -> None:
    differences = _differences(make(dtype))
    assert np.abs(differences).max() <= 1
    assert (differences == 0).mean() > 0.9


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_border_is_padding_and_layouts_are_moved(dtype: str) -> None:
    padded = vq_cortexm.build(from_onnx(_pad_conv(dtype)))
    assert [step.op for step in padded.program.steps] == ["transpose", "conv2d", "transpose"]
    joined = vq_cortexm.build(from_onnx(_concat(dtype)))
    steps = [step.op for step in joined.program.steps]
    assert [steps.count(op) for op in ("transpose", "requantize", "concat")] == [2, 1, 1]


def test_digits_equal_onnx_runtime() -> None:
    data = runpy.run_path(str(DIGITS / "data.py"))
    images = data["load"]().test_images[:50]
    compiled = vq_cortexm.build(load(DIGITS / "digits_int8.onnx"), rounding="float")
    result = compiled.run(list(data["quantize"](images)[:, np.newaxis]), "host", check=True)
    (described,) = compiled.metadata["outputs"]
    scale, zero_point = described["scale"], described["zero_point"]
    session = onnxruntime.InferenceSession(
        DIGITS / "digits_int8.onnx", providers=["CPUExecutionProvider"]
    )
    expected = np.concatenate([session.run(None, {"image": i[np.newaxis]})[0] for i in images])
    steps = np.rint(expected / scale).astype(np.int32) + zero_point
    got = np.concatenate([outputs[0] for outputs in result.outputs]).astype(np.int32)
    assert result.bit_exact
    # the sum and the mean in the middle are float32 in ONNX Runtime
    assert np.abs(got - steps).max() <= 1
    np.testing.assert_array_equal(got.argmax(axis=1), expected.argmax(axis=1))


def test_metadata_has_names_and_scales_of_the_file() -> None:
    metadata = vq_cortexm.build(load(DIGITS / "digits_int8.onnx")).metadata
    (x,), (y,) = metadata["inputs"], metadata["outputs"]
    assert (x["name"], x["shape"], x["dtype"]) == ("image", [1, 1, 8, 8], "int8")
    assert (x["scale"], x["zero_point"]) == (1 / 8, -64)
    assert (y["name"], y["shape"], y["dtype"]) == ("logits", [1, 10], "int8")
    assert y["scale"] > 0


def test_path_bytes_and_proto_are_the_same(tmp_path: Path) -> None:
    proto = _conv_relu("int8")
    path = tmp_path / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    modules = [from_onnx(s) for s in (path, str(path), path.read_bytes(), proto)]
    assert len({module.script() for module in [*modules, load(path)]}) == 1


def test_open_batch_becomes_one() -> None:
    proto = _conv_relu("int8")
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    (x,) = vq_cortexm.build(from_onnx(proto)).program.inputs
    assert x.shape == (1, 3, 7, 9)


def _error(model: Any) -> str:
    """The message with which a model is refused by the importer or by the build."""
    with pytest.raises(ModelError) as caught:
        vq_cortexm.build(from_onnx(model))
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (_Refused.float_model, "float"),
        (_Refused.unsupported, "cumsum"),
        (_Refused.unknown_to_tvm, "Multinomial"),
        (lambda: _plain([1, "length"], "Relu"), "open dimension 1"),
    ],
    ids=["float", "unsupported", "unknown", "open"],
)
def test_model_that_is_not_supported_is_refused(
    make: Callable[[], onnx.ModelProto], names: str
) -> None:
    assert names in _error(make())


def test_file_with_an_unknown_operator_is_named(tmp_path: Path) -> None:
    path = tmp_path / "odd.onnx"
    path.write_bytes(_plain([1, 3], "NoSuchOperator").SerializeToString())
    message = _error(path)
    assert "odd.onnx" in message
    assert "NoSuchOperator" in message


@pytest.mark.parametrize("data", [b"", b"\0", bytes(100), b"<html>not a model</html>"])
def test_file_that_is_no_model_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "odd.onnx"
    path.write_bytes(data)
    assert "odd.onnx: not a valid ONNX model" in _error(path)


def test_truncated_file_is_refused_at_every_length(tmp_path: Path) -> None:
    whole = _conv_relu("int8").SerializeToString()
    path = tmp_path / "cut.onnx"
    for length in [*range(0, len(whole), 29), len(whole) - 1]:
        path.write_bytes(whole[:length])
        assert "cut.onnx" in _error(path), length


def test_missing_file_is_refused(tmp_path: Path) -> None:
    assert "none.onnx" in _error(tmp_path / "none.onnx")


def test_constant_of_more_axes_adds_them() -> None:
    body = "ry = Mul(rx, factor)"
    constants = {"factor": np.full((1, 1, 1), 0.5, np.float32)}
    model = qdq_model(body, {"x": (1, 4)}, {"y": (1, 1, 4)}, constants)
    check_against_runtime(model)
