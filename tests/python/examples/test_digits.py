"""The demo's model is what its card says."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

DIGITS = Path(__file__).parents[3] / "examples" / "digits"
MODEL = DIGITS / "digits_int8.onnx"
CARD = (DIGITS / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def data():
    return runpy.run_path(str(DIGITS / "data.py"))


@pytest.fixture(scope="module")
def digits(data):
    return data["load"]()


def accuracy(images, labels):
    session = ort.InferenceSession(MODEL, providers=["CPUExecutionProvider"])
    logits = [session.run(None, {"image": image})[0] for image in images[:, np.newaxis]]
    return np.mean(np.concatenate(logits).argmax(axis=1) == labels)


def test_accuracy_is_at_least_the_cards(digits):
    row = re.search(r"^\| int8 \| ([\d.]+) % \| ([\d.]+) % \|$", CARD, re.MULTILINE)
    train, test = (float(figure) / 100 for figure in row.groups())
    rounding = 0.00005
    assert accuracy(digits.train_images, digits.train_labels) >= train - rounding
    assert accuracy(digits.test_images, digits.test_labels) >= test - rounding
    assert test >= 0.97


def test_split_is_disjoint_and_complete(digits):
    train = {image.tobytes() for image in digits.train_images}
    test = {image.tobytes() for image in digits.test_images}
    assert not train & test
    assert (len(digits.train_images), len(digits.test_images)) == (1347, 450)


def test_input_grid_is_the_models_and_loses_nothing(data, digits):
    initializers = {
        tensor.name: onnx.numpy_helper.to_array(tensor)
        for tensor in onnx.load(MODEL).graph.initializer
    }
    assert initializers["image_scale"] == data["INPUT_SCALE"]
    assert initializers["image_zero_point"] == data["INPUT_ZERO_POINT"]
    restored = (data["quantize"](digits.test_images) + 64.0) / 8
    np.testing.assert_array_equal(restored, digits.test_images)


def test_model_is_small_and_has_every_kind_of_layer():
    operators = {node.op_type for node in onnx.load(MODEL).graph.node}
    assert operators >= {"Conv", "Add", "MaxPool", "GlobalAveragePool", "Gemm"}
    assert MODEL.stat().st_size < 60_000


@pytest.mark.slow
def test_training_makes_such_a_model(tmp_path):
    for name in ("data.py", "train.py"):
        shutil.copy(DIGITS / name, tmp_path)
    command = [sys.executable, str(tmp_path / "train.py")]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    shares = re.findall(r"^(float|int8) +train +([\d.]+)% +test +([\d.]+)%$", said, re.MULTILINE)
    assert [name for name, _, _ in shares] == ["float", "int8"]
    assert all(float(share) >= 97 for _, *both in shares for share in both)
    assert (tmp_path / MODEL.name).stat().st_size == MODEL.stat().st_size
