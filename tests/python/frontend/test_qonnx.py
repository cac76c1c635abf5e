"""The QONNX importer: what is compiled equals QONNX's own executor, and refusals are one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from qonnx.custom_op.general.bipolar_quant import binary_quant
from qonnx.custom_op.general.intquant import int_quant
from qonnx_builder import QonnxNet, execute

import vq_cortexm
from vq_cortexm.compat import constant_value, op_name
from vq_cortexm.errors import ModelError
from vq_cortexm.frontend import from_onnx, load
from vq_cortexm.frontend.qonnx_graph import SourceGraph
from vq_cortexm.frontend.qonnx_values import Quantizer
from vq_cortexm.nary import detect
from vq_cortexm.op.registry import attributes
from vq_cortexm.samples import random_samples
from vq_cortexm.transform.rewriting import bindings_of

SAMPLES = 6
STEP = 1 / 16


def _conv(bits: int) -> onnx.ModelProto:
    """Weights of so many bits, unsigned 4-bit activations; from uint8."""
    net = QonnxNet((1, 3, 7, 9), bits)
    x, w = net.quant("x", STEP, 8, signed=0), net.weight((6, 3, 3, 3), bits)
    y = net.node("Conv", [x, w, net.bias(STEP, w, 6)], pads=[1] * 4, strides=[2, 2])
    return net.model(net.quant(net.node("Relu", [y]), 1 / 2, 4, signed=0))


def _conv_2() -> onnx.ModelProto:
    return _conv(2)


def _conv_4() -> onnx.ModelProto:
    return _conv(4)


def _conv_8() -> onnx.ModelProto:
    return _conv(8)


def _bipolar_weights() -> onnx.ModelProto:
    return _conv(1)


def _depthwise() -> onnx.ModelProto:
    """Signed narrow activations, and a float bias that lies on the grid."""
    net = QonnxNet((1, 5, 6, 6), 2)
    x, w = net.quant("x", STEP, 8), net.weight((5, 1, 3, 3), 3)
    bias = net.constant(net.rng.integers(-30, 30, 5) / 32)
    y = net.node("Conv", [x, w, bias], group=5, pads=[1] * 4)
    return net.model(net.quant(y, 1 / 8, 5, narrow=1))


def _products() -> onnx.ModelProto:
    """Gemm, and MatMul whose weights are transposed behind their Quant, plus a bias."""
    net = QonnxNet((1, 12), 3)
    x = net.quant("x", STEP, 8)
    w = net.weight((9, 12), 4)
    y = net.quant(net.node("Gemm", [x, w, net.bias(STEP, w, 9)], transB=1), 1 / 4, 6)
    w = net.weight((7, 9), 4)
    product = net.node("MatMul", [y, net.node("Transpose", [w], perm=[1, 0])])
    return net.model(net.quant(net.node("Add", [product, net.bias(1 / 4, w, 7)]), 1 / 2, 8))


def _narrow_input() -> onnx.ModelProto:
    """A 4-bit input: the compiled model clips what is beyond it."""
    net = QonnxNet((1, 10), 4)
    y = net.node("MatMul", [net.quant("x", STEP, 4), net.weight((10, 6), 4, axis=1)])
    return net.model(net.quant(y, 1 / 16, 8))


def _zero_points() -> onnx.ModelProto:
    """Even zero points of activations, and one of weights that are unsigned."""
    net = QonnxNet((1, 3, 6, 6), 5)
    x = net.quant("x", STEP, 8, signed=0, zero_point=100)
    values = net.constant(net.rng.uniform(-1, 1, (4, 3, 3, 3)))
    w = net.quant(values, 1 / 8, 4, signed=0, zero_point=7)
    y = net.node("Conv", [x, w], pads=[1, 0, 0, 1])
    return net.model(net.quant(y, 1 / 4, 7, signed=0, zero_point=52))


def _moved() -> onnx.ModelProto:
    """Quantizers that follow behind max pooling, a transpose, a pad and a flatten."""
    net = QonnxNet((1, 6, 6, 3), 6)
    x = net.quant(net.node("Transpose", ["x"], perm=[0, 3, 1, 2]), STEP, 8)
    y = net.node("Conv", [x, net.weight((4, 3, 1, 1), 4)])
    pooled = net.node("MaxPool", [net.node("Relu", [y])], kernel_shape=[2, 2], strides=[2, 2])
    y = net.quant(pooled, 1 / 4, 3, signed=0)
    y = net.node("Pad", [y, net.constant([0, 0, 1, 0, 0, 0, 0, 1], np.int64)])
    y = net.node("Conv", [y, net.weight((3, 4, 2, 2), 2)])
    return net.model(net.quant(net.node("Flatten", [y]), 1 / 4, 6))


def _residual(scales: tuple[float, float] = (1 / 4, 1 / 4)) -> onnx.ModelProto:
    net = QonnxNet((1, 4, 5, 5), 7)
    x = net.quant("x", STEP, 8)
    parts = [
        net.quant(net.node("Conv", [x, net.weight((4, 4, 1, 1), 4)]), scale, 6) for scale in scales
    ]
    total = net.node("Relu", [net.node("Add", parts)])
    return net.model(net.quant(total, 1 / 4, 5, signed=0))


def _concat(scales: tuple[float, float] = (1 / 4, 1 / 4)) -> onnx.ModelProto:
    net = QonnxNet((1, 4, 5, 5), 8)
    x = net.quant("x", STEP, 8)
    parts = [
        net.quant(net.node("Conv", [x, net.weight((3, 4, 1, 1), 4)]), scale, 6) for scale in scales
    ]
    joined = net.node("Concat", parts, axis=1)
    if scales[0] != scales[1]:
        joined = net.quant(joined, 1 / 4, 6)
    return net.model(net.quant(net.node("Conv", [joined, net.weight((5, 6, 1, 1), 3)]), 1 / 2, 8))


def _concat_of_two_scales() -> onnx.ModelProto:
    return _concat((1 / 4, 1 / 2))


def _sign() -> onnx.ModelProto:
    """A binary network's layer: batch norm and BipolarQuant behind it."""
    net = QonnxNet((1, 6, 6, 6), 9)
    x = net.quant("x", STEP, 8)
    y = net.node("Conv", [x, net.weight((8, 6, 3, 3), 1)])
    y = net.bipolar(net.batch_norm(y, 8), 1 / 2)
    y = net.bipolar(net.node("Conv", [y, net.weight((6, 8, 3, 3), 1)]), 1)
    return net.model(net.quant(net.node("Conv", [y, net.weight((5, 6, 2, 2), 2)]), 1 / 8, 8))


