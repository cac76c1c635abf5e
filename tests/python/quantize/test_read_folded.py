"""Quantized ONNX as a float network: rounded at its scales it is the file, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from float_nets import OnnxNet, chain_onnx, residual_onnx, samples, small_tflite, write_data
from onnx import helper

import vq_cortexm
from vq_cortexm.errors import ModelError
from vq_cortexm.fit.bench import run_on_host
from vq_cortexm.frontend import load
from vq_cortexm.quantize import QuantizeOptions, quantize_file
from vq_cortexm.quantize.activation_scales import quantized
from vq_cortexm.quantize.evaluate import evaluate
from vq_cortexm.quantize.graph import FloatArray, FloatGraph
from vq_cortexm.quantize.read_folded import is_quantized, read_folded


def _bordered_onnx() -> bytes:
    """A border behind a layer, parts joined, a layer's result joined again and clipped."""
    net = OnnxNet((2, 6, 6), seed=4)
    bounds = [net.constant(np.array(b, np.float32)) for b in (-0.5, 1.0)]
    widths = net.constant(np.array([0, 0, 1, 0, 0, 0, 2, 1]))
    first = net.node("Clip", net.conv("x", 3, 2, 2, 2), *bounds)
    joined = net.node("Concat", first, net.node("AveragePool", "x", kernel_shape=[2, 2]), axis=1)
    padded = net.node("Pad", net.node("MaxPool", joined, kernel_shape=[2, 2]), widths)
    flat = net.node("Flatten", padded)
    return net.file(net.node("Softmax", net.node("Gemm", flat, net.weight(4, 175), transB=1)))


def _moved_onnx() -> bytes:
    """Activations that are scales alone, in the file: of a maximum with steps in its window, and
    behind a reshape."""
    net = OnnxNet((2, 6, 6), seed=5)
    pooled = net.node("MaxPool", net.conv("x", 4, 2, 2, 2), kernel_shape=[2, 2], dilations=[2, 3])
    flat = net.node("Flatten", net.conv(net.node("Relu", pooled), 4, 4, 1, 1))
    flat = net.node("Relu", flat)
    return net.file(net.node("Gemm", flat, net.weight(5, 24), transB=1))


NETS: dict[str, tuple[Callable[[], bytes], str, tuple[int, ...]]] = {
    "residual": (residual_onnx, ".onnx", (3, 9, 8)),
    "moved": (_moved_onnx, ".onnx", (2, 6, 6)),
    "chain": (chain_onnx, ".onnx", (3, 7, 7)),
    "bordered": (_bordered_onnx, ".onnx", (2, 6, 6)),
    "tflite": (small_tflite, ".tflite", (8, 7, 3)),
}


def _written(folder: Path, net: str) -> tuple[Path, FloatArray]:
    """A net's quantized ONNX file, and samples."""
    make, ending, shape = NETS[net]
    (model := folder / f"net{ending}").write_bytes(make())
    x = samples(shape, 60)
    result = quantize_file(model, write_data(folder / "data.npz", x), QuantizeOptions())
    path = folder / "quantized.onnx"
    path.write_bytes(result.proto.SerializeToString(deterministic=True))
    return path, x


def _run(graph: FloatGraph, x: FloatArray) -> FloatArray:
    values = {graph.input: quantized(x, graph.scales[graph.input])}
    for node in graph.nodes:
        value = evaluate(node, [values[name] for name in node.inputs])
        values[node.output] = quantized(value, graph.scales[node.output])
    return values[graph.outputs[0]]


@pytest.mark.parametrize("net", NETS)
def test_network_is_what_the_file_computes(tmp_path: Path, net: str) -> None:
    path, x = _written(tmp_path, net)
    assert is_quantized(path.read_bytes())
    graph = read_folded(path.read_bytes(), path.name)
    compiled = vq_cortexm.build(load(path), rounding="float")
    expected, step = run_on_host(compiled, x), graph.scales[graph.outputs[0]].scale
    got = _run(graph, x)
    assert len(np.unique(expected)) > 10
    # sums in float32 may fall on the other side of a half
    assert np.abs(got - expected).max() < 1.01 * step
    assert (np.abs(got - expected) > 0.5 * step).mean() < 0.01
    reported = [layer["name"] for layer in compiled.report["layers"]]
    assert {node.name for node in graph.products} <= set(reported)


@pytest.mark.parametrize("net", ["residual", "moved"])
def test_quantizer_takes_it_and_stays_near(tmp_path: Path, net: str) -> None:
    path, x = _written(tmp_path, net)
    data = tmp_path / "data.npz"
    again = tmp_path / "again.onnx"
    result = quantize_file(path, data, QuantizeOptions())
    again.write_bytes(result.proto.SerializeToString(deterministic=True))
    one, other = (run_on_host(vq_cortexm.build(load(p)), x) for p in (path, again))
    assert np.square(one - other).mean() < 0.001 * one.var()


def test_model_with_two_inputs_is_refused(tmp_path: Path) -> None:
    path, _ = _written(tmp_path, "chain")
    proto = onnx.load(path)
    for name in ("left", "right"):
        proto.graph.input.append(helper.make_tensor_value_info(name, 1, [1, 4]))
    ends = [f"{name}_int8" for name in ("left", "right")]
    scale = [i.name for i in proto.graph.initializer if i.name.startswith("x_")]
    for name, end in zip(("left", "right"), ends, strict=True):
        proto.graph.node.append(helper.make_node("QuantizeLinear", [name, *scale], [end]))
        proto.graph.output.append(helper.make_tensor_value_info(end, 3, [1, 4]))
    with pytest.raises(ModelError, match=r"bad.onnx: .*inputs"):
        read_folded(proto.SerializeToString(), "bad.onnx")


def test_float_files_and_nonsense_are_not_quantized() -> None:
    assert not is_quantized(chain_onnx())
    assert not is_quantized(b"nonsense")
    # an operator whose name is no UTF-8
    damaged = chain_onnx().replace(b"Conv", b"C\xffnv")
    assert damaged != chain_onnx() and not is_quantized(damaged)
