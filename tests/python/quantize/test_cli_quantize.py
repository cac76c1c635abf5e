"""`vq-cortexm quantize`: its files, its words, and one line for what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from command_line import Run, fail, json_of, one_convolution, succeed, vq
from float_nets import samples, small_tflite, write_data
from larq_nets import STEP, integers, other_exporter


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """A float model."""
    path = tmp_path / "net.tflite"
    path.write_bytes(small_tflite())
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Samples for it, with classes."""
    return write_data(tmp_path / "data.npz", samples((8, 7, 3), 30), y=np.arange(30) % 4)


def test_file_is_written_and_runs(net: Path, data: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.onnx"
    completed = vq("quantize", net, "--data", data, "--bits", "4", "-o", output)
    assert (completed.returncode, completed.stdout) == (0, f"{output}\n")
    assert "conv_2d_0" in completed.stderr
    assert "right on the calibration data" in completed.stderr
    run = json.loads(succeed("run", output, "--board", "host", "--check", "--json"))
    assert run["bit_exact"] is True


def test_json_has_layers_and_shares(net: Path, data: Path, tmp_path: Path, here: Run) -> None:
    output = tmp_path / "m.onnx"
    arguments = ("quantize", net, "--data", data, "--levels", "5", "-o", output)
    found = json_of(*arguments, "--samples", "20", run=here)
    assert (found["output"], found["samples"]) == (str(output), 20)
    assert 0 <= found["accuracy"] <= 1
    assert [layer["levels"] for layer in found["layers"]] == [5, 5, 5]
    assert found["layers"][0] == {"name": "conv_2d_0", "op": "conv", "weights": 216, "levels": 5}


def test_one_sample_is_enough(net: Path, tmp_path: Path, here: Run) -> None:
    data = write_data(tmp_path / "one.npz", samples((8, 7, 3), 1, seed=2))
    output = tmp_path / "m.onnx"
    arguments = ("quantize", net, "--data", data, "-o", output)
    assert json_of(*arguments, run=here)["samples"] == 1
    assert output.exists()


def test_layers_are_told_apart_by_a_file(net: Path, data: Path, tmp_path: Path, here: Run) -> None:
    (levels := tmp_path / "vq.json").write_text('{"bits": 2, "layers": {"conv_2d_0": {"bits": 3}}}')
    arguments = ("quantize", net, "--data", data, "--vq", levels, "-o", tmp_path / "m.onnx")
    assert [layer["levels"] for layer in json_of(*arguments, run=here)["layers"]] == [8, 4, 4]


def _without_x(folder: Path) -> list[str | Path]:
    np.savez(folder / "other.npz", z=np.zeros(3))
    return ["--data", folder / "other.npz"]


def _wrong_shape(folder: Path) -> list[str | Path]:
    return ["--data", write_data(folder / "other.npz", samples((3, 8, 7)))]


def _not_finite(folder: Path) -> list[str | Path]:
    return ["--data", write_data(folder / "other.npz", np.full((4, 8, 7, 3), np.nan))]


def _wrong_classes(folder: Path) -> list[str | Path]:
    x = samples((8, 7, 3), 4)
    return ["--data", write_data(folder / "other.npz", x, y=np.zeros(3, np.int64))]


def _no_samples(folder: Path) -> list[str | Path]:
    return ["--data", write_data(folder / "other.npz", samples((8, 7, 3), 0))]


def _no_archive(folder: Path) -> list[str | Path]:
    (folder / "other.npz").write_bytes(b"nothing")
    return ["--data", folder / "other.npz"]


def _one_array(folder: Path) -> list[str | Path]:
    np.save(folder / "other.npy", samples((8, 7, 3), 4))
    return ["--data", folder / "other.npy"]


REFUSED: list[tuple[Callable[[Path], list[str | Path]], str]] = [
    (_without_x, "no array `x`"),
    (_wrong_shape, "(N, 8, 7, 3)"),
    (_not_finite, "finite"),
    (_wrong_classes, "one class number for each sample"),
    (_no_samples, "(0, 8, 7, 3)"),
    (_no_archive, "not a .npy or .npz file"),
    (_one_array, "not a .npz file"),
    (lambda folder: ["--data", folder / "missing.npz"], "No such file"),
    (lambda _: ["--bits", "4", "--levels", "3"], "exclude each other"),
    (lambda _: ["--bits", "9"], "9"),
    (lambda _: ["--vq", "missing.json"], "missing.json"),
    (lambda _: ["--scale", "much"], "--scale"),
    (lambda _: ["--scale", "0"], "not 0"),
    (lambda _: ["--mean", "1,2"], "the input's channels"),
    (lambda folder: ["-o", folder / "m.tflite"], ".onnx"),
    (lambda folder: ["-o", folder / "missing" / "m.onnx"], "No such file"),
]


@pytest.mark.parametrize(("make", "names"), REFUSED)
def test_bad_use_is_one_line(
    make: Callable[[Path], list[str | Path]],
    names: str,
    net: Path,
    data: Path,
    tmp_path: Path,
    here: Run,
) -> None:
    # an option that is given twice counts as it is given last
    arguments = ["quantize", net, "--data", data, "-o", tmp_path / "m.onnx", *make(tmp_path)]
    assert names in fail(2, *arguments, run=here)
    assert not (tmp_path / "m.onnx").exists()


@pytest.mark.parametrize(
    ("name", "content", "names"),
    [
        ("net.pt", b"", "unknown ending"),
        ("net.onnx", b"junk", "not a valid ONNX model"),
        ("net.tflite", b"junk", "not a TFLite model"),
    ],
)
def test_bad_model_is_one_line(
    name: str, content: bytes, names: str, data: Path, tmp_path: Path, here: Run
) -> None:
    (model := tmp_path / name).write_bytes(content)
    line = fail(2, "quantize", model, "--data", data, "-o", tmp_path / "m.onnx", run=here)
    assert names in line
    assert name in line


def test_missing_model_is_one_line(data: Path, tmp_path: Path, here: Run) -> None:
    arguments = ("quantize", tmp_path / "none.onnx", "--data", data, "-o", tmp_path / "m.onnx")
    assert "No such file" in fail(2, *arguments, run=here)


def test_int8_model_takes_its_own_input_type(tmp_path: Path, here: Run) -> None:
    (model := tmp_path / "net.tflite").write_bytes(one_convolution())
    x = np.random.default_rng(1).integers(-128, 128, (20, 4, 4, 3)).astype(np.int8)
    data, output = write_data(tmp_path / "data.npz", x), tmp_path / "m.onnx"
    succeed("quantize", model, "--data", data, "-o", output, run=here)
    scales = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(output).graph.initializer}
    (first,) = onnx.load(output).graph.input
    assert scales[f"{first.name}_scale"] == np.float32(0.05)
    assert scales[f"{first.name}_zero_point"] == -3


