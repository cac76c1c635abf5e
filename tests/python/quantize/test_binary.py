"""Binary nets in float ONNX: signs stay exact, all else gets 8 bits, and what is written runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from float_nets import write_data
from larq_nets import (
    STEP,
    LarqNet,
    binary_net,
    integers,
    other_exporter,
    residual_net,
)
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.infer_shapes import InferShapes
from qonnx_builder import execute

import vq_cortexm
from vq_cortexm.compat import op_name
from vq_cortexm.errors import ModelError, UsageError
from vq_cortexm.frontend import from_onnx
from vq_cortexm.op.rounding import Rounding
from vq_cortexm.quantize import QuantizedModel, QuantizeOptions, quantize_file
from vq_cortexm.quantize.qonnx_run import run_qonnx
from vq_cortexm.transform.rewriting import bindings_of
from vq_cortexm.transform.vq_config import VirtualQuantizeConfig


def quantized(proto: onnx.ModelProto, folder: Path, **options: Any) -> QuantizedModel:
    (model := folder / "net.onnx").write_bytes(proto.SerializeToString())
    x = integers(proto)
    data = write_data(folder / "data.npz", x, y=np.arange(len(x)) % 4)
    return quantize_file(model, data, QuantizeOptions(scale=(STEP,), **options))


def outputs(proto: onnx.ModelProto, x: Any, rounding: Rounding) -> list[Any]:
    """What the compiled net gives for int8 x (N, ...), real numbers, one array for each output."""
    compiled = vq_cortexm.build(from_onnx(proto), rounding=rounding)
    result = compiled.run([[sample[np.newaxis]] for sample in x], "host", check=True)
    assert result.bit_exact
    given = compiled.metadata["inputs"][0]
    assert (given["scale"], given["zero_point"]) == (STEP, 0)
    return [
        (np.stack([np.asarray(o[i], np.float32) for o in result.outputs]) - y["zero_point"])
        * np.float32(y["scale"])
        for i, y in enumerate(compiled.metadata["outputs"])
    ]


@pytest.mark.parametrize("rounding", ["single", "float"])
@pytest.mark.parametrize("make", [binary_net, other_exporter])
def test_signs_are_those_of_the_float_net(
    make: Callable[..., onnx.ModelProto], rounding: Rounding, tmp_path: Path
) -> None:
    proto = make(logits=False)
    x = integers(proto, 20, seed=8)
    got = outputs(quantized(proto, tmp_path).proto, x, rounding)
    evaluator = ReferenceEvaluator(proto)
    found = [
        evaluator.run(None, {"x": (s[np.newaxis] * STEP).astype(np.float32)}, intermediate=True)
        for s in x
    ]
    assert len(got) == len(proto.graph.output)
    for signs, value in zip(got, proto.graph.output, strict=True):
        np.testing.assert_array_equal(signs, np.stack([tensors[value.name] for tensors in found]))
    compared = _compared(proto)
    assert len(compared) == len(got)
    for name in compared:  # each sign is asked for that of 0 now and then
        assert any((tensors[name] == 0).any() for tensors in found)


def test_signs_are_those_of_the_net_with_a_rounded_first_layer(tmp_path: Path) -> None:
    proto = other_exporter(logits=False)
    (weight,) = (t for t in proto.graph.initializer if t.name == proto.graph.node[0].input[1])
    real = np.random.default_rng(4).normal(0, 1, weight.dims).astype(np.float32)
    weight.CopyFrom(numpy_helper.from_array(real, weight.name))
    x = integers(proto, 20, seed=8)
    made = quantized(proto, tmp_path).proto
    got = outputs(made, x, "single")
    first = next(node for node in made.graph.node if node.op_type == "Conv")
    (rounded,) = run_qonnx(made, x[:1].astype(np.float32), [first.input[1]])
    assert 0 < np.abs(rounded - real).max() < 0.02
    weight.CopyFrom(numpy_helper.from_array(rounded, weight.name))
    evaluator = ReferenceEvaluator(proto)
    found = [evaluator.run(None, {"x": (s[np.newaxis] * STEP).astype(np.float32)}) for s in x]
    for signs, expected in zip(got, zip(*found, strict=True), strict=True):
        np.testing.assert_array_equal(signs, np.stack(expected))


def _compared(proto: onnx.ModelProto) -> list[str]:
    """What the signs of a net read."""
    added = {name for node in proto.graph.node if node.op_type == "Add" for name in node.input}
    return [
        node.input[0]
        for node in proto.graph.node
        if node.op_type in ("GreaterOrEqual", "Less")
        or (node.op_type == "Sign" and node.output[0] in added)
    ]


@pytest.mark.parametrize("make", [binary_net, residual_net, other_exporter])
def test_logits_are_within_a_step_of_the_executor(
    make: Callable[[], onnx.ModelProto], tmp_path: Path
) -> None:
    made = quantized(make(), tmp_path)
    x = integers(make(), 8, seed=9)
    (got,) = outputs(made.proto, x, "float")
    known = ModelWrapper(made.proto).transform(InferShapes()).model
    expected = execute(known, [sample[np.newaxis] * STEP for sample in x])
    scale = vq_cortexm.build(from_onnx(made.proto)).metadata["outputs"][0]["scale"]
    assert np.abs(got - expected).max() <= 1.01 * scale
    assert (np.abs(got - expected) < 0.01 * scale).mean() > 0.9
    assert made.float_accuracy is not None and made.accuracy is not None


def test_summary_says_what_is_binary(tmp_path: Path) -> None:
    made = quantized(residual_net(), tmp_path)
    assert [layer.op for layer in made.layers] == ["conv", "conv", "conv", "dense"]
    assert [layer.weights for layer in made.layers] == [864, 9216, 9216, 160]
    assert [layer.levels == 2 for layer in made.layers] == [False, True, True, False]
    (entry,) = made.proto.metadata_props
    assert (entry.key, '"samples": 12' in entry.value) == ("vq.quantize", True)


def test_binary_layers_are_packed_and_sums_have_eight_bits(tmp_path: Path) -> None:
    made = quantized(residual_net(), tmp_path)
    module = vq_cortexm.build(from_onnx(made.proto)).module
    names = [op_name(c).removeprefix("vq.") for _, c in bindings_of(module["main"]) if op_name(c)]
    block = ["binary_pack", "binary_conv2d", "depthwise_conv2d", "add"]
    layers = [name for name in names if name != "reshape"]
    assert layers == ["conv2d", "depthwise_conv2d", *block * 2, "avg_pool2d", "dense"]


def test_at_most_64_samples_are_used(tmp_path: Path) -> None:
    proto = other_exporter()
    (tmp_path / "net.onnx").write_bytes(proto.SerializeToString())
    data = write_data(tmp_path / "data.npz", integers(proto, 70))
    made = quantize_file(tmp_path / "net.onnx", data, QuantizeOptions(scale=(STEP,)))
    assert (made.samples, made.accuracy) == (64, None)


def test_channels_of_an_input_with_channels_last_are_its_last(tmp_path: Path) -> None:
    proto = binary_net()
    (tmp_path / "net.onnx").write_bytes(proto.SerializeToString())
    data = write_data(tmp_path / "data.npz", integers(proto))
    options = QuantizeOptions(scale=(STEP, STEP, STEP / 2), mean=(0.0, 1.0, 0.0))
    assert quantize_file(tmp_path / "net.onnx", data, options).samples == 12


def sigmoid() -> onnx.ModelProto:
    net = LarqNet((4,))
    return net.model(net.node("Sigmoid", net.sign("x")))


def batch_norm_of_features() -> onnx.ModelProto:
    net = LarqNet((4,))
    return net.model(net.batch_norm(net.sign("x"), 4))


def padded_pool() -> onnx.ModelProto:
    net = LarqNet((4, 4, 4))
    y = net.node("Conv", "x", net.float_weight(8, 4, 3, 3), pads=[1] * 4)
    y = net.node("MaxPool", y, kernel_shape=[2, 2], pads=[1] * 4)
    return net.model(net.sign(net.batch_norm(y, 8)))


def product_of_two() -> onnx.ModelProto:
    net = LarqNet((4,))
    y = net.sign("x")
    return net.model(net.node("Mul", y, net.sign(net.node("Relu", y))))


def two_inputs() -> onnx.ModelProto:
    net = LarqNet((4,))
    proto = net.model(net.sign("x"))
    second = proto.graph.input.add()
    second.CopyFrom(proto.graph.input[0])
    second.name = "z"
    return proto


def plain_sign() -> onnx.ModelProto:
    net = LarqNet((4,))
    return net.model(net.node("Sign", "x"))


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (sigmoid, ["n_sigmoid", "not supported", "Conv"]),
        (batch_norm_of_features, ["BatchNormalization", "right behind Conv"]),
        (padded_pool, ["n_maxpool", "below zero", "without padding works"]),
        (product_of_two, ["n_mul", "two tensors", "a constant work"]),
        (two_inputs, ["2 inputs", "one works"]),
        (plain_sign, ["n_sign", "leaves 0"]),
    ],
)
def test_unsupported_net_is_refused_in_one_line(
    make: Callable[[], onnx.ModelProto], names: list[str], tmp_path: Path
) -> None:
    with pytest.raises(ModelError) as caught:
        quantized(make(), tmp_path)
    message = str(caught.value)
    assert message.startswith("net.onnx: ") and "\n" not in message
    assert all(name in message for name in names), message


def test_fewer_levels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"net\.onnx: a binary net.*8 bits"):
        quantized(other_exporter(), tmp_path, config=VirtualQuantizeConfig(levels=16))


def test_damaged_file_is_refused_at_every_length(tmp_path: Path) -> None:
    whole = other_exporter().SerializeToString()
    data = write_data(tmp_path / "data.npz", integers(other_exporter()))
    for length in range(0, len(whole) - 1, 4001):
        (tmp_path / "cut.onnx").write_bytes(whole[:length])
        with pytest.raises(ModelError, match=r"cut\.onnx"):
            quantize_file(tmp_path / "cut.onnx", data, QuantizeOptions())