def _sign_of_activations() -> onnx.ModelProto:
    """Signs of an input with a zero point, of a sum and of a pool, where nothing is a layer."""
    net = QonnxNet((1, 6, 6, 6), 21)
    x = net.quant("x", STEP, 8, signed=0, zero_point=100)
    y = net.node("Conv", [net.bipolar(x, 1 / 2), net.weight((6, 6, 1, 1), 1)])
    y = net.quant(net.node("Add", [x, net.quant(y, 1 / 4, 8)]), STEP, 8, zero_point=4)
    z = net.quant(net.node("AveragePool", [y], kernel_shape=[2, 2]), STEP / 4, 8, zero_point=2)
    z = net.quant(net.node("Conv", [net.bipolar(z, 1), net.weight((6, 6, 2, 2), 1)]), 1 / 2, 8)
    y = net.node("Conv", [net.bipolar(y, 1), net.weight((6, 6, 3, 3), 1)])
    return net.model(net.quant(net.node("Add", [net.quant(y, 1 / 2, 8), z]), 1 / 2, 8))


def _pool_before_batch_norm(**pads: Any) -> onnx.ModelProto:
    """A MaxPool between a layer and its batch norm, some of whose factors are negative."""
    net = QonnxNet((1, 3, 8, 8), 22)
    y = net.node("Conv", [net.quant("x", STEP, 8), net.weight((8, 3, 3, 3), 4)])
    y = net.node("MaxPool", [y], kernel_shape=[3, 2], strides=[1, 2], **pads)
    y = net.bipolar(net.batch_norm(y, 8), 1 / 2)
    return net.model(net.quant(net.node("Conv", [y, net.weight((5, 8, 2, 2), 2)]), 1 / 8, 8))