def test_binary_net_is_written_as_qonnx_and_runs(tmp_path: Path) -> None:
    proto = other_exporter()
    (model := tmp_path / "net.onnx").write_bytes(proto.SerializeToString())
    data = write_data(tmp_path / "data.npz", integers(proto), y=np.arange(12) % 4)
    output = tmp_path / "q.onnx"
    completed = vq("quantize", model, "--data", data, "--scale", str(STEP), "-o", output)
    assert (completed.returncode, completed.stdout) == (0, f"{output}\n")
    assert "fitted to 12 samples" in completed.stderr
    assert "right on the calibration data" in completed.stderr
    run = json.loads(
        succeed("run", output, "--board", "host", "--random", "2", "--check", "--json")
    )
    assert run["bit_exact"] is True


def test_binary_net_that_is_not_quantized_is_one_line(tmp_path: Path, here: Run) -> None:
    (model := tmp_path / "net.onnx").write_bytes(other_exporter().SerializeToString())
    assert "vq-cortexm quantize" in fail(2, "compile", model, "-o", tmp_path / "out", run=here)
    assert not (tmp_path / "out").exists()


def test_binary_net_is_not_fitted_nor_quantized_again(tmp_path: Path, here: Run) -> None:
    proto = other_exporter()
    (model := tmp_path / "net.onnx").write_bytes(proto.SerializeToString())
    data, output = write_data(tmp_path / "data.npz", integers(proto)), tmp_path / "q.onnx"
    assert "a binary net" in fail(2, "fit", model, "--data", data, "-o", tmp_path / "f", run=here)
    succeed("quantize", model, "--data", data, "--scale", str(STEP), "-o", output, run=here)
    again = ("quantize", output, "--data", data, "-o", tmp_path / "twice.onnx")
    assert "has binary layers" in fail(2, *again, run=here)


def test_fewer_levels_of_a_binary_net_are_refused(tmp_path: Path, here: Run) -> None:
    (model := tmp_path / "net.onnx").write_bytes(other_exporter().SerializeToString())
    data = write_data(tmp_path / "data.npz", integers(other_exporter()))
    arguments = ("quantize", model, "--data", data, "--bits", "4", "-o", tmp_path / "q.onnx")
    assert "binary net" in fail(2, *arguments, run=here)
    assert not (tmp_path / "q.onnx").exists()
