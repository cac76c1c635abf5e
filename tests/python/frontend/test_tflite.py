"""The TFLite importer: whole models equal TFLite's own interpreters, damage is one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
import tflite
from tflite_builder import TfliteBuilder, run_litert, run_tflm

import vq_cortexm
from vq_cortexm.compat import dtype_of, op_name
from vq_cortexm.errors import ModelError
from vq_cortexm.frontend import from_tflite, load
from vq_cortexm.samples import random_samples
from vq_cortexm.transform import fold_pipeline

SAMPLES = 10
X_SCALE, X_ZERO_POINT = 0.04, -3
INTERPRETERS = {"double": run_tflm, "float": run_litert}
MOVES = {"relax.reshape", "relax.nn.pad"}
FLOAT_OPERATORS = {
    "relax.add",
    "relax.clip",
    "relax.matmul",
    "relax.mean",
    "relax.nn.avg_pool2d",
    "relax.nn.conv2d",
    "relax.nn.max_pool2d",
    "relax.nn.relu",
    "relax.nn.softmax",
    "relax.permute_dims",
}


class _Net(TfliteBuilder):
    """Layers one after another, with weights from a seed and outputs that fill their range."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.rng = np.random.default_rng(seed)

    def parameters(
        self, shape: tuple[int, ...], x_scale: float, axis: int, fan_in: int, spread: float = 4.0
    ) -> list[int]:
        """Per-channel weights and their bias, for outputs of about +-`spread`."""
        channels = shape[axis]
        scale = spread / (x_scale * 70 * 70 * fan_in**0.5) * self.rng.uniform(0.5, 1.5, channels)
        scale = scale.astype(np.float32)
        w = self.constant(self.rng.integers(-127, 128, shape).astype(np.int8), scale, axis)
        b = self.rng.integers(-3000, 3000, channels).astype(np.int32)
        return [w, self.constant(b, np.float32(x_scale) * scale)]


def _classifier(head: str) -> bytes:
    """Every supported kind of layer; `head` makes (1, 1, 1, 8) of the last feature map."""
    net = _Net(seed=1)
    x = net.tensor((1, 8, 8, 3), X_SCALE, X_ZERO_POINT)
    padded = net.tensor((1, 10, 10, 3), X_SCALE, X_ZERO_POINT)
    widths = net.constant(np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))
    net.add("PAD", [x, widths], [padded])

    first = net.tensor((1, 4, 4, 8), 6 / 255, -128)
    net.add(
        "CONV_2D",
        [padded, *net.parameters((8, 3, 3, 3), X_SCALE, 0, 27)],
        [first],
        Padding="VALID",
        StrideH=2,
        StrideW=2,
        FusedActivationFunction="RELU6",
    )
    depthwise = net.tensor((1, 4, 4, 8), 0.05, 7)
    net.add(
        "DEPTHWISE_CONV_2D",
        [first, *net.parameters((1, 3, 3, 8), 6 / 255, 3, 9)],
        [depthwise],
        Padding="SAME",
        StrideH=1,
        StrideW=1,
        DepthMultiplier=1,
    )
    pointwise = net.tensor((1, 4, 4, 8), 0.06, -11)
    net.add(
        "CONV_2D",
        [depthwise, *net.parameters((8, 1, 1, 8), 0.05, 0, 8)],
        [pointwise],
        Padding="SAME",
        StrideH=1,
        StrideW=1,
    )
    total = net.tensor((1, 4, 4, 8), 0.05, -100)
    net.add("ADD", [first, pointwise], [total], FusedActivationFunction="RELU")
    pooled = net.tensor((1, 2, 2, 8), 0.05, -100)
    window = {"Padding": "VALID", "StrideH": 2, "StrideW": 2, "FilterHeight": 2, "FilterWidth": 2}
    net.add("MAX_POOL_2D", [total], [pooled], **window)

    mean = net.tensor((1, 1, 1, 8), 0.05 if head == "AVERAGE_POOL_2D" else 0.04, -100)
    if head == "AVERAGE_POOL_2D":
        net.add(head, [pooled], [mean], **window)
    else:
        axes = net.constant(np.array([1, 2], np.int32))
        net.add(head, [pooled, axes], [mean], KeepDims=True)
    scale = 0.05 if head == "AVERAGE_POOL_2D" else 0.04
    flat = net.tensor((1, 8), scale, -100)
    net.add("RESHAPE", [mean, net.constant(np.array([1, 8], np.int32))], [flat], NewShape=[1, 8])
    logits = net.tensor((1, 5), 0.03, 4)
    net.add("FULLY_CONNECTED", [flat, *net.parameters((5, 8), scale, 0, 8, 1.0)], [logits])
    y = net.tensor((1, 5), 1 / 256, -128)
    net.add("SOFTMAX", [logits], [y], Beta=1.0)
    return net.build([x], [y])