def _trunc(rounding: str, pool: str, signed: int, **attributes: Any) -> onnx.ModelProto:
    """Brevitas' average pooling: the sum of a window, less its low bits."""
    net = QonnxNet((1, 5, 7, 7), 10)
    x = net.quant("x", STEP, 4, signed=signed)
    area = int(np.prod(attributes.get("kernel_shape", (7, 7))))
    shift = int(np.ceil(np.log2(area)))
    mean = net.node(pool, [x], **attributes)
    return net.model(net.trunc(mean, STEP / area, 4 + shift, shift, 4, rounding, signed))


def _floored_mean() -> onnx.ModelProto:
    return _trunc("FLOOR", "GlobalAveragePool", 1)


def _rounded_mean() -> onnx.ModelProto:
    return _trunc("ROUND", "GlobalAveragePool", 0)


def _floored_pool() -> onnx.ModelProto:
    return _trunc("FLOOR", "AveragePool", 1, kernel_shape=[2, 3], strides=[1, 2])


def _rounded_pool() -> onnx.ModelProto:
    return _trunc("ROUND", "AveragePool", 1, kernel_shape=[3, 3], strides=[2, 2])


def _old_trunc() -> onnx.ModelProto:
    """Version 1: the sum, by a factor behind the mean, and a scale that stays."""
    net = QonnxNet((1, 5, 4, 4), 11)
    mean = net.node("AveragePool", [net.quant("x", STEP, 4)], kernel_shape=[4, 4])
    total = net.node("Mul", [mean, net.constant(16)])
    inputs = [total, *map(net.constant, (STEP, 0, 8, 4))]
    y = net.node("Trunc", inputs, "qonnx.custom_op.general", rounding_mode="FLOOR")
    return net.model(y, version=1)


def _cut() -> onnx.ModelProto:
    net = QonnxNet((1, 40), 12)
    return net.model(net.trunc(net.quant("x", 0.3, 8), 0.3, 8, 3, 5, "ROUND", 1))


EXACT = [
    _conv_2,
    _conv_4,
    _conv_8,
    _bipolar_weights,
    _depthwise,
    _products,
    _narrow_input,
    _zero_points,
    _moved,
    _concat,
    _concat_of_two_scales,
    _sign,
    _sign_of_activations,
    _pool_before_batch_norm,
    _floored_mean,
    _rounded_mean,
    _floored_pool,
    _rounded_pool,
    _old_trunc,
    _cut,
    _residual,
]


def _any_scales() -> onnx.ModelProto:
    net = QonnxNet((1, 3, 8, 8), 13)
    x, w = net.quant("x", 0.0131, 8), net.weight((8, 3, 3, 3), 4, powers=False)
    y = net.node("Conv", [x, w, net.constant(net.rng.normal(0, 0.3, 8))], pads=[1] * 4)
    return net.model(net.quant(net.node("Relu", [y]), 0.0377, 6, signed=0))


def _batch_norm() -> onnx.ModelProto:
    """Some of its factors are negative; behind Gemm too, with a Mul."""
    net = QonnxNet((1, 3, 8, 8), 14)
    y = net.node("Conv", [net.quant("x", 0.0131, 8), net.weight((8, 3, 3, 3), 4, powers=False)])
    y = net.quant(net.node("Relu", [net.batch_norm(y, 8)]), 0.0377, 4, signed=0)
    y = net.node("Gemm", [net.node("Flatten", [y]), net.weight((6, 288), 3)], transB=1)
    y = net.node("Mul", [net.batch_norm(y, 6), net.constant(net.rng.normal(0, 1, (1, 6)))])
    return net.model(net.quant(y, 0.11, 8))


def _mean() -> onnx.ModelProto:
    net = QonnxNet((1, 6, 5, 5), 15)
    y = net.node("GlobalAveragePool", [net.quant("x", 0.021, 7)])
    return net.model(net.quant(y, 0.0043, 6))


def _odd_zero_point() -> onnx.ModelProto:
    net = QonnxNet((1, 30), 16)
    y = net.node("MatMul", [net.quant("x", STEP, 8, zero_point=3), net.weight((30, 20), 4, axis=1)])
    return net.model(net.quant(y, 1 / 4, 8, zero_point=-5))


def _residual_of_two_scales() -> onnx.ModelProto:
    return _residual((0.21, 0.33))


