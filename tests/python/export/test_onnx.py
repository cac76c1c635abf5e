"""The plain 8-bit ONNX model of a virtually quantized build, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import vq_cortexm
from vq_cortexm.errors import ModelError
from vq_cortexm.frontend import load
from vq_cortexm.samples import random_samples
from vq_cortexm.transform import VirtualQuantizeConfig

EXAMPLES = Path(__file__).parents[3] / "examples"
DIGITS = EXAMPLES / "digits" / "digits_int8.onnx"
QONNX = EXAMPLES / "spoken_digits" / "spoken_digits_8bit.onnx"
SAMPLES = 10
X_SCALE = 0.05
CODEBOOK = {"vq": VirtualQuantizeConfig(6, codebook=True)}


class Graph:
    """Nodes and initializers of a QDQ model with the int8 input x."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def constant(self, value: Any) -> str:
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        name = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def dequantize(self, value: str, scale: Any, zero: int = 0, dtype: str = "int8") -> str:
        scale = np.asarray(scale, np.float32)
        ends = [self.constant(scale), self.constant(np.full(scale.shape, zero, dtype))]
        attributes = {} if scale.ndim == 0 else {"axis": 0}
        return self.node("DequantizeLinear", [value, *ends], **attributes)

    def quantize(self, value: str, scale: float) -> str:
        ends = [self.constant(np.float32(scale)), self.constant(np.int8(-4))]
        return self.node("QuantizeLinear", [value, *ends])

    def requantize(self, value: str, scale: float) -> str:
        return self.dequantize(self.quantize(value, scale), scale, -4)

    def weight(self, *shape: int) -> str:
        """Dequantized by one scale."""
        value = np.clip(np.rint(self.rng.normal(0, 40, shape)), -127, 127).astype(np.int8)
        return self.dequantize(self.constant(value), 0.004)

    def float_bias(self, *shape: int) -> str:
        return self.constant(self.rng.normal(0, 0.5, shape).astype(np.float32))

    def model(self, last: str, shape: list[int], opset: int = 17) -> onnx.ModelProto:
        given = helper.make_tensor_value_info("x", TensorProto.INT8, shape)
        wanted = helper.make_tensor_value_info(last, TensorProto.INT8, None)
        graph = helper.make_graph(self.nodes, "net", [given], [wanted], self.initializers)
        proto = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8
        )
        return onnx.shape_inference.infer_shapes(proto)


def gemm_plain(seed: int = 1) -> onnx.ModelProto:
    """Weights as (inputs, outputs), float bias."""
    g = Graph(seed)
    x = g.dequantize("x", X_SCALE, 3)
    y = g.node("Gemm", [x, g.weight(12, 7), g.float_bias(7)])
    return g.model(g.quantize(y, 0.04), [1, 12])


def gemm_transposed() -> onnx.ModelProto:
    """Weights as (outputs, inputs), ReLU."""
    g = Graph(2)
    x = g.dequantize("x", X_SCALE, 3)
    y = g.node("Gemm", [x, g.weight(7, 12), g.float_bias(7)], transB=1)
    return g.model(g.quantize(g.node("Relu", [y]), 0.04), [1, 12])


def matmul_add() -> onnx.ModelProto:
    """A product and its bias in a node of its own, bias first."""
    g = Graph(3)
    x = g.dequantize("x", X_SCALE, 3)
    y = g.node("Add", [g.float_bias(7), g.node("MatMul", [x, g.weight(12, 7)])])
    return g.model(g.quantize(y, 0.04), [1, 12])


def convolutions() -> onnx.ModelProto:
    """Full, depthwise, and without bias; the last in two places, in the order of their ends."""
    g = Graph(4)
    x = g.dequantize("x", X_SCALE, 3)
    y = g.node("Conv", [x, g.weight(6, 3, 3, 3), g.float_bias(6)], pads=[1, 1, 1, 1])
    y = g.requantize(g.node("Relu", [y]), 0.04)
    y = g.node("Conv", [y, g.weight(6, 1, 3, 3), g.float_bias(6)], group=6)
    y = g.requantize(y, 0.04)
    shared = g.weight(6, 6, 1, 1)
    first, second = (g.node("Conv", [y, w]) for w in (shared, g.weight(6, 6, 1, 1)))
    late, early = g.requantize(second, 0.04), g.requantize(first, 0.05)
    again = g.requantize(g.node("Conv", [early, shared]), 0.05)
    total = g.node("Concat", [late, again], axis=1)
    return g.model(g.quantize(total, 0.05), [1, 3, 6, 5])