def _branches(axis: int) -> bytes:
    """Two convolutions, of one scale, one after the other along an axis, and one over both."""
    net = _Net(seed=axis)
    x = net.tensor((1, 6, 5, 3), X_SCALE, X_ZERO_POINT)
    window = {"Padding": "SAME", "StrideH": 1, "StrideW": 1}
    branches = []
    for size in (1, 3):
        branches.append(net.tensor((1, 6, 5, 4), 0.05, 7))
        weights = net.parameters((4, size, size, 3), X_SCALE, 0, 3 * size * size)
        net.add("CONV_2D", [x, *weights], branches[-1:], **window)
    shape = [2 * n if i == axis else n for i, n in enumerate((1, 6, 5, 4))]
    both = net.tensor(shape, 0.05, 7)
    net.add("CONCATENATION", branches, [both], Axis=axis)
    y = net.tensor((*shape[:3], 4), 0.06, -2)
    net.add("CONV_2D", [both, *net.parameters((4, 3, 3, shape[3]), 0.05, 0, 72)], [y], **window)
    return net.build([x], [y])


def _one_operator(operator: str, scale: float | None = 0.1, **options: Any) -> bytes:
    """A model of one operator between two tensors of four numbers."""
    net = TfliteBuilder()
    x = net.tensor((1, 4), scale, 5)
    y = net.tensor((1, 4), None if scale is None else 1 / 256, -128)
    net.add(operator, [x], [y], **options)
    return net.build([x], [y])


def _float_model() -> bytes:
    net = TfliteBuilder()
    x, y = (net.tensor((1, 4), dtype="float32") for _ in range(2))
    w = net.constant(np.ones((4, 4), np.float32))
    net.add("FULLY_CONNECTED", [x, w], [y])
    return net.build([x], [y])


def _subgraphs(count: int) -> bytes:
    """A model with `count` empty subgraphs."""
    fb = flatbuffers.Builder(64)
    graphs = []
    for _ in range(count):
        tflite.SubGraphStart(fb)
        graphs.append(tflite.SubGraphEnd(fb))
    fb.StartVector(4, count, 4)
    for graph in graphs:
        fb.PrependUOffsetTRelative(graph)
    vector = fb.EndVector()
    tflite.ModelStart(fb)
    tflite.ModelAddSubgraphs(fb, vector)
    fb.Finish(tflite.ModelEnd(fb), b"TFL3")
    return bytes(fb.Output())


def _error(model: Any, *, whole: bool = False) -> str:
    """The message with which a model is refused, by the importer or (`whole`) by the build."""
    with pytest.raises(ModelError) as caught:
        module = from_tflite(model)
        if whole:
            vq_cortexm.build(module)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


MODEL = _classifier("AVERAGE_POOL_2D")


@pytest.mark.parametrize("rounding", INTERPRETERS)
@pytest.mark.parametrize("head", ["AVERAGE_POOL_2D", "MEAN"])
def test_whole_model_equals_the_interpreter(head: str, rounding: str) -> None:
    model = _classifier(head)
    compiled = vq_cortexm.build(from_tflite(model), rounding=rounding)
    samples = random_samples(compiled.program.inputs, SAMPLES, seed=1)
    result = compiled.run(samples, "host", check=True)
    expected = [INTERPRETERS[rounding](model, *sample) for sample in samples]
    np.testing.assert_array_equal([outputs[0] for outputs in result.outputs], expected)
    assert result.bit_exact
    assert len({e.tobytes() for e in expected}) == SAMPLES


def test_every_layer_of_the_file_is_a_layer_of_the_model() -> None:
    compiled = vq_cortexm.build(from_tflite(MODEL))
    # the file's PAD is the convolution's padding
    assert [step.op for step in compiled.program.steps] == [
        "conv2d",
        "depthwise_conv2d",
        "conv2d",
        "add",
        "max_pool2d",
        "avg_pool2d",
        "dense",
        "softmax",
    ]


@pytest.mark.parametrize("rounding", INTERPRETERS)
@pytest.mark.parametrize("axis", [1, 3])
def test_concatenation_equals_the_interpreter(axis: int, rounding: str) -> None:
    model = _branches(axis)
    compiled = vq_cortexm.build(from_tflite(model), rounding=rounding)
    samples = random_samples(compiled.program.inputs, SAMPLES, seed=1)
    result = compiled.run(samples, "host", check=True)
    expected = [INTERPRETERS[rounding](model, *sample) for sample in samples]
    np.testing.assert_array_equal([outputs[0] for outputs in result.outputs], expected)
    # rows follow each other in memory, channels do not
    copies = [step.op for step in compiled.program.steps].count("concat")
    assert copies == (1 if axis == 3 else 0)