WITHIN_ONE = [_any_scales, _batch_norm, _mean, _odd_zero_point, _residual_of_two_scales]


def _differences(proto: onnx.ModelProto, rounding: str = "float") -> npt.NDArray[Any]:
    """Our outputs on the host minus the executor's, in steps of the output's scale."""
    compiled = vq_cortexm.build(from_onnx(proto), rounding=rounding)
    samples = random_samples(compiled.program.inputs, SAMPLES, seed=1)
    result = compiled.run(samples, "host", check=True)
    assert result.bit_exact
    (x,), (y,) = compiled.metadata["inputs"], compiled.metadata["outputs"]
    reals = [(s[0].astype(np.float32) - x["zero_point"]) * np.float32(x["scale"]) for s in samples]
    expected = execute(proto, reals) / np.float32(y["scale"]) + y["zero_point"]
    np.testing.assert_allclose(expected, np.rint(expected), atol=1e-3)
    assert len(np.unique(np.rint(expected))) > 3
    got = np.stack([outputs[0] for outputs in result.outputs])
    assert got.shape == expected.shape
    return got - np.rint(expected)


@pytest.mark.parametrize("make", EXACT)
def test_integer_network_equals_the_executor(make: Callable[[], onnx.ModelProto]) -> None:
    assert not _differences(make()).any()


@pytest.mark.parametrize("make", WITHIN_ONE)
def test_network_of_any_scales_is_within_one_step(make: Callable[[], onnx.ModelProto]) -> None:
    differences = _differences(make())
    assert np.abs(differences).max() <= 1
    assert (differences == 0).mean() > 0.95


@pytest.mark.parametrize("rounding", ["single", "double"])
@pytest.mark.parametrize("make", [_sign, _floored_mean, _floored_pool])
def test_signs_and_floors_are_exact_in_every_rounding(
    make: Callable[[], onnx.ModelProto], rounding: str
) -> None:
    differences = _differences(make(), rounding)
    # the last layer of the binary network is rounded as asked for
    assert np.abs(differences).max() <= (make is _sign)


def _folded(proto: onnx.ModelProto) -> list[Any]:
    module = vq_cortexm.build(from_onnx(proto)).module
    return [call for _, call in bindings_of(module["main"]) if op_name(call)]


@pytest.mark.parametrize(("bits", "levels"), [(1, 2), (2, 3), (3, 7), (4, 15)])
def test_weights_keep_their_few_levels(bits: int, levels: int) -> None:
    (conv,) = (call for call in _folded(_conv(bits)) if op_name(call) == "vq.conv2d")
    weight = constant_value(conv.args[1])
    assert detect(weight).levels == levels
    assert np.abs(weight).max() == levels // 2
    given = attributes(conv)
    assert (given.y_min, given.y_max, given.y_dtype, given.y_zero_point) == (0, 15, "int8", 0)


def test_quantizer_that_follows_moves_costs_nothing() -> None:
    names = [op_name(call).removeprefix("vq.") for call in _folded(_moved())]
    assert names == ["conv2d", "max_pool2d", "conv2d", "transpose", "reshape"]


def test_input_of_eight_bits_is_not_clipped_and_of_four_is() -> None:
    assert [op_name(call) for call in _folded(_products())] == ["vq.dense"] * 2
    clip, dense = _folded(_narrow_input())
    assert (op_name(clip), op_name(dense)) == ("vq.requantize", "vq.dense")
    assert (attributes(clip).y_min, attributes(clip).y_max) == (-8, 7)


