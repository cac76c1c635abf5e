"""TFLite models of int16 activations, int8 weights: TFLite Micro and LiteRT, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tflite_builder import TfliteBuilder
from tflite_layers import LITERT, TFLM, BackEnd, check_against

import vq_cortexm
from vq_cortexm.compat import constant_value
from vq_cortexm.errors import ModelError
from vq_cortexm.frontend.tflite import from_tflite
from vq_cortexm.transform import fold_pipeline
from vq_cortexm.transform.pipeline import layer_pipeline
from vq_cortexm.transform.rewriting import bindings_of

X_SCALE = 1 / 3000
ONE = {"StrideH": 1, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 1}
BACK_ENDS = [pytest.param(TFLM, id="micro"), pytest.param(LITERT, id="litert")]


class Net(TfliteBuilder):
    """Layers with drawn parameters and outputs that fill their range."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.rng = np.random.default_rng(seed)

    def activation(self, *shape: int, scale: float = X_SCALE) -> int:
        return self.tensor(shape, scale, dtype="int16")

    def parameters(self, shape: tuple[int, ...], axis: int, bias: str = "int64") -> list[int]:
        """Weights, one scale a channel, and biases of a type, "" for none; outputs of X_SCALE."""
        channels = shape[axis]
        fan_in = int(np.prod(shape)) // channels
        scale = self.rng.uniform(0.5, 1.5, channels) / (90 * fan_in**0.5)
        scale = scale.astype(np.float32)
        w = self.constant(self.rng.integers(-127, 128, shape).astype(np.int8), scale, axis)
        values = self.rng.integers(-(10**6), 10**6, channels).astype(bias or "int64")
        b = self.constant(values, np.float32(X_SCALE) * scale)
        return [w, b] if bias else [w]

    def conv(self, x: int, shape: tuple[int, ...], y: int, bias: str = "int64") -> None:
        options = {"Padding": "SAME", "FusedActivationFunction": "RELU", **ONE}
        self.add("CONV_2D", [x, *self.parameters(shape, 0, bias)], [y], **options)

    def depthwise(self, x: int, shape: tuple[int, ...], y: int, bias: str = "int64") -> None:
        options = {"Padding": "SAME", "FusedActivationFunction": "NONE", **ONE}
        parameters = self.parameters(shape, 3, bias)
        self.add("DEPTHWISE_CONV_2D", [x, *parameters], [y], DepthMultiplier=1, **options)


def three_layers() -> bytes:
    net = Net(seed=3)
    x = net.activation(1, 8, 7, 6)
    first, second = net.activation(1, 8, 7, 10), net.activation(1, 8, 7, 10)
    net.conv(x, (10, 3, 3, 6), first)
    net.depthwise(first, (1, 3, 3, 10), second)
    pooled, flat = net.activation(1, 1, 1, 10), net.activation(1, 10)
    window = {"FilterHeight": 8, "FilterWidth": 7, "StrideH": 1, "StrideW": 1}
    net.add("AVERAGE_POOL_2D", [second], [pooled], Padding="VALID", **window)
    shape = net.constant(np.array([1, 10], np.int32))
    net.add("RESHAPE", [pooled, shape], [flat], NewShape=[1, 10])
    logits = net.activation(1, 5, scale=X_SCALE / 4)
    net.add("FULLY_CONNECTED", [flat, *net.parameters((5, 10), 0)], [logits])
    y = net.tensor((1, 5), 1 / 32768, dtype="int16")
    net.add("SOFTMAX", [logits], [y], Beta=1.0)
    return net.build([x], [y])


@pytest.mark.parametrize("board", ["host", "mps2-an386", "microbit"])
@pytest.mark.parametrize("back_end", BACK_ENDS)
def test_a_net_of_three_layers(back_end: BackEnd, board: str) -> None:
    check_against(three_layers(), back_end, (1, 8, 7, 6), dtype="int16", board=board)


def test_the_header_and_the_metadata_say_int16(tmp_path: Path) -> None:
    compiled = vq_cortexm.build(from_tflite(three_layers()), name="net")
    compiled.export(tmp_path)
    header = (tmp_path / "net.h").read_text()
    assert header.count("int16_t *") == 2
    (x,) = compiled.metadata["inputs"]
    assert (x["dtype"], x["size_bytes"], x["zero_point"]) == ("int16", 2 * 8 * 7 * 6, 0)


