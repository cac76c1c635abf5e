"""`layer-diff`: layers beside those of LiteRT, TFLite Micro, ONNX Runtime and given tensors."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_nets
from command_line import Run, fail, succeed
from qonnx_builder import QonnxNet
from tflite_builder import litert_outputs

from vq_cortexm.frontend import load
from vq_cortexm.json_objects import LayerDiff
from vq_cortexm.layer_diff.own import own_model
from vq_cortexm.layer_diff.session import Question, layer_diff
from vq_cortexm.op.registry import OPS
from vq_cortexm.report.conform import conform
from vq_cortexm.samples import random_samples
from vq_cortexm.target import board_by_name
from vq_cortexm.transform.fold_float import Floats

DIGITS = Path(__file__).parents[3] / "examples" / "digits" / "digits_int8.onnx"


@pytest.fixture
def keywords(tmp_path: Path) -> Path:
    path = tmp_path / "keywords.tflite"
    path.write_bytes(tiny_nets.keywords())
    return path


def own_values(path: Path, rounding: Any, seed: int = 1) -> tuple[Any, Any, Any]:
    """The layers, one sample, and what each layer gives for it."""
    own = own_model(load(path), rounding, Floats())
    (sample,) = random_samples(own.inputs, 1, seed)
    return own.layers, sample, own.run(sample)[0]


@pytest.mark.parametrize("name", ["autoencoder", "keywords", "residual", "wake_words"])
@pytest.mark.parametrize(("reference", "rounding"), [("litert", "float"), ("tflm", "double")])
def test_tflite_runtimes_have_the_same_layers(
    name: str, reference: str, rounding: str, tmp_path: Path
) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(getattr(tiny_nets, name)())
    found = layer_diff(Question(path, reference, count=5))
    assert found.rounding == rounding
    assert found.compared == len(found.rows) > 3
    assert found.first is None
    assert found.equal
    assert found.inside == ()


def test_onnx_runtime_has_the_same_layers_and_so_has_the_board() -> None:
    found = layer_diff(Question(DIGITS, board=board_by_name("mps2-an386"), count=3))
    assert (found.reference, found.rounding) == ("onnxruntime", "float")
    assert found.equal
    assert found.compared == len(found.rows) == 9
    # what a convolution gives before its ReLU is real
    assert "/Relu_output_0" in found.inside
    names = [row.layer.name for row in found.rows]
    assert len(set(names)) == 9
    assert [row.layer.op for row in found.rows][:2] == ["conv2d", "depthwise_conv2d"]


def qonnx_net(path: Path, scale: float) -> Path:
    """Weights of few bits, signs, a sum, and a quantizer behind pooling."""
    net = QonnxNet((1, 4, 8, 8), 3)
    x = net.quant("x", 1 / 16, 8)
    y = net.node("Conv", [x, net.weight((4, 4, 3, 3), 3)], pads=[1] * 4)
    y = net.quant(net.node("Relu", [y]), scale, 4, signed=0)
    y = net.node("MaxPool", [y], kernel_shape=[2, 2], strides=[2, 2])
    z = net.node("Conv", [y, net.weight((6, 4, 1, 1), 1)])
    z = net.bipolar(net.batch_norm(z, 6), 1 / 2)
    z = net.quant(net.node("Conv", [z, net.weight((4, 6, 1, 1), 2)]), scale, 6)
    y = net.quant(net.node("Add", [y, z]), scale, 6)
    y = net.node("Conv", [y, net.weight((5, 4, 1, 1), 4)])
    y = net.node("MaxPool", [y], kernel_shape=[2, 2], strides=[2, 2])
    y = net.node("Flatten", [net.quant(y, scale, 5)])
    y = net.node("MatMul", [y, net.weight((20, 3), 4, axis=1)])
    path.write_bytes(net.model(net.quant(y, scale, 8)).SerializeToString())
    return path


def test_qonnx_has_the_same_layers(here: Run, tmp_path: Path) -> None:
    path = qonnx_net(tmp_path / "net.onnx", 1 / 4)
    found = layer_diff(Question(path, count=5))
    assert (found.reference, found.rounding) == ("qonnx", "float")
    assert found.first is None
    compared = {row.layer.op for row in found.rows if row.difference}
    assert compared == {"conv2d", "max_pool2d", "add", "reshape", "dense"}
    # of what is quantized behind pooling, the convolution
    assert [row.layer.op for row in found.rows if not row.difference] == ["conv2d"]
    assert found.compared == len(found.rows) - 1 == 8
    assert not [name for name in found.inside if name.startswith("bipolar")]
    assert "8 of 9 layers compared with qonnx, rounding float" in succeed(
        "layer-diff", path, run=here
    )


def test_wrong_values_of_qonnx_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As if our addition were wrong."""
    path = qonnx_net(tmp_path / "net.onnx", 1 / 4)
    right = OPS["vq.add"]

    def one_more(*inputs: Any) -> Any:
        return np.minimum(right.reference(*inputs), 30) + 1

    monkeypatch.setitem(OPS, "vq.add", replace(right, reference=one_more))
    found = layer_diff(Question(path, count=2))
    assert found.first is not None and found.first.layer.op == "add"
    assert found.first.difference is not None
    assert found.first.difference.largest_steps >= 1


