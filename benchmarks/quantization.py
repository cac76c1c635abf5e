"""Post-training quantization of two MLPerf Tiny models: accuracy through the compiled code.

    python benchmarks/quantization.py MODELS DATASETS [--output docs/quantization.md]

MODELS holds pretrainedResnet.tflite, its int8 sibling pretrainedResnet_quant.tflite and
kws_ref_model_int8.tflite (mlcommons/tiny). DATASETS holds, at any depth, `FILES` below. Exit
status 1 if an accuracy is below its line.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import vq_cortexm
from mfcc import mfcc
from vq_cortexm.quantize import QuantizeOptions, quantize_file
from vq_cortexm.transform.vq_config import VirtualQuantizeConfig

FILES = (
    "cifar10_train_first22000.npz",
    "cifar10_test.npz",
    "speech_commands_v1_sample300_int16.npz",
    "mlperf_tiny_kws01_mfcc_int8.npz",
)
TRAIN_IMAGES, TEST_IMAGES, CLIPS, TEST_FEATURES = FILES
KEYWORD_SCALE, KEYWORD_ZERO_POINT = 0.5847029, 83
"""Of the keyword model's input."""


@dataclass(frozen=True)
class Task:
    """A model, what it is calibrated on and tested with, and the accuracy wanted of each width."""

    title: str
    model: str
    int8_model: str
    calibration: Callable[[Path, Path], Path]
    test: Callable[[Path], tuple[NDArray[np.int8], NDArray[Any]]]
    test_file: str
    wanted: dict[int, float]


def _train_images(datasets: Path, _folder: Path) -> Path:
    return find(datasets, TRAIN_IMAGES)


def _test_images(datasets: Path) -> tuple[NDArray[np.int8], NDArray[Any]]:
    data = dict(np.load(find(datasets, TEST_IMAGES)))
    return (data["x"].astype(np.int16) - 128).astype(np.int8), data["y"]


def _clips(datasets: Path, folder: Path) -> Path:
    """The clips' features as the model's own input type."""
    audio = np.load(find(datasets, CLIPS))["audio"]
    integers = np.trunc(mfcc(audio) / KEYWORD_SCALE + KEYWORD_ZERO_POINT)
    path = folder / "keyword_calibration.npz"
    np.savez(path, x=np.clip(integers, -128, 127).astype(np.int8))
    return path


def _test_features(datasets: Path) -> tuple[NDArray[np.int8], NDArray[Any]]:
    data = dict(np.load(find(datasets, TEST_FEATURES)))
    return data["x"], data["y"]


TASKS = (
    Task(
        "image classification (ResNet-8, CIFAR-10)",
        "pretrainedResnet.tflite",
        "pretrainedResnet_quant.tflite",
        _train_images,
        _test_images,
        TEST_IMAGES,
        {8: 0.868, 6: 0.865, 5: 0.863, 4: 0.850, 3: 0.825},
    ),
    Task(
        "keyword spotting (DS-CNN, Speech Commands)",
        "kws_ref_model_int8.tflite",
        "kws_ref_model_int8.tflite",
        _clips,
        _test_features,
        TEST_FEATURES,
        {8: 0.898, 6: 0.895, 5: 0.893, 4: 0.885},
    ),
)


@dataclass(frozen=True)
class Row:
    """One width: shares of right answers, and how long the quantizer took."""

    bits: int
    accuracy: float
    rounded: float
    wanted: float
    seconds: float


def accuracy(path: Path, bits: int, test: tuple[NDArray[np.int8], NDArray[Any]]) -> float:
    """Top-1 of a model's compiled code on this computer."""
    compiled = vq_cortexm.build(vq_cortexm.frontend.load(path), bits=bits)
    x, y = test
    result = compiled.run([sample[np.newaxis] for sample in x], "host", timeout_seconds=3600)
    return float((np.array([outputs[0].argmax() for outputs in result.outputs]) == y).mean())


def measure(task: Task, models: Path, datasets: Path) -> list[Row]:
    """A row for each width of the task."""
    test, rows = task.test(datasets), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = task.calibration(datasets, folder)
        for bits, wanted in task.wanted.items():
            start = time.perf_counter()
            options = QuantizeOptions(VirtualQuantizeConfig(levels=1 << bits))
            quantized = quantize_file(models / task.model, data, options)
            seconds = time.perf_counter() - start
            path = folder / f"quantized_{bits}.onnx"
            path.write_bytes(quantized.proto.SerializeToString(deterministic=True))
            rounded = accuracy(models / task.int8_model, bits, test)
            rows.append(Row(bits, accuracy(path, 8, test), rounded, wanted, seconds))
            print(task.title, rows[-1], file=sys.stderr)
    return rows


def render(measured: dict[str, list[Row]]) -> str:
    """The document."""
    lines = [
        "# Post-training quantization",
        "",
        "`vq-cortexm quantize MODEL --data D.npz [--bits N | --levels L | --vq FILE] -o Q.onnx`",
        "takes a float or int8 model, `.onnx` or `.tflite`. `D.npz` has inputs as `x`, samples",
        "first, in the model's own layout; the model gets (x - mean) * scale, with `--mean` and",
        "`--scale` one number or one a channel. int8 data of a model that quantizes its input are",
        "taken as they are. The first 1,024 samples are used (`--samples`); classes as `y` show",
        "accuracies.",
        "",
        "Written by `python benchmarks/quantization.py MODELS DATASETS --output THIS_FILE`. Shares",
        "of right answers on the test set, through the compiled code (board `host`, rounding",
        "`single`); all weights of convolutions and dense layers have the bits of the row,",
        "activations 8.",
        "",
        "- **quantized**: `vq-cortexm quantize MODEL --data D.npz --bits N`: the float ResNet-8 on",
        "  1,024 of CIFAR-10's training images; the keyword model from its int8 file on the",
        f"  features of 300 clips ({CLIPS}). No label and no test sample is used,",
        "  nothing is trained.",
        "- **rounded**: the int8 model built with `--bits N`: steps of least squared error, no",
        "  data.",
        "",
        "The quantizer's result is the same every time on one computer. With another BLAS library",
        "or number of threads sums are rounded in another order, and accuracies move by some",
        "hundredths of a point.",
    ]
    for title, rows in measured.items():
        lines += [
            "",
            f"## {title}",
            "",
            "| bits | quantized | wanted | holds | rounded | quantizing takes |",
            "| ---: | ---: | ---: | --- | ---: | ---: |",
        ]
        for row in rows:
            holds = "yes" if row.accuracy >= row.wanted else "NO"
            lines.append(
                f"| {row.bits} | {row.accuracy:.2%} | {row.wanted:.1%} | {holds} "
                f"| {row.rounded:.2%} | {row.seconds:.0f} s |"
            )
    return "\n".join(lines) + "\n"


def find(folder: Path, name: str) -> Path:
    """The file of that name at any depth; ends the program without it."""
    found = sorted(folder.rglob(name))
    if not found:
        sys.exit(f"{folder} lacks {name}")
    return found[0]


def main() -> int:
    """Measures everything, prints and writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path)
    parser.add_argument("datasets", type=Path)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    for name in FILES:
        find(arguments.datasets, name)
    for task in TASKS:
        for name in (task.model, task.int8_model):
            find(arguments.models, name)
    measured = {t.title: measure(t, arguments.models, arguments.datasets) for t in TASKS}
    text = render(measured)
    print(text)
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")
    failed = [row for rows in measured.values() for row in rows if row.accuracy < row.wanted]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
