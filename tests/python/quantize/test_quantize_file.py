"""From a float file to compiled code: the exported ONNX runs, and the build equals it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from float_nets import (
    OnnxNet,
    chain_onnx,
    residual_onnx,
    samples,
    small_tflite,
    write_data,
)
from tflite_builder import TfliteBuilder, run_litert

import vq_cortexm
from vq_cortexm.compat import op_name
from vq_cortexm.errors import UsageError
from vq_cortexm.frontend import load
from vq_cortexm.nary import detect
from vq_cortexm.op.registry import attributes
from vq_cortexm.quantize import QuantizedModel, QuantizeOptions, quantize_file
from vq_cortexm.quantize.export_onnx import to_onnx
from vq_cortexm.quantize.graph import Scale
from vq_cortexm.quantize.quantize_graph import quantize_graph
from vq_cortexm.quantize.read_onnx import read_onnx
from vq_cortexm.transform.rewriting import bindings_of
from vq_cortexm.transform.virtual_quantize import CHANNEL_AXES, layer_weights
from vq_cortexm.transform.vq_config import LayerLevels, VirtualQuantizeConfig

Options = Callable[..., QuantizedModel]


def _clipped_onnx() -> bytes:
    """Clip, average pool, border, parts joined, and a dense layer behind a softmax."""
    net = OnnxNet((2, 6, 6), seed=4)
    bounds = [net.constant(np.array(b, np.float32)) for b in (-0.5, 1.0)]
    widths = net.constant(np.array([0, 0, 1, 0, 0, 0, 0, 1]))
    wide = net.node("Clip", net.conv(net.node("Pad", "x", widths), 4, 2, 2, 2), *bounds)
    joined = net.node("Concat", wide, net.conv("x", 3, 2, 1, 1), axis=1)
    pooled = net.node("AveragePool", joined, kernel_shape=[2, 2], strides=[2, 2])
    flat = net.node("Flatten", net.node("Relu", pooled))
    return net.file(net.node("Softmax", net.node("Gemm", flat, net.weight(4, 63), transB=1)))


def _moved_onnx() -> bytes:
    """Activations behind a reshape and behind a transpose: moves of integers clamp nothing."""
    net = OnnxNet((2, 6, 6), seed=5)
    last = net.node("Transpose", net.conv("x", 4, 2, 3, 3), perm=[0, 2, 3, 1])
    first = net.node("Transpose", net.node("Relu", last), perm=[0, 3, 1, 2])
    flat = net.node("Relu", net.node("Flatten", net.conv(first, 4, 4, 1, 1)))
    return net.file(net.node("Gemm", flat, net.weight(5, 64), transB=1))


def _dilated_onnx() -> bytes:
    """A convolution and a maximum with steps in their windows."""
    net = OnnxNet((2, 9, 8), seed=6)
    wide = net.conv("x", 4, 2, 2, 2, dilations=[2, 1])
    pooled = net.node("MaxPool", wide, kernel_shape=[2, 3], dilations=[3, 2], pads=[0, 1, 1, 0])
    return net.file(net.node("Gemm", net.node("Flatten", pooled), net.weight(5, 80), transB=1))


def _moved_tflite() -> bytes:
    """An activation behind a reshape."""
    rng, net = np.random.default_rng(7), TfliteBuilder()
    x, wide, flat, cut, y = (
        net.tensor(shape, dtype="float32")
        for shape in ((1, 5, 5, 2), (1, 3, 3, 4), (1, 36), (1, 36), (1, 5))
    )
    first, second = (rng.standard_normal(s, np.float32) for s in ((4, 3, 3, 2), (5, 36)))
    weights = [net.constant(first / 4), net.constant(np.zeros(4, np.float32))]
    net.add("CONV_2D", [x, *weights], [wide], Padding="VALID", StrideH=1, StrideW=1)
    target = net.constant(np.array([1, 36], np.int32))
    net.add("RESHAPE", [wide, target], [flat], NewShape=[1, 36])
    net.add("RELU", [flat], [cut])
    net.add("FULLY_CONNECTED", [cut, net.constant(second / 6)], [y])
    return net.build([x], [y])


NETS = {
    "moved": (_moved_onnx, ".onnx", (2, 6, 6)),
    "dilated": (_dilated_onnx, ".onnx", (2, 9, 8)),
    "moved tflite": (_moved_tflite, ".tflite", (5, 5, 2)),
    "residual": (residual_onnx, ".onnx", (3, 9, 8)),
    "chain": (chain_onnx, ".onnx", (3, 7, 7)),
    "clipped": (_clipped_onnx, ".onnx", (2, 6, 6)),
    "tflite": (small_tflite, ".tflite", (8, 7, 3)),
}


def _quantized(
    folder: Path, net: str, config: VirtualQuantizeConfig | None = None, **options: Any
) -> tuple[QuantizedModel, Path]:
    """A net quantized on drawn samples, and its file."""
    make, ending, shape = NETS[net]
    model = folder / f"{net.replace(' ', '_')}{ending}"
    model.write_bytes(make())
    data = write_data(folder / "data.npz", samples(shape, 200))
    chosen = QuantizeOptions(config or VirtualQuantizeConfig(), **options)
    result = quantize_file(model, data, chosen)
    path = folder / "quantized.onnx"
    path.write_bytes(result.proto.SerializeToString(deterministic=True))
    return result, path


def _onnx_runtime(path: Path, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: x})[0])


def _compiled(path: Path, x: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """The compiled code's integers."""
    compiled = vq_cortexm.build(load(path), rounding="float")
    (given,) = compiled.metadata["inputs"]
    integers = np.clip(np.rint(x / given["scale"]) + given["zero_point"], -128, 127)
    result = compiled.run(list(integers.astype(np.int8)[:, np.newaxis]), "host", check=True)
    assert result.bit_exact
    return np.concatenate([outputs[0] for outputs in result.outputs]).astype(np.int32)


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("levels", [256, 16, 3])
def test_onnx_runtime_and_the_compiled_code_agree(tmp_path: Path, net: str, levels: int) -> None:
    _, path = _quantized(tmp_path, net, VirtualQuantizeConfig(levels=levels))
    x = samples(NETS[net][2], 40, seed=9)
    (given,) = vq_cortexm.build(load(path)).metadata["outputs"]
    expected = np.rint(_onnx_runtime(path, x) / given["scale"]) + given["zero_point"]
    difference = _compiled(path, x) - expected
    assert len(np.unique(expected)) > 10
    if net == "chain":  # ONNX Runtime computes all its layers on integers
        assert not difference.any()
    else:
        assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("net", NETS)
