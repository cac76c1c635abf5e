"""What the recipes of this folder share: the trainings of a binary and an 8-bit net.

python examples/bcnet/NAME/train.py --data FOLDER --seed N

writes to build/bcnet/NAME/seedN: fast.onnx, the binary net; plain.onnx, the 8-bit net trained
alone; boosted.onnx, the one trained to help the binary net; combination.json, the factors of both
nets' logits in the combined answer. An interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import nn

from vq_cortexm.errors import VqError
from vq_cortexm.files import write_atomically
from vq_cortexm.train import (
    Augment,
    BinaryConv2d,
    Boosted,
    Samples,
    Schedule,
    Sign,
    accuracy,
    export_qonnx,
    fit,
    set_factors,
    train_boosted,
    train_quantized,
)


@dataclass(frozen=True)
class Split:
    """No net is trained on `calibration`, which is for thresholds and factors, nor on `test`."""

    training: Samples
    calibration: Samples
    test: Samples


@dataclass(frozen=True)
class Trainings:
    """The float 8-bit net; the binary net, with the float net as its teacher unless its share is
    0; the binary net's ends with quantizers; the 8-bit net, plain and boosted alike."""

    accurate: Schedule
    binary: Schedule
    ends: Schedule
    quantized: Schedule


@dataclass(frozen=True)
class Recipe:
    """Two nets of the same inputs, x / input_scale from -128 to 127, and their trainings;
    `independence` is that of `train_boosted`."""

    name: str
    fast: Callable[[], nn.Module]
    accurate: Callable[[], nn.Module]
    load: Callable[[Path], Split]
    input_scale: float
    trainings: Trainings
    augment: Augment
    independence: float = 0.0


@dataclass(frozen=True)
class Nets:
    """What a recipe trains; `boosted` holds the 8-bit net and the factors."""

    fast: nn.Module
    plain: nn.Module
    boosted: Boosted


def main(recipe: Recipe) -> None:
    """The command line of a recipe."""
    parser = argparse.ArgumentParser(description=f"Trains the nets of {recipe.name}.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("build/bcnet") / recipe.name)
    arguments = parser.parse_args()
    folder = arguments.output / f"seed{arguments.seed}"
    try:
        split = recipe.load(arguments.data)
        nets = train(recipe, split.training, arguments.seed, folder)
        set_factors(nets.boosted, split.calibration)
        export(nets, split.training, folder)
    except FileNotFoundError as error:
        parser.error(f"{error.filename}: no such file; README.md says what the folder holds")
    except VqError as error:
        parser.error(str(error))
    boosted = nets.boosted
    for title, net in {
        "binary": nets.fast,
        "8 bits, plain": nets.plain,
        "8 bits, boosted": boosted.accurate,
        "binary and boosted": boosted,
    }.items():
        print(f"{title}: {accuracy(net, split.test):.2%} in PyTorch", flush=True)


def train(recipe: Recipe, data: Samples, seed: int, folder: Path) -> Nets:
    """All nets of a recipe; checkpoints in `folder`, what is already trained is kept."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(seed)
    accurate, binary = (
        net().to(device, memory_format=torch.channels_last)
        for net in (recipe.accurate, recipe.fast)
    )

    def options(title: str) -> dict[str, object]:
        path = folder / f"{title.replace(' ', '_')}.pt"
        return {"augment": recipe.augment, "checkpoint": path, "title": title}

    def seeded(schedule: Schedule) -> Schedule:
        return replace(schedule, seed=seed)

    trainings, scale = recipe.trainings, recipe.input_scale
    fit(accurate, data, seeded(trainings.accurate), **options("float"))
    teacher = accurate if trainings.binary.distillation else None
    fit(binary, data, seeded(trainings.binary), teacher=teacher, **options("binary"))
    quantized = seeded(trainings.quantized)
    return Nets(
        fast := train_quantized(
            binary, data, seeded(trainings.ends), input_scale=scale, **options("fast")
        ),
        train_quantized(accurate, data, quantized, input_scale=scale, **options("plain")),
        train_boosted(
            accurate,
            fast,
            data,
            quantized,
            independence=recipe.independence,
            input_scale=scale,
            **options("boosted"),
        ),
    )


def export(nets: Nets, data: Samples, folder: Path) -> None:
    """Writes the models and the factors."""
    models = {"fast": nets.fast, "plain": nets.plain, "boosted": nets.boosted.accurate}
    for name, model in models.items():
        export_qonnx(model, data.x[:1], folder / f"{name}.onnx")
    factors = json.dumps(asdict(nets.boosted.factors()), indent=2) + "\n"
    write_atomically(folder / "combination.json", factors.encode())


def held_out(data: Samples, count: int) -> tuple[Samples, Samples]:
    """All but the last `count` samples, and these."""
    return Samples(data.x[:-count], data.y[:-count]), Samples(data.x[-count:], data.y[-count:])


def convolution(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    """3×3, batch norm and ReLU."""
    return [*_normed(inputs, outputs, stride), nn.ReLU()]


def stem(inputs: int, outputs: int, stride: int = 2) -> list[nn.Module]:
    """3×3 on the net's input, batch norm and sign."""
    return [*_normed(inputs, outputs, stride), Sign()]


def binary(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    """3×3 of one bit, batch norm and sign."""
    return [*_binary_normed(inputs, outputs, stride), Sign()]


def binary_last(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    """3×3 of one bit, batch norm and ReLU, whose results have 8 bits again."""
    return [*_binary_normed(inputs, outputs, stride), nn.ReLU()]


def classifier(channels: int, classes: int, dropout: float = 0.0) -> list[nn.Module]:
    """The mean over the image, and a dense layer of which training drops some inputs."""
    dropped = [nn.Dropout(dropout)] if dropout else []
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), *dropped, nn.Linear(channels, classes)]


def placed_classifier(inputs: int, classes: int) -> list[nn.Module]:
    """Means over 2×2 pixels, and a dense layer of these `inputs`, which sees where they are."""
    return [nn.AvgPool2d(2), nn.Flatten(), nn.Linear(inputs, classes)]


def _normed(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    layer = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return [layer, nn.BatchNorm2d(outputs)]


def _binary_normed(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    layer = BinaryConv2d(inputs, outputs, 3, stride=stride, padding=1)
    return [layer, nn.BatchNorm2d(outputs)]
