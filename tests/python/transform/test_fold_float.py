"""Models with float32 at their borders or in the middle equal ONNX Runtime and LiteRT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from command_line import Run, fail, json_of, succeed
from onnx import TensorProto, helper, numpy_helper
from onnx_qdq_net import SHAPE, net_around
from tflite_builder import TfliteBuilder, run_litert, run_tflm
from two_nets import accurate, fast

import vq_cortexm
from vq_cortexm.bcnet import compose
from vq_cortexm.errors import ModelError, UsageError
from vq_cortexm.frontend import from_onnx, from_tflite
from vq_cortexm.samples import random_samples

ONES, ZEROS = np.ones(4, np.float32), np.zeros(4, np.float32)
FLOAT_LAYERS: dict[str, Any] = {
    "InstanceNormalization": ([ONES, ZEROS], {}),
    "LRN": ([], {"size": 3}),
    "Softmax": ([], {"axis": 1}),
    "Gelu": ([], {}),
    "Tanh": ([], {}),
    "Pow": ([np.float32(2)], {}),
    "Sigmoid": ([], {}),
    "ReduceMax": ([], {}),
    "ReduceL2": ([], {}),
    "MatMul": ([np.linspace(-1, 1, 36, dtype=np.float32).reshape(6, 6)], {}),
}
SAMPLES = 4


def _compare(proto: onnx.ModelProto, board: str = "host", **options: Any) -> Any:
    """The compiled model, the largest difference from ONNX Runtime, and the outputs' largest
    number."""
    target = "vq-cortexm/cortex-m3" if board == "mps2-an385" else "vq-cortexm"
    compiled = vq_cortexm.build(
        from_onnx(proto), target, rounding="float", float_io=True, **options
    )
    samples = random_samples(compiled.program.inputs, SAMPLES, seed=1)
    result = compiled.run(samples, board, check=True)
    assert result.bit_exact
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    expected = np.stack([session.run(None, {"x": sample[0]})[0] for sample in samples])
    got = np.stack([outputs[0] for outputs in result.outputs])
    assert got.dtype == expected.dtype == np.float32
    return compiled, np.abs(got - expected).max(), np.abs(expected).max()


def test_float_borders_are_float_on_the_device() -> None:
    compiled, difference, largest = _compare(net_around("Relu"))
    assert difference == 0
    assert largest > 1
    steps = [step.op for step in compiled.program.steps]
    assert (steps[0], steps[-1]) == ("quantize", "dequantize")
    (x,), (y,) = compiled.metadata["inputs"], compiled.metadata["outputs"]
    assert (x["dtype"], y["dtype"]) == ("float32", "float32")
    assert "scale" not in x
    header = compiled.sources["model.h"]
    assert "float *x" in header


def test_borders_are_integers_unless_asked() -> None:
    compiled = vq_cortexm.build(from_onnx(net_around("Relu")))
    (x,) = compiled.metadata["inputs"]
    assert (x["dtype"], x["scale"]) == ("int8", pytest.approx(0.05))


@pytest.mark.parametrize(("rounding", "run"), [("double", run_tflm), ("float", run_litert)])
def test_float_tflite_equals_the_interpreter(rounding: Any, run: Any) -> None:
    net = TfliteBuilder()
    rng = np.random.default_rng(4)
    x, y = net.tensor((1, 9), None, 0, "float32"), net.tensor((1, 5), None, 0, "float32")
    whole, sums = net.tensor((1, 9), 0.031, -3), net.tensor((1, 5), 0.017, 4)
    w = net.constant(rng.integers(-127, 128, (5, 9)).astype(np.int8), 0.02)
    b = net.constant(rng.integers(-99, 99, 5).astype(np.int32), 0.02 * 0.031)
    net.add("QUANTIZE", [x], [whole])
    net.add("FULLY_CONNECTED", [whole, w, b], [sums])
    net.add("DEQUANTIZE", [sums], [y])
    model = net.build([x], [y])
    compiled = vq_cortexm.build(from_tflite(model), rounding=rounding, float_io=True)
    samples = random_samples(compiled.program.inputs, 20, seed=1)
    result = compiled.run(samples, "host", check=True)
    assert result.bit_exact
    for sample, (got,) in zip(samples, result.outputs, strict=True):
        np.testing.assert_array_equal(got, run(model, *sample))


@pytest.mark.parametrize("operator", FLOAT_LAYERS)
def test_layer_that_nothing_quantizes_stays_float(operator: str) -> None:
    inputs, attributes = FLOAT_LAYERS[operator]
    proto = net_around(operator, inputs, quantized=False, **attributes)
    compiled, difference, largest = _compare(proto, allow_float=True)
    assert difference <= 2e-6 * max(1, largest)
    assert compiled.float_layers
    assert compiled.metadata["float_layers"] == list(compiled.float_layers)
    assert "vq_float.h" in compiled.sources


def test_a_mask_of_minus_infinity() -> None:
    mask = np.where(np.arange(6) < 4, 0, -np.inf).astype(np.float32)
    nodes = [
        helper.make_node("Add", ["x", "mask"], ["masked"]),
        helper.make_node("Softmax", ["masked"], ["y"]),
    ]
    borders = [helper.make_tensor_value_info(n, TensorProto.FLOAT, SHAPE) for n in ("x", "y")]
    graph = helper.make_graph(
        nodes, "net", borders[:1], borders[1:], [numpy_helper.from_array(mask, "mask")]
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    _, difference, _ = _compare(proto, allow_float=True)
    assert difference < 1e-6


@pytest.mark.parametrize("board", ["host", "mps2-an385"])
def test_layer_without_integer_form_is_float_between_integers(board: str) -> None:
    proto = net_around("InstanceNormalization", [ONES, ZEROS])
    compiled, difference, _ = _compare(proto, board, allow_float=True)
    assert difference <= 0.0201  # one step
    steps = [step.op for step in compiled.program.steps]
    assert steps.count("dequantize") == 2
    assert steps.count("quantize") == 2
    assert "conv2d" in steps


def test_model_that_is_all_float() -> None:
    weights = np.random.default_rng(1).normal(size=(4, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["m"]),
        helper.make_node("Flatten", ["m"], ["f"]),
        helper.make_node("Softmax", ["f"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        [numpy_helper.from_array(weights, "w")],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    compiled, difference, _ = _compare(proto, allow_float=True)
    assert difference < 1e-6
    assert len(compiled.float_layers) == 4


def test_float_convolutions_of_tflite_are_near_the_interpreter() -> None:
    net = TfliteBuilder()
    rng = np.random.default_rng(7)
    shapes = [(1, 6, 6, 3), (1, 6, 6, 4), (1, 6, 6, 4)]
    x, hidden, y = (net.tensor(shape, None, 0, "float32") for shape in shapes)
    wide, deep = ((4, 3, 3, 3), (1, 3, 3, 4))
    w, d = (net.constant(rng.standard_normal(shape).astype(np.float32)) for shape in (wide, deep))
    strides = {"StrideH": 1, "StrideW": 1, "Padding": "SAME"}
    net.add("CONV_2D", [x, w, net.constant(ONES)], [hidden], **strides)
    depthwise = {**strides, "DepthMultiplier": 1}
    net.add("DEPTHWISE_CONV_2D", [hidden, d, net.constant(ONES)], [y], **depthwise)
    model = net.build([x], [y])
    with pytest.raises(ModelError, match="--allow-float"):
        vq_cortexm.build(from_tflite(model))
    compiled = vq_cortexm.build(from_tflite(model), allow_float=True)
    samples = random_samples(compiled.program.inputs, SAMPLES, seed=1)
    result = compiled.run(samples, "host", check=True)
    assert result.bit_exact
    for sample, (got,) in zip(samples, result.outputs, strict=True):
        np.testing.assert_allclose(got, run_litert(model, *sample), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("proto", "names"),
    [
        (net_around("InstanceNormalization", [ONES, ZEROS]), "layer act"),
        (net_around("Softmax", quantized=False), "softmax"),
    ],
    ids=["middle", "end"],
)
def test_float_is_refused_unless_it_is_allowed(proto: onnx.ModelProto, names: str) -> None:
    with pytest.raises(ModelError) as caught:
        vq_cortexm.build(from_onnx(proto))
    assert names in str(caught.value)
    assert "--allow-float" in str(caught.value)


@pytest.mark.parametrize(
    ("operator", "inputs", "names"),
    [("CumSum", [np.int64(1)], "cumsum is not one loop nest"), ("Det", [], "Det")],
)
def test_float_layer_that_c_cannot_do_is_refused(operator: str, inputs: Any, names: str) -> None:
    with pytest.raises(ModelError, match=names):
        vq_cortexm.build(from_onnx(net_around(operator, inputs)), allow_float=True)


def test_command_line_takes_both_options(here: Run, tmp_path: Path) -> None:
    path, folder = tmp_path / "net.onnx", tmp_path / "out"
    onnx.save(net_around("Softmax", quantized=False, axis=1), path)
    assert "--allow-float" in fail(2, "compile", path, "-o", folder, run=here)
    options = ["--float-io", "--allow-float"]
    run = json_of("run", path, "--board", "host", "--random", "2", "--check", *options, run=here)
    assert run["bit_exact"]
    assert any(layer["op"] == "float_call" for layer in run["layers"])
    completed = here("compile", path, "-o", folder, *options)
    assert completed.returncode == 0
    assert "in float32 on the device: output_softmax" in completed.stderr
    assert "need the model" in fail(2, "compile", folder, "-o", folder, "--float-io", run=here)
    succeed("run", folder, "--board", "host", "--check", run=here)


def test_two_nets_are_integers() -> None:
    with pytest.raises(UsageError, match="integers from end to end"):
        vq_cortexm.build(compose(fast(), accurate()), float_io=True)
