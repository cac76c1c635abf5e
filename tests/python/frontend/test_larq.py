"""Larq's signs in float ONNX: each becomes the BipolarQuant that it equals, or is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from larq_nets import STEP, LarqNet, binary_net, integers, other_exporter, residual_net
from onnx.reference import ReferenceEvaluator
from qonnx_builder import QonnxNet

import vq_cortexm
from vq_cortexm.errors import ModelError
from vq_cortexm.frontend import from_onnx, load
from vq_cortexm.frontend.larq import is_float_binary, with_bipolar_quants
from vq_cortexm.quantize.qonnx_run import run_qonnx
from vq_cortexm.samples import random_samples

NETS = [binary_net, residual_net, other_exporter]
Sign = Callable[[LarqNet, str], str]


def swapped_sum(net: LarqNet, x: str) -> str:
    return net.node("Sign", net.node("Add", net.constant([[0.5]]), net.node("Sign", x)))


def not_less(net: LarqNet, x: str) -> str:
    condition = net.node("Not", net.node("Less", x, net.constant(0)))
    return net.node("Where", condition, net.constant(1), net.constant(-1))


def zero_first(net: LarqNet, x: str) -> str:
    condition = net.node("LessOrEqual", net.constant(0), x)
    return net.node("Where", condition, net.constant(0.25), net.constant(-0.25))


def zero_above(net: LarqNet, x: str) -> str:
    condition = net.node("Greater", net.constant(0), x)
    return net.node("Where", condition, net.constant(-1), net.constant(1))


def operators(proto: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in proto.graph.node]


def _outputs(proto: onnx.ModelProto) -> list[str]:
    return [value.name for value in proto.graph.output]


def _of_sign(sign: Sign) -> onnx.ModelProto:
    net = LarqNet((6,))
    return net.model(sign(net, "x"))


@pytest.mark.parametrize(
    "sign",
    [LarqNet.sign, LarqNet.at_least, LarqNet.below, swapped_sum, not_less, zero_first, zero_above],
)
def test_sign_is_one_quantizer_and_zero_is_positive(sign: Sign) -> None:
    proto = _of_sign(sign)
    rewritten = with_bipolar_quants(proto)
    assert operators(rewritten) == ["BipolarQuant"]
    x = np.array([[-2.5, -1e-30, -0.0, 0.0, 1e-30, 7]], np.float32)
    (expected,) = ReferenceEvaluator(proto).run(None, {"x": x})
    np.testing.assert_array_equal(run_qonnx(rewritten, x, _outputs(proto))[0], expected)
    assert np.all(np.sign(expected) == [-1, -1, 1, 1, 1, 1])


@pytest.mark.parametrize("make", NETS)
def test_net_with_quantizers_equals_the_float_net(make: Callable[[], onnx.ModelProto]) -> None:
    proto = make()
    rewritten = with_bipolar_quants(proto)
    assert not {"Sign", "Where"} & set(operators(rewritten))
    onnx.checker.check_model(rewritten)
    x = (integers(proto, 4) * STEP).astype(np.float32)
    evaluator = ReferenceEvaluator(proto)
    expected = [evaluator.run(None, {"x": sample[np.newaxis]})[0] for sample in x]
    (got,) = run_qonnx(rewritten, x, _outputs(proto))
    # products of matrices may run in another order
    np.testing.assert_allclose(got, np.concatenate(expected), rtol=1e-6)


def test_weights_of_two_values_are_quantizers_with_their_scales() -> None:
    rewritten = with_bipolar_quants(other_exporter())
    layers = [node for node in rewritten.graph.node if node.op_type in ("Conv", "Gemm")]
    makers = {node.output[0]: node.op_type for node in rewritten.graph.node}
    assert [makers.get(layer.input[1]) for layer in layers] == [None, *["BipolarQuant"] * 2, None]


def test_signs_of_constants_are_folded() -> None:
    net = LarqNet((4,))
    weight = net.node(
        "Transpose", net.sign(net.constant(net.rng.normal(0, 1, (3, 4)))), perm=[1, 0]
    )
    rewritten = with_bipolar_quants(net.model(net.node("MatMul", net.sign("x"), weight)))
    assert operators(rewritten) == ["BipolarQuant", "BipolarQuant", "MatMul"]
    assert operators(rewritten) != operators(net.model(weight))


def test_other_models_stay_as_they_are() -> None:
    net = QonnxNet((1, 8))
    proto = net.model(net.quant("x", STEP, 8))
    assert with_bipolar_quants(proto) is proto
    assert not is_float_binary(proto)


def _quantized(sign: Callable[[QonnxNet, str], str]) -> onnx.ModelProto:
    net = QonnxNet((1, 6, 6, 6), 9)
    y = net.node("Conv", [net.quant("x", STEP, 8), net.weight((8, 6, 3, 3), 8)])
    y = sign(net, net.batch_norm(y, 8))
    return net.model(net.quant(net.node("Conv", [y, net.weight((6, 8, 3, 3), 1)]), 1, 8))


def test_larqs_signs_in_a_quantized_model_are_imported() -> None:
    def larq(net: QonnxNet, x: str) -> str:
        return net.node("Sign", [net.node("Add", [net.node("Sign", [x]), net.constant(0.1)])])

    built = [
        vq_cortexm.build(from_onnx(_quantized(sign)))
        for sign in (larq, lambda net, x: net.bipolar(x, 1.0))
    ]
    x = random_samples(built[0].program.inputs, 2, seed=1)
    first, second = (compiled.run(x, "host").outputs for compiled in built)
    np.testing.assert_array_equal(first, second)
    assert len(np.unique(first)) > 3


def _error(proto: onnx.ModelProto) -> str:
    with pytest.raises(ModelError) as caught:
        from_onnx(proto, "net.onnx")
    message = str(caught.value)
    assert message.startswith("net.onnx: ") and "\n" not in message
    return message


def plain(net: LarqNet, x: str) -> str:
    return net.node("Sign", x)


def negative_zero(net: LarqNet, x: str) -> str:
    return net.node(
        "Where", net.node("Greater", x, net.constant(0)), net.constant(1), net.constant(-1)
    )


def turned(net: LarqNet, x: str) -> str:
    condition = net.node("GreaterOrEqual", x, net.constant(0))
    return net.node("Where", condition, net.constant(-1), net.constant(1))


def large_addend(net: LarqNet, x: str) -> str:
    return net.node("Sign", net.node("Add", net.node("Sign", x), net.constant(1)))


@pytest.mark.parametrize(
    ("sign", "names"),
    [
        (plain, ["n_sign_0", "leaves 0", "Sign(Add(Sign(x), 0.1))", "work"]),
        (large_addend, ["Sign", "leaves 0"]),
        (negative_zero, ["n_where", "Where(GreaterOrEqual(x, 0), 1, -1) works"]),
        (turned, ["n_where", "Where(GreaterOrEqual(x, 0), 1, -1) works"]),
    ],
)
def test_other_signs_are_refused(sign: Sign, names: list[str]) -> None:
    message = _error(_of_sign(sign))
    assert all(name in message for name in names), message


@pytest.mark.parametrize("make", NETS)
def test_float_net_is_refused_with_what_works(
    make: Callable[[], onnx.ModelProto], tmp_path: Path
) -> None:
    assert is_float_binary(make())
    (tmp_path / "net.onnx").write_bytes(make().SerializeToString())
    with pytest.raises(ModelError, match=r"net\.onnx: .*`vq-cortexm quantize MODEL --data"):
        load(tmp_path / "net.onnx")