def test_qonnx_rounds_in_float32(tmp_path: Path) -> None:
    found = layer_diff(Question(qonnx_net(tmp_path / "net.onnx", 0.2371), count=20))
    steps = [row.difference.largest_steps for row in found.rows if row.difference]
    assert len(steps) == 8
    # what is next to a tie, and what follows from it
    assert found.rows[0].difference is not None
    assert found.rows[0].difference.largest_steps <= 1


def test_values_are_those_of_the_runtime(keywords: Path) -> None:
    """A layer in the middle, as LiteRT gives it where the file has that output alone."""
    layers, sample, values = own_values(keywords, "float")
    net = tiny_nets.keywords()
    assert np.array_equal(values[-1], litert_outputs(net, *sample)[0])
    assert [layer.op for layer in layers] == [
        "conv2d",
        "depthwise_conv2d",
        "conv2d",
        "avg_pool2d",
        "reshape",
        "dense",
    ]


def test_another_rounding_differs_and_the_first_layer_is_said(here: Run, tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(tiny_nets.residual())
    completed = here("layer-diff", path, "--rounding", "double", "--random", "20")
    assert completed.returncode == 1
    assert "first layer that differs: " in completed.stdout
    found = layer_diff(Question(path, rounding="double", count=20))
    assert found.first is not None
    assert found.first.difference is not None
    assert found.first.difference.largest_steps == 1


def test_given_tensors_and_the_place_of_the_first_difference(
    here: Run, keywords: Path, tmp_path: Path
) -> None:
    layers, sample, values = own_values(keywords, "single")
    arrays = {layer.tensor: value.copy() for layer, value in zip(layers, values, strict=True)}
    assert all(arrays)
    wrong = arrays[layers[2].tensor]
    wrong[0, 3, 1, 4] += 3 if wrong[0, 3, 1, 4] < 100 else -3
    wrong[0, 4, 2, 9] += 1 if wrong[0, 4, 2, 9] < 100 else -1
    del arrays[layers[3].tensor]
    np.savez(tmp_path / "r.npz", **arrays)
    np.save(tmp_path / "x.npy", sample[0])
    options = ["--reference", tmp_path / "r.npz", "--input", tmp_path / "x.npy"]
    completed = here("layer-diff", keywords, *options, "--json")
    assert completed.returncode == 1
    described = json.loads(completed.stdout)
    assert described["first"] == layers[2].name
    assert [layer["differing"] for layer in described["layers"]] == [0, 0, 2, None, 0, 0]
    row = described["layers"][2]
    assert (row["largest_steps"], row["elements"]) == (3, 150)
    assert row["first"] == {
        "sample": 0,
        "index": [0, 3, 1, 4],
        "own": int(values[2][0, 3, 1, 4]),
        "other": int(wrong[0, 3, 1, 4]),
    }
    completed = here("layer-diff", keywords, *options)
    assert "2 of 150 elements, at most 3 steps; in sample 0 at [0, 3, 1, 4]" in completed.stdout
    assert "not in the reference" in completed.stdout


def test_real_tensors_of_layers_names_are_put_on_the_layers_scale(
    here: Run, keywords: Path, tmp_path: Path
) -> None:
    layers, sample, values = own_values(keywords, "single")
    reals = {
        layer.name: ((v.astype(np.int64) - layer.params.zero_point) * layer.params.scale)
        for layer, v in zip(layers, values, strict=True)
        if layer.params is not None
    }
    np.savez(tmp_path / "r.npz", **reals)
    np.save(tmp_path / "x.npy", sample[0])
    options = ["--reference", tmp_path / "r.npz", "--input", tmp_path / "x.npy"]
    assert "5 of 6 layers compared" in succeed("layer-diff", keywords, *options, run=here)


def test_wrong_code_is_found_by_its_layer(monkeypatch: pytest.MonkeyPatch, keywords: Path) -> None:
    """As if the code of average pooling were wrong: the reference is, which is the same here."""
    right = OPS["vq.avg_pool2d"]

    def one_more(x: Any, attrs: Any) -> Any:
        return np.bitwise_xor(right.reference(x, attrs), 1)

    monkeypatch.setitem(OPS, "vq.avg_pool2d", replace(right, reference=one_more))
    found = layer_diff(Question(keywords, board=board_by_name("host")))
    assert found.device is not None
    assert (found.device.exact, found.device.first) == (False, "average_pool_2d_3")
    assert found.first is not None
    assert found.first.layer.name == "average_pool_2d_3"
    assert not found.equal


def test_what_the_build_removed_is_said(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(tiny_nets.keywords())
    rows = layer_diff(Question(path)).rows
    # the first channel of each of these layers has no weights
    assert [row.constant_channels > 0 for row in rows[:3]] == [True] * 3
    assert [row.merged for row in rows] == [False, False, False, False, True, False]


def test_json_has_the_documented_keys(here: Run) -> None:
    described = json.loads(succeed("layer-diff", DIGITS, "--json", "--board", "host", run=here))
    conform(described, LayerDiff)
    assert set(described) == set(LayerDiff.__annotations__)
    assert described["device"] == {"board": "host", "exact": True, "first": None}


def test_refusals(here: Run, keywords: Path, tmp_path: Path) -> None:
    def refused(*arguments: str | Path, status: int = 2) -> str:
        return fail(status, "layer-diff", *arguments, run=here)

    given = tmp_path / "r.npz"
    np.savez(given, nothing=np.zeros(3, np.int8))
    x = tmp_path / "x.npy"
    np.save(x, np.zeros((1, 10, 6, 1), np.int8))
    assert "is compiled" in refused(tmp_path)
    assert "no such file" in refused(tmp_path / "none.tflite")
    assert "for .tflite files litert, tflm works" in refused(keywords, "--reference", "onnxruntime")
    assert "--reference other: litert, tflm, onnxruntime, qonnx or a file .npz" in refused(
        keywords, "--reference", "other"
    )
    assert "needs --input" in refused(keywords, "--reference", given)
    assert "has no tensor of any layer" in refused(keywords, "--reference", given, "--input", x)
    assert "No such file" in refused(keywords, "--reference", tmp_path / "no.npz", "--input", x)
    hurt = damaged(tmp_path)
    assert "not a .npy or .npz file" in refused(keywords, "--reference", hurt, "--input", x)
    hurt.write_bytes(x.read_bytes())
    assert "one array without a name" in refused(keywords, "--reference", hurt, "--input", x)
    assert "exclude each other" in refused(keywords, "--input", x, "--random", "2")
    np.savez(given, conv_2d_0=np.zeros((1, 2, 2, 12), np.int8))
    assert "has the shape (1, 2, 2, 12), ours (1, 5, 3, 12)" in refused(
        keywords, "--reference", given, "--input", x
    )
    np.savez(given, reshape_4=np.zeros((1, 10), np.float32))
    assert "of no known scale" in refused(keywords, "--reference", given, "--input", x)


def test_a_missing_package_is_status_3(
    monkeypatch: pytest.MonkeyPatch, here: Run, keywords: Path
) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    line = fail(3, "layer-diff", keywords, run=here)
    assert "pip install ai-edge-litert works" in line


def test_qonnx_alone_knows_its_quantizers(
    monkeypatch: pytest.MonkeyPatch, here: Run, tmp_path: Path
) -> None:
    path = qonnx_net(tmp_path / "net.onnx", 1 / 4)
    line = fail(2, "layer-diff", path, "--reference", "onnxruntime", run=here)
    assert "for QONNX files qonnx works" in line
    line = fail(2, "layer-diff", DIGITS, "--reference", "qonnx", run=here)
    assert "for .onnx files onnxruntime works" in line
    monkeypatch.setitem(sys.modules, "qonnx.core.onnx_exec", None)
    assert "pip install qonnx works" in fail(3, "layer-diff", path, run=here)


def damaged(folder: Path) -> Path:
    path = folder / "damaged.npz"
    path.write_bytes(b"PK\x03\x04 nothing")
    return path
