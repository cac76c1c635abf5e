"""Train the digit network, quantize it to int8 and write `digits_int8.onnx` beside this file.

Needs the extra `train`; see README.md in this folder.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import data
import numpy as np
import onnxruntime as ort
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from torch import Tensor, nn
from torch.nn import functional as F

MODEL = Path(__file__).with_name("digits_int8.onnx")
EPOCHS = 60
BATCH = 64
INPUT_GRID = {
    "scale": np.array(data.INPUT_SCALE, dtype=np.float32),
    "zero_point": np.array(data.INPUT_ZERO_POINT, dtype=np.int8),
}


class DigitNet(nn.Module):
    """Every kind of layer that the compiler knows, in 10 442 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.pointwise = nn.Conv2d(16, 32, 1)
        self.pool = nn.MaxPool2d(2)
        self.residual = nn.Conv2d(32, 32, 3, padding=1)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(32, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Logits [N, 10] of images [N, 1, 8, 8]."""
        x = F.relu(self.stem(image))
        x = F.relu(self.depthwise(x))
        x = F.relu(self.pointwise(x))
        x = self.pool(x)
        x = F.relu(x + self.residual(x))
        return self.classifier(self.average(x).flatten(1))


def train(images: data.Images, labels: data.Labels) -> DigitNet:
    """AdamW on a one-cycle schedule, with a little noise on the pixels."""
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)
    net = DigitNet()
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    steps = EPOCHS * -(-len(x) // BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=steps)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(BATCH):
            noisy = x[batch] + torch.randn_like(x[batch])
            loss = F.cross_entropy(net(noisy), y[batch], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def export_float(net: DigitNet, path: Path) -> None:
    """The float network as ONNX, with batch 1.

    The TorchScript exporter writes the average as one GlobalAveragePool; its successor makes
    it a ReduceMean, which ONNX Runtime leaves in float.
    """
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    torch.onnx.export(
        net,
        (torch.zeros(1, 1, 8, 8),),
        path,
        dynamo=False,
        opset_version=17,
        input_names=["image"],
        output_names=["logits"],
    )


class Calibration(CalibrationDataReader):  # type: ignore[misc]
    """Feeds images to the calibration, one at a time."""

    def __init__(self, images: data.Images) -> None:
        self._samples: Iterator[data.Images] = iter(images[:, np.newaxis])

    def get_next(self) -> dict[str, data.Images] | None:
        """The next sample, or None at the end."""
        sample = next(self._samples, None)
        return None if sample is None else {"image": sample}


def quantize(source: Path, target: Path, images: data.Images) -> None:
    """Int8 QDQ: symmetric weights per channel, activations per tensor."""
    quantize_static(
        source,
        target,
        Calibration(images),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        extra_options={
            "WeightSymmetric": True,
            "TensorQuantOverrides": {"image": [INPUT_GRID]},
        },
    )


def accuracy(path: Path, images: data.Images, labels: data.Labels) -> float:
    """Share of the images that ONNX Runtime classifies correctly."""
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    logits = [session.run(None, {"image": image})[0] for image in images[:, np.newaxis]]
    return float(np.mean(np.concatenate(logits).argmax(axis=1) == labels))


def main() -> None:
    """Train, export, quantize, report."""
    logging.getLogger().setLevel(logging.ERROR)
    torch.set_num_threads(1)
    digits = data.load()
    net = train(digits.train_images, digits.train_labels)
    with tempfile.TemporaryDirectory() as folder:
        float_model = Path(folder) / "digits_float.onnx"
        export_float(net, float_model)
        quantize(float_model, MODEL, digits.train_images)
        for name, path in ("float", float_model), ("int8", MODEL):
            train_accuracy = accuracy(path, digits.train_images, digits.train_labels)
            test_accuracy = accuracy(path, digits.test_images, digits.test_labels)
            print(f"{name:5}  train {train_accuracy:7.2%}  test {test_accuracy:7.2%}")
    print(f"{MODEL.name}: {MODEL.stat().st_size} bytes")


if __name__ == "__main__":
    main()