def test_8_bits_are_near_the_float_network(tmp_path: Path, net: str) -> None:
    _, path = _quantized(tmp_path, net)
    make, ending, shape = NETS[net]
    x = samples(shape, 40, seed=9)
    got = _onnx_runtime(path, x)
    if ending == ".onnx":
        session = onnxruntime.InferenceSession(make(), providers=["CPUExecutionProvider"])
        expected = np.asarray(session.run(None, {"x": x})[0])
    else:
        expected = np.concatenate([run_litert(make(), one[np.newaxis]) for one in x])
    assert np.square(got - expected).mean() < 0.01 * expected.var()


def test_more_levels_are_nearer(tmp_path: Path) -> None:
    x = samples((3, 9, 8), 100, seed=9)
    session = onnxruntime.InferenceSession(residual_onnx(), providers=["CPUExecutionProvider"])
    expected = np.asarray(session.run(None, {"x": x})[0])
    errors = []
    for levels in (2, 3, 5, 16, 256):
        _, path = _quantized(tmp_path, "residual", VirtualQuantizeConfig(levels=levels))
        errors.append(float(np.square(_onnx_runtime(path, x) - expected).mean()))
    assert errors == sorted(errors, reverse=True)


def test_weights_hold_the_levels_that_were_asked_for(tmp_path: Path) -> None:
    layers = {"conv_0": LayerLevels(256), "gemm_*": LayerLevels(6, codebook=True)}
    config = VirtualQuantizeConfig(levels=5, layers=layers)
    result, path = _quantized(tmp_path, "residual", config)
    names = [layer.name for layer in result.layers]
    assert names == ["conv_0", "conv_2", "conv_4", "gemm_10"]
    products = [
        (call, layer_weights(call))
        for _, call in bindings_of(vq_cortexm.build(load(path)).module["main"])
        if op_name(call) in CHANNEL_AXES
    ]
    held = [detect(weights.weight) for _, weights in products]
    assert [nary.levels for nary in held] == [layer.levels for layer in result.layers]
    assert held[0].levels > 16
    assert [nary.tables[0] for nary in held[1:3]] == [(-2, -1, 0, 1, 2)] * 2
    assert held[3].levels <= 6
    assert max(held[3].tables[0]) > 30
    assert attributes(products[1][0]).x_scale > 0