MODELS = [gemm_plain, gemm_transposed, matmul_add, convolutions]


def export(proto: onnx.ModelProto, folder: Path, **asked: Any) -> tuple[Path, Path]:
    source, output = folder / "net.onnx", folder / "plain.onnx"
    source.write_bytes(proto.SerializeToString())
    return source, vq_cortexm.export_int8(source, output, **asked)


def runtime_outputs(path: Path, samples: list[Any]) -> np.ndarray[Any, Any]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.stack([session.run(None, {name: sample[0]})[0] for sample in samples])


@pytest.mark.parametrize("asked", [{"levels": 3}, {"bits": 4}, CODEBOOK])
@pytest.mark.parametrize("make", MODELS)
def test_exported_model_equals_the_build(
    make: Callable[[], onnx.ModelProto], asked: dict[str, Any], tmp_path: Path
) -> None:
    source, exported = export(make(), tmp_path, **asked)
    onnx.checker.check_model(onnx.load(exported), full_check=True)
    quantized = vq_cortexm.build(load(source), rounding="float", **asked)
    samples = random_samples(quantized.program.inputs, SAMPLES, seed=1)
    result = quantized.run(samples, "host", check=True)
    assert result.bit_exact
    again = vq_cortexm.build(load(exported), rounding="float").run(samples, "host")
    got = np.stack([outputs[0] for outputs in result.outputs])
    np.testing.assert_array_equal(np.stack([outputs[0] for outputs in again.outputs]), got)
    expected = runtime_outputs(exported, samples)
    assert len(np.unique(expected)) > 10
    # where it computes a layer in float32, a half may round the other way
    assert np.abs(got.astype(int) - expected).max() <= 1
    assert (got == expected).mean() > 0.95


def test_graph_and_names_stay(tmp_path: Path) -> None:
    before = convolutions()
    _, exported = export(before, tmp_path, levels=5)
    after = onnx.load(exported)
    assert after.graph.input == before.graph.input
    assert after.graph.output == before.graph.output
    others = [
        [(n.op_type, n.name, n.output) for n in p.graph.node if n.op_type != "DequantizeLinear"]
        for p in (before, after)
    ]
    assert others[0] == others[1]
    read = {value for node in after.graph.node for value in node.input}
    assert {i.name for i in after.graph.initializer} <= read
    weights = [numpy_helper.to_array(i) for i in after.graph.initializer if len(i.dims) == 4]
    # the shared weights are two now, equal ones
    assert len(weights) == 5
    assert all(len(np.unique(w)) <= 5 for w in weights)


def test_digits_from_file_to_file(tmp_path: Path) -> None:
    output = tmp_path / "digits.onnx"
    vq_cortexm.export_int8(DIGITS, output, bits=4)
    build = vq_cortexm.build
    quantized, exported = build(load(DIGITS), bits=4), build(load(output))
    samples = random_samples(quantized.program.inputs, SAMPLES, seed=2)
    results = [compiled.run(samples, "host") for compiled in (quantized, exported)]
    for a, b in zip(*(result.outputs for result in results), strict=True):
        np.testing.assert_array_equal(a[0], b[0])
    same = tmp_path / "same.onnx"
    vq_cortexm.export_int8(DIGITS, same)
    assert same.read_bytes() == DIGITS.read_bytes()


def test_opset_without_scales_by_channel_is_refused(tmp_path: Path) -> None:
    proto = gemm_plain()
    proto.opset_import[0].version = 12
    with pytest.raises(ModelError, match=r"net\.onnx: opset 12 has no scales by channel"):
        export(proto, tmp_path, levels=3)
    assert not (tmp_path / "plain.onnx").exists()


def test_layers_that_are_not_written_as_qdq_are_refused(tmp_path: Path) -> None:
    output = tmp_path / "plain.onnx"
    with pytest.raises(ModelError, match=r"spoken_digits_8bit\.onnx: 0 of its 8 .*QDQ") as caught:
        vq_cortexm.export_int8(QONNX, output, bits=4)
    assert "\n" not in str(caught.value)
    assert not output.exists()
    vq_cortexm.export_int8(QONNX, output)
    assert output.read_bytes() == QONNX.read_bytes()