def operator(
    name: str,
    y_shape: tuple[int, ...],
    scales: tuple[float, ...] = (X_SCALE,),
    y_scale: float = X_SCALE,
    constants: tuple[Any, ...] = (),
    **options: Any,
) -> bytes:
    """A model of one operator on images, one for each of the scales."""
    net = Net()
    xs = [net.activation(*IMAGE, scale=scale) for scale in scales]
    y = net.activation(*y_shape, scale=y_scale)
    rest = [net.constant(np.array(value, np.int32)) for value in constants]
    net.add(name, [*xs, *rest], [y], **options)
    return net.build(xs, [y])


IMAGE = (1, 6, 5, 4)
POOL = {"FilterHeight": 3, "FilterWidth": 2, "StrideH": 2, "StrideW": 1, "Padding": "SAME"}
WIDTHS = [[0, 0], [1, 2], [0, 1], [0, 0]]
CURVE = 1 / 32768
TWO = (X_SCALE, 1.7 * X_SCALE)
OPERATORS = {
    "add": operator("ADD", IMAGE, TWO, 2 * X_SCALE),
    "add_relu": operator("ADD", IMAGE, TWO, X_SCALE, FusedActivationFunction="RELU"),
    "avg_pool": operator("AVERAGE_POOL_2D", (1, 3, 5, 4), **POOL),
    "concat": operator("CONCATENATION", (1, 6, 5, 8), (X_SCALE, X_SCALE), Axis=3),
    "max_pool": operator("MAX_POOL_2D", (1, 3, 5, 4), **POOL),
    "maximum": operator("MAXIMUM", IMAGE, (X_SCALE, X_SCALE)),
    "mean": operator("MEAN", (1, 4), constants=([1, 2],), KeepDims=False),
    "mean_rescaled": operator("MEAN", (1, 4), (X_SCALE,), 1e-4, ([1, 2],), KeepDims=False),
    "mul": operator("MUL", IMAGE, (2**-12, 2**-13), 2**-9),
    "pad": operator("PAD", (1, 9, 6, 4), constants=(WIDTHS,)),
    "quantize": operator("QUANTIZE", IMAGE, y_scale=1.4 * X_SCALE),
    "relu": operator("RELU", IMAGE),
    "reshape": operator("RESHAPE", (1, 120), constants=((1, 120),), NewShape=[1, 120]),
    "sigmoid": operator("LOGISTIC", IMAGE, y_scale=CURVE),
    "softmax": operator("SOFTMAX", IMAGE, y_scale=CURVE, Beta=0.7),
    "sub": operator("SUB", IMAGE, TWO, 2 * X_SCALE),
    "tanh": operator("TANH", IMAGE, y_scale=CURVE),
    "transpose": operator("TRANSPOSE", (1, 4, 6, 5), constants=([0, 3, 1, 2],)),
}
INPUTS = {"add": 2, "add_relu": 2, "concat": 2, "maximum": 2, "mul": 2, "sub": 2}


@pytest.mark.parametrize("back_end", BACK_ENDS)
@pytest.mark.parametrize("name", OPERATORS)
def test_operators(name: str, back_end: BackEnd) -> None:
    check_against(OPERATORS[name], back_end, *[IMAGE] * INPUTS.get(name, 1), dtype="int16")


def product(kind: str, bias: str) -> bytes:
    net = Net(seed=4)
    if kind == "dense":
        x, y = net.activation(3, 50), net.activation(3, 6)
        net.add("FULLY_CONNECTED", [x, *net.parameters((6, 50), 0, bias)], [y])
        return net.build([x], [y])
    x, y = net.activation(*IMAGE), net.activation(1, 6, 5, 4)
    if kind == "conv":
        net.conv(x, (4, 3, 3, 4), y, bias)
    else:
        net.depthwise(x, (1, 3, 3, 4), y, bias)
    return net.build([x], [y])


@pytest.mark.parametrize(
    ("kind", "bias", "back_end"),
    [
        ("conv", "int64", TFLM),
        ("conv", "int64", LITERT),
        ("conv", "int32", TFLM),
        ("conv", "", TFLM),
        ("depthwise", "int64", TFLM),
        ("depthwise", "int64", LITERT),
        ("depthwise", "", LITERT),
        ("dense", "int64", TFLM),
        ("dense", "int64", LITERT),
        ("dense", "int32", TFLM),
        ("dense", "", TFLM),
    ],
)
def test_products_with_each_kind_of_bias(kind: str, bias: str, back_end: BackEnd) -> None:
    shape = (3, 50) if kind == "dense" else IMAGE
    check_against(product(kind, bias), back_end, shape, dtype="int16")