def test_scales_of_an_int8_file_are_kept(tmp_path: Path) -> None:
    model = tmp_path / "net.tflite"
    model.write_bytes(small_tflite(quantized=True))
    x = np.random.default_rng(2).integers(-128, 128, (100, 8, 7, 3)).astype(np.int8)
    result = quantize_file(model, write_data(tmp_path / "d.npz", x), QuantizeOptions())
    path = tmp_path / "again.onnx"
    path.write_bytes(result.proto.SerializeToString())
    before, after = (vq_cortexm.build(load(p), rounding="float") for p in (model, path))
    for key in ("inputs", "outputs"):
        (old,), (new,) = before.metadata[key], after.metadata[key]
        assert all(old[k] == new[k] for k in ("shape", "dtype", "scale", "zero_point"))
    runs = [c.run(list(x[:40, np.newaxis]), "host").outputs for c in (before, after)]
    old, new = (np.concatenate([o[0] for o in run]).astype(np.int32) for run in runs)
    assert np.abs(old - new).max() <= 3


def test_pixels_are_scaled_and_never_rounded(tmp_path: Path) -> None:
    model = tmp_path / "net.onnx"
    model.write_bytes(residual_onnx())
    pixels = np.random.default_rng(3).integers(0, 200, (50, 3, 9, 8)).astype(np.uint8)
    data = write_data(tmp_path / "data.npz", pixels, y=np.zeros(50, np.uint8))
    options = QuantizeOptions(scale=(1 / 64,), mean=(128.0,), samples=30)
    result = quantize_file(model, data, options)
    (path := tmp_path / "q.onnx").write_bytes(result.proto.SerializeToString())
    (given,) = vq_cortexm.build(load(path)).metadata["inputs"]
    assert (given["scale"], given["zero_point"]) == (1 / 64, 0)
    assert result.samples == 30
    x = (pixels[:30].astype(np.float32) - 128) / 64
    session = onnxruntime.InferenceSession(residual_onnx(), providers=["CPUExecutionProvider"])
    outputs = [np.asarray(session.run(None, {"x": x})[0]), _onnx_runtime(path, x)]
    shares = [float((output.argmax(axis=1) == 0).mean()) for output in outputs]
    assert (result.float_accuracy, result.accuracy) == pytest.approx(shares, abs=1e-9)


def test_channels_have_their_own_mean_and_scale(tmp_path: Path) -> None:
    model = tmp_path / "net.tflite"
    model.write_bytes(small_tflite())
    x = samples((8, 7, 3), 60)
    mean, scale = np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.0, 0.25])
    raw = write_data(tmp_path / "raw.npz", (x / scale + mean).astype(np.float32))
    real = write_data(tmp_path / "real.npz", x)
    options = QuantizeOptions(scale=tuple(scale), mean=tuple(mean))
    one, other = (
        quantize_file(model, data, given).proto.graph
        for data, given in ((raw, options), (real, QuantizeOptions()))
    )
    scales = [
        {t.name: onnx.numpy_helper.to_array(t) for t in g.initializer if t.name.endswith("_scale")}
        for g in (one, other)
    ]
    assert scales[0].keys() == scales[1].keys()
    for name, value in scales[0].items():
        np.testing.assert_allclose(value, scales[1][name], rtol=0.05)