@pytest.mark.parametrize("rounding", ["ROUND", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP"])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("narrow", [False, True])
def test_constants_are_quantized_as_qonnx_does(rounding: str, signed: bool, narrow: bool) -> None:
    rng = np.random.default_rng(1)
    for bits in (2, 3, 4, 7, 8):
        scale = rng.uniform(0.01, 0.3, (6, 1)).astype(np.float32)
        zero_point = np.float32(rng.integers(0, 2**bits))
        # some are exactly half-way between two steps
        x = (rng.integers(-300, 300, (6, 200)) / 2).astype(np.float32) * scale
        ours = Quantizer(scale, zero_point, bits, signed, narrow, rounding).constant(x).value
        theirs = int_quant(x, scale, zero_point, np.float32(bits), signed, narrow, rounding)
        np.testing.assert_array_equal(ours, theirs)


def test_bipolar_constants_are_quantized_as_qonnx_does() -> None:
    x = np.array([[-2, -0.0, 0, 1e-9], [3, -1e-9, 0.5, -7]], np.float32)
    scale, zero = np.array([[0.5], [0.3]], np.float32), np.zeros((), np.float32)
    ours = Quantizer(scale, zero, 1, True, False, "ROUND").constant(x).value
    np.testing.assert_array_equal(ours, binary_quant(x, scale))


def test_channel_that_batch_norm_ends_takes_its_bias_alone() -> None:
    net = QonnxNet((1, 3, 4, 4), 20)
    y = net.node("Conv", [net.quant("x", STEP, 8), net.weight((4, 3, 3, 3), 8)])
    numbers = [[1, 1e-12, 0, -1], [0, 1.5, 0.75, 0], np.zeros(4), np.ones(4)]
    y = net.node("BatchNormalization", [y, *map(net.constant, numbers)])
    proto = net.model(net.quant(y, 1 / 4, 8))
    assert np.abs(_differences(proto)).max() <= 1
    compiled = vq_cortexm.build(from_onnx(proto), rounding="float")
    result = compiled.run(random_samples(compiled.program.inputs, 2, 1), "host")
    for outputs in result.outputs:
        assert np.all(outputs[0][0, 1] == 6) and np.all(outputs[0][0, 2] == 3)


def test_metadata_has_the_files_names_and_scales() -> None:
    metadata = vq_cortexm.build(from_onnx(_conv(4))).metadata
    (x,), (y,) = metadata["inputs"], metadata["outputs"]
    assert (x["name"], x["dtype"], x["scale"], x["zero_point"]) == ("x", "uint8", STEP, 0)
    assert (y["dtype"], y["scale"], y["zero_point"]) == ("int8", 1 / 2, 0)


def test_file_is_detected_by_its_nodes_in_any_domain_and_opset(tmp_path: Path) -> None:
    path, modules = tmp_path / "net.onnx", []
    for domain in ("qonnx.custom_op.general", "onnx.brevitas"):
        proto = _products()
        for node in proto.graph.node:
            node.domain = domain if node.domain else ""
        path.write_bytes(proto.SerializeToString())
        modules.append(load(path).script())
    proto.opset_import[0].version = 11
    del proto.opset_import[1:]
    path.write_bytes(proto.SerializeToString())
    assert len({*modules, load(path).script()}) == 1


def _error(proto: onnx.ModelProto) -> str:
    with pytest.raises(ModelError) as caught:
        vq_cortexm.build(from_onnx(proto, "net.onnx"))
    message = str(caught.value)
    assert message.startswith("net.onnx: ")
    assert "\n" not in message
    return message


def _activation(**changed: Any) -> onnx.ModelProto:
    net = QonnxNet((1, 8))
    y = net.node("MatMul", [net.quant("x", STEP, 8), net.weight((8, 4), 4, axis=1)])
    return net.model(net.quant(y, **{"scale": 0.5, "bits": 8, **changed}))


def _weights(**changed: Any) -> onnx.ModelProto:
    net = QonnxNet((1, 8))
    values = net.constant(net.rng.uniform(-40, 40, (8, 4)))
    w = net.quant(values, **{"scale": 0.1, "bits": 8, **changed})
    return net.model(net.quant(net.node("MatMul", [net.quant("x", STEP, 8), w]), 1, 8))


def _after(*operators: str, quantized: bool = True, **attributes: Any) -> onnx.ModelProto:
    """Operators on a quantized map, or on one that is not."""
    net = QonnxNet((1, 4, 4, 4))
    y = net.quant("x", STEP, 8) if quantized else "x"
    for operator in operators:
        more = {"Conv": [net.weight((4, 4, 1, 1), 4)], "Mul": [net.constant(3)]}
        more["BatchNormalization"] = [net.constant(np.ones(4)) for _ in range(4)]
        y = net.node(operator, [y, *more.get(operator, [])], **attributes)
    return net.model(y)


def _float_weights() -> onnx.ModelProto:
    net = QonnxNet((1, 8))
    return net.model(net.node("MatMul", [net.quant("x", STEP, 8), net.constant(np.ones((8, 4)))]))


def _sign_of_input() -> onnx.ModelProto:
    net = QonnxNet((1, 8))
    return net.model(net.bipolar("x", 1))


def _sign_of_float() -> onnx.ModelProto:
    net = QonnxNet((1, 8, 2, 2))
    mean = net.node("GlobalAveragePool", [net.quant("x", STEP, 8)])
    return net.model(net.bipolar(mean, 1))


def _sign_with_scales() -> onnx.ModelProto:
    net = QonnxNet((1, 8))
    return net.model(net.bipolar(net.quant("x", STEP, 8), np.full(8, 0.5)))


def _float_quant() -> onnx.ModelProto:
    net = QonnxNet((1, 8))
    inputs = [net.quant("x", STEP, 8), *map(net.constant, (1, 4, 3, 7, 240))]
    return net.model(net.node("FloatQuant", inputs, "qonnx.custom_op.general"))


@pytest.mark.parametrize(
    ("proto", "names"),
    [
        (_activation(bits=9), ["n_quant", "9 bits", "1 to 8 work"]),
        (_activation(bits=2.5), ["n_quant", "bit width of 2.5", "1 to 32 works"]),
        (_activation(rounding="FLOOR"), ["n_quant", "FLOOR", "ROUND works"]),
        (_activation(rounding="ODD"), ["n_quant", "ODD", "ROUND"]),
        (_activation(scale=np.ones(4)), ["n_quant", "per channel", "one scale"]),
        (_activation(scale=-1), ["n_quant", "scale", "positive"]),
        (_activation(zero_point=0.5), ["n_quant", "0.5", "integer"]),
        (_weights(bits=10), ["n_matmul", "weights", "-128 to 127 work"]),
        (_weights(zero_point=0.5), ["n_matmul", "fractional zero point", "integer works"]),
        (_weights(scale=np.full((8, 1), 0.1) * np.arange(1, 9)[:, None]), ["n_matmul", "scale"]),
        (_float_weights(), ["n_matmul", "not quantized constants", "Quant node"]),
        (_after("Conv", "Conv"), ["n_conv", "'conv_", "not quantized", "Quant node between"]),
        (_after("Conv", quantized=False), ["n_conv", "'x'", "not quantized", "Quant node"]),
        (_after("Conv"), ["output 'conv_", "n_conv", "QuantIdentity"]),
        (_after("Sigmoid"), ["n_sigmoid", "not supported", "Conv"]),
        (_after("BatchNormalization"), ["n_batchnorm", "right behind Conv"]),
        (_after("Mul"), ["n_mul", "right behind Conv"]),
        (_after("GlobalAveragePool", "Mul"), ["n_mul", "right behind Conv"]),
        (_sign_of_input(), ["float", "vq-cortexm quantize"]),
        (_sign_of_float(), ["n_bipolarquant", "right behind Conv", "on what is quantized"]),
        (_sign_with_scales(), ["n_bipolarquant", "one scale works"]),
        (_pool_before_batch_norm(pads=[1] * 4), ["n_maxpool", "below zero", "padding works"]),
        (_float_quant(), ["n_floatquant", "not supported", "Quant"]),
        (_trunc("CEIL", "GlobalAveragePool", 1), ["n_trunc", "CEIL", "ROUND works"]),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_model_without_integer_meaning_is_refused(proto: onnx.ModelProto, names: list[str]) -> None:
    message = _error(proto)
    assert all(name in message for name in names), message


def test_truncated_file_is_refused_at_every_length(tmp_path: Path) -> None:
    whole = _products().SerializeToString()
    path = tmp_path / "cut.onnx"
    for length in range(0, len(whole), 41):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError, match=r"cut\.onnx"):
            load(path)


def test_part_of_a_shape_is_folded() -> None:
    text = """<ir_version: 8, opset_import: ["": 18]>
    net (float[2,3,4] x) => (int64[n] y) { y = Shape <start = -2, end = 2> (x) }"""
    graph = SourceGraph(onnx.parser.parse_model(text))
    assert graph.fold(graph.proto.graph.node[0])
    np.testing.assert_array_equal(graph.constants["y"], [3])