@pytest.mark.parametrize("back_end", BACK_ENDS)
@pytest.mark.parametrize(("x", "y"), [("int16", "int8"), ("int8", "int16")])
def test_rescaling_to_and_from_int8(x: str, y: str, back_end: BackEnd) -> None:
    net = TfliteBuilder()
    scales, zero_points = {"int8": 0.05, "int16": 2e-4}, {"int8": 7, "int16": 0}
    tensors = [net.tensor((1, 3000), scales[t], zero_points[t], t) for t in (x, y)]
    net.add("QUANTIZE", tensors[:1], tensors[1:])
    check_against(net.build(tensors[:1], tensors[1:]), back_end, (1, 3000), dtype=x)


def test_sums_beyond_32_bits_are_exact() -> None:
    """Without rounding twice and without overflow, however large the inputs are."""
    net = TfliteBuilder()
    x, y = net.tensor((1, 900), 1e-3, dtype="int16"), net.tensor((1, 1), 4.0, dtype="int16")
    w = net.constant(np.full((1, 900), 127, np.int8), 0.01)
    bias = 5 * 10**9
    net.add("FULLY_CONNECTED", [x, w, net.constant(np.array([bias]), 1e-5)], [y])
    compiled = vq_cortexm.build(from_tflite(net.build([x], [y])))
    samples = [[np.full((1, 900), value, np.int16)] for value in (32767, -32768)]
    result = compiled.run(samples, "host", check=True)
    sums = [900 * 127 * value + bias for value in (32767, -32768)]
    assert result.bit_exact
    assert [int(y[0][0][0]) for y in result.outputs] == [round(s * 1e-5 / 4.0) for s in sums]


def test_a_bias_of_64_bits_stays_exact() -> None:
    net = TfliteBuilder()
    x, y = net.tensor((1, 4), 1e-3, dtype="int16"), net.tensor((1, 1), 4.0, dtype="int16")
    w = net.constant(np.ones((1, 4), np.int8), 1e-3)
    net.add("FULLY_CONNECTED", [x, w, net.constant(np.array([-(10**10)]), 1e-6)], [y])
    folded = layer_pipeline()(from_tflite(net.build([x], [y])))
    (_, call), *_ = bindings_of(folded["main"])
    assert constant_value(call.args[2]).tolist() == [-(10**10)]


def _one_dense(x: dict[str, Any], w: str = "int8", bias: str = "int64") -> bytes:
    net = TfliteBuilder()
    source = net.tensor((1, 4), 1e-3, **x)
    weight = net.constant(np.full((2, 4), 3, w), 0.01)
    b = net.constant(np.zeros(2, bias), 1e-5)
    y = net.tensor((1, 2), 0.01, dtype="int16")
    net.add("FULLY_CONNECTED", [source, weight, b], [y])
    return net.build([source], [y])


def _mean_of(*shape: int) -> bytes:
    net = Net()
    x, y = net.activation(*shape), net.activation(1, 1)
    net.add("MEAN", [x, net.constant(np.array([1, 2], np.int32))], [y], KeepDims=False)
    return net.build([x], [y])


def _sum_of(dtypes: tuple[str, str, str]) -> bytes:
    net = TfliteBuilder()
    a, b, y = (net.tensor((1, 4), 0.1, dtype=dtype) for dtype in dtypes)
    net.add("ADD", [a, b], [y])
    return net.build([a, b], [y])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (_one_dense({"dtype": "int16", "zero_point": 5}), "symmetrically"),
        (_one_dense({"dtype": "int16"}, w="int16"), "weights are int16; int8 works"),
        (_one_dense({"dtype": "int8"}, bias="int64"), "int64 bias beside int8"),
        (_sum_of(("int16", "int8", "int16")), "all int16 or none"),
        (operator("EXP", IMAGE), "exp of int16"),
        (_mean_of(1, 257, 256, 1), "a mean of 65792 int16; 65535 work"),
    ],
)
def test_what_does_not_work_is_one_line(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        fold_pipeline()(from_tflite(model))
    assert "\n" not in str(caught.value)