def test_the_same_file_twice_and_a_record_in_it(tmp_path: Path) -> None:
    config = VirtualQuantizeConfig(levels=4)
    files = []
    for _ in range(2):
        result, path = _quantized(tmp_path, "tflite", config, samples=50)
        files.append(path.read_bytes())
    assert files[0] == files[1]
    (entry,) = onnx.load_model_from_string(files[0]).metadata_props
    record = json.loads(entry.value)
    assert entry.key == "vq.quantize"
    assert (record["model"], record["samples"]) == ("tflite.tflite", 50)
    assert record["weights"]["levels"] == 4
    assert record["layers"] == {layer.name: layer.levels for layer in result.layers}


@pytest.mark.parametrize("codebook", [False, True])
@pytest.mark.parametrize("levels", [256, 2])
@pytest.mark.parametrize("factor", [0.0, 1e-12, 1e-7, 1e-5])
def test_filter_of_next_to_nothing_keeps_its_bias(
    tmp_path: Path, factor: float, levels: int, codebook: bool
) -> None:
    """Such as a batch norm leaves with a factor near 0. What is told of the model is the file's."""
    net = OnnxNet((2, 6, 6), seed=8)
    weight = net.rng.standard_normal((4, 2, 3, 3)).astype(np.float32) / 1000
    weight[0] *= np.float32(factor)
    bias = net.constant(np.array([0.7, 0.1, -0.3, 0.2], np.float32))
    graph = read_onnx(net.file(net.node("Conv", "x", net.constant(weight), bias)), "net")
    x = np.random.default_rng(9).integers(0, 256, (100, 2, 6, 6)).astype(np.float32)
    config = VirtualQuantizeConfig(levels=levels, codebook=codebook)
    quantized = quantize_graph(graph, x, Scale(1.0, -128), config)
    (path := tmp_path / "q.onnx").write_bytes(to_onnx(quantized, {}).SerializeToString())
    result = _onnx_runtime(path, x)
    (given,) = vq_cortexm.build(load(path)).metadata["outputs"]
    compiled = (_compiled(path, x) - given["zero_point"]) * given["scale"]
    for output in (quantized.outputs[0], result, compiled):
        assert np.abs(output[:, 0] - 0.7).max() < 0.51 * given["scale"]
        # sums in float32 may fall on the other side of a half
        assert np.abs(output - result).max() < 1.01 * given["scale"]
        assert (np.abs(output - result) > 0.5 * given["scale"]).mean() < 0.01


def test_name_of_no_layer_is_refused(tmp_path: Path) -> None:
    config = VirtualQuantizeConfig(layers={"nothing": LayerLevels(4)})
    with pytest.raises(UsageError, match=r"nothing.*layers: conv_2d_0, depthwise_conv_2d_1"):
        _quantized(tmp_path, "tflite", config)


@pytest.mark.parametrize("net", NETS)
def test_reports_call_layers_as_the_quantizer_does(tmp_path: Path, net: str) -> None:
    result, path = _quantized(tmp_path, net)
    reported = [layer["name"] for layer in vq_cortexm.build(load(path)).report["layers"]]
    assert [name for name in reported if name in {layer.name for layer in result.layers}] == [
        layer.name for layer in result.layers
    ]
    one = result.layers[1].name
    config = VirtualQuantizeConfig(layers={one: LayerLevels(3)})
    few = vq_cortexm.build(load(path), vq=config).report["layers"]
    assert [layer["name"] for layer in few if layer["levels"] <= 3] == [one]


def test_layer_is_called_as_the_node_that_ends_it(tmp_path: Path) -> None:
    _, path = _quantized(tmp_path, "chain")
    proto = onnx.load(path)
    ends = [node for node in proto.graph.node if node.op_type == "QuantizeLinear"]
    ends[1].name, ends[2].name = "/stem/first conv", ""
    onnx.save(proto, path)
    layers = vq_cortexm.build(load(path)).report["layers"]
    names = [layer["name"] for layer in layers if layer["macs"]]
    assert names == ["stem_first_conv", "conv2d_0", ends[3].name, ends[4].name]