@pytest.mark.parametrize("head", ["AVERAGE_POOL_2D", "MEAN"])
def test_module_is_float_operators_between_dequantize_and_quantize(head: str) -> None:
    main = from_tflite(_classifier(head))["main"]
    calls = [b.value for block in main.body.blocks for b in block.bindings if op_name(b.value)]
    names = {op_name(call) for call in calls}
    assert names <= FLOAT_OPERATORS | MOVES | {"relax.quantize", "relax.dequantize"}
    assert {"relax.nn.conv2d", "relax.matmul", "relax.nn.softmax"} <= names
    for call in calls:
        if op_name(call) in FLOAT_OPERATORS:
            assert (dtype_of(call), dtype_of(call.args[0])) == ("float32", "float32")
        if op_name(call) in MOVES:
            assert dtype_of(call.args[0]) == "int8"


def test_metadata_has_names_shapes_and_scales_of_the_file() -> None:
    metadata = vq_cortexm.build(from_tflite(_one_operator("SOFTMAX", Beta=1.0))).metadata
    (x,), (y,) = metadata["inputs"], metadata["outputs"]
    assert (x["name"], x["shape"], x["dtype"], x["zero_point"]) == ("t0", [1, 4], "int8", 5)
    assert (y["name"], y["shape"], y["dtype"], y["zero_point"]) == ("t1", [1, 4], "int8", -128)
    assert (x["scale"], y["scale"]) == (pytest.approx(0.1), 1 / 256)


def test_metadata_has_the_inputs_scale_where_the_first_operator_only_moves() -> None:
    metadata = vq_cortexm.build(from_tflite(MODEL)).metadata
    (x,), (y,) = metadata["inputs"], metadata["outputs"]
    assert (y["shape"], y["scale"], y["zero_point"]) == ([1, 5], 1 / 256, -128)
    assert (x["shape"], x["zero_point"]) == ([1, 8, 8, 3], X_ZERO_POINT)
    assert x["scale"] == pytest.approx(X_SCALE)


def test_path_bytes_and_parsed_model_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(MODEL)
    parsed = tflite.Model.GetRootAsModel(MODEL, 0)
    sources = [path, str(path), MODEL, parsed]
    modules = [from_tflite(source) for source in sources] + [load(path), load(str(path))]
    assert len({vq_cortexm.build(m).sources["model_weights.c"] for m in modules}) == 1
    assert len({m.script() for m in modules}) == 1


@pytest.mark.parametrize(
    ("operator", "name"),
    [("LSTM", "LSTM"), ("DIV", "DIV"), ("RSQRT", "RSQRT"), ("CUSTOM", "custom operator")],
)
def test_unsupported_operator_is_refused_with_file_and_name(
    operator: str, name: str, tmp_path: Path
) -> None:
    path = tmp_path / "odd.tflite"
    path.write_bytes(_one_operator(operator))
    message = _error(path)
    assert "odd.tflite" in message
    assert name in message
    assert "CONV_2D" in message  # what would work


def test_float_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "float.tflite"
    path.write_bytes(_float_model())
    message = _error(path, whole=True)
    assert "float" in message.replace("float.tflite", "") or "quantize" in message


def test_tensor_without_scale_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bare.tflite"
    path.write_bytes(_one_operator("SOFTMAX", scale=None, Beta=1.0))
    message = _error(path)
    assert "bare.tflite" in message
    assert "SOFTMAX" in message
    assert "scale" in message


@pytest.mark.parametrize("count", [0, 2])
def test_one_subgraph_is_demanded(count: int, tmp_path: Path) -> None:
    path = tmp_path / "flow.tflite"
    path.write_bytes(_subgraphs(count))
    message = _error(path)
    assert "flow.tflite" in message
    assert f"{count} subgraphs" in message


def test_truncated_file_is_refused_at_every_length(tmp_path: Path) -> None:
    path = tmp_path / "cut.tflite"
    step = max(1, len(MODEL) // 150)
    for length in [*range(0, 64, 3), *range(64, len(MODEL), step)]:
        path.write_bytes(MODEL[:length])
        assert "cut.tflite" in _error(path), length


def test_damaged_file_is_imported_or_refused() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(MODEL)
        for position in rng.integers(8, len(MODEL), 3):
            damaged[position] = rng.integers(256)
        try:
            fold_pipeline("single")(from_tflite(bytes(damaged)))
        except ModelError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(
    "data", [b"", b"TFL3", bytes(100), b"\x1c\0\0\0TFL2" + bytes(50), b"<html>not a model</html>"]
)
def test_file_that_is_no_model_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "odd.tflite"
    path.write_bytes(data)
    assert "odd.tflite: not a TFLite model" in _error(path)


def test_missing_file_and_unknown_ending_are_refused(tmp_path: Path) -> None:
    assert "none.tflite" in _error(tmp_path / "none.tflite")
    (tmp_path / "model.pb").touch()
    for name, text in [("none.tflite", "no such file"), ("model.pb", "known: .tflite, .onnx")]:
        with pytest.raises(ModelError, match=text):
            load(tmp_path / name)
