"""What the recipes share: a float training, quantized trainings from it, and a table of figures.

python examples/NAME/train.py --data FOLDER                      trains; models to build/NAME
python examples/NAME/train.py --data FOLDER --measure MODEL...   only measures

`--record CARD` puts the table in the place of the one that a page has.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import vq_cortexm
from vq_cortexm.errors import VqError
from vq_cortexm.train import (
    Augment,
    Samples,
    Schedule,
    accuracy,
    export_qonnx,
    fit,
    train_quantized,
)
from vq_cortexm.transform.vq_config import VirtualQuantizeConfig

BOARD = "mps2-an386"


@dataclass(frozen=True)
class Variant:
    """Levels of the layers, and how they are trained."""

    config: VirtualQuantizeConfig
    schedule: Schedule


@dataclass(frozen=True)
class Recipe:
    """A net, its data and its trainings.

    `load` gives the training and the test samples of a data folder. The compiled model's inputs
    are x / input_scale, whole numbers from -128 to 127.
    """

    name: str
    net: Callable[[], nn.Module]
    load: Callable[[Path], tuple[Samples, Samples]]
    input_scale: float
    schedule: Schedule
    variants: Mapping[str, Variant]
    augment: Augment | None = None


@dataclass(frozen=True)
class Figures:
    """Of one model: right answers and what it costs on an emulated Cortex-M4."""

    accuracy: float
    samples: int
    constants_bytes: int
    flash_bytes: int
    ram_bytes: int
    cycles: int


def main(recipe: Recipe) -> None:
    """The command line of a recipe."""
    parser = argparse.ArgumentParser(description=f"Trains and measures {recipe.name}.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--output", type=Path, default=Path("build") / recipe.name)
    parser.add_argument("--measure", type=Path, nargs="+", metavar="MODEL", help="train nothing")
    parser.add_argument("--record", type=Path, metavar="CARD", help="a page that gets the table")
    arguments = parser.parse_args()
    try:
        card = arguments.record.read_text(encoding="utf-8") if arguments.record else HEADING
        if HEADING not in card:
            parser.error(f"{arguments.record}: has no table of figures")
        training, test = recipe.load(arguments.data)
        models = arguments.measure or train(recipe, training, test, arguments.output)
        print(HEADING)
        rows = []
        for path in models:
            rows.append(table_row(path.stem, measure(path, test, recipe.input_scale)))
            print(rows[-1], flush=True)
        if arguments.record:
            arguments.record.write_text(with_table(card, rows), encoding="utf-8")
    except FileNotFoundError as error:
        parser.error(f"{error.filename}: no such file; README.md says what the folder holds")
    except VqError as error:
        parser.error(str(error))


def train(recipe: Recipe, training: Samples, test: Samples, output: Path) -> list[Path]:
    """All models of a recipe, as QONNX files in `output`; what is already trained is kept."""
    torch.manual_seed(recipe.schedule.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net = recipe.net().to(device, memory_format=torch.channels_last)
    fit(
        net,
        training,
        recipe.schedule,
        augment=recipe.augment,
        checkpoint=output / "float.pt",
        title="float",
    )
    print(f"float: {accuracy(net, test):.2%} in PyTorch", file=sys.stderr)
    paths = []
    for name, variant in recipe.variants.items():
        quantized = train_quantized(
            net,
            training,
            variant.schedule,
            vq=variant.config,
            input_scale=recipe.input_scale,
            augment=recipe.augment,
            checkpoint=output / f"{name}.pt",
            title=name,
        )
        paths.append(output / f"{recipe.name}_{name}.onnx")
        export_qonnx(quantized, training.x[:1], paths[-1])
        print(f"{name}: {accuracy(quantized, test):.2%} in PyTorch", file=sys.stderr)
    return paths


def measure(path: Path, test: Samples, input_scale: float) -> Figures:
    """Right answers of the compiled code on this computer, costs on the emulated board."""
    compiled = vq_cortexm.build(vq_cortexm.frontend.load(path), name="net")
    samples = [x[np.newaxis] for x in integers(test.x, input_scale)]
    on_host = compiled.run(samples, "host", timeout_seconds=3600)
    on_board = compiled.run(samples[:1], BOARD, check=True)
    answers = np.array([outputs[0].argmax() for outputs in on_host.outputs])
    return Figures(
        float((answers == test.y.numpy()).mean()),
        len(samples),
        compiled.report["constants_bytes"],
        on_board.flash["total"],
        on_board.ram["total"],
        on_board.cycles or 0,
    )


def integers(x: Tensor, scale: float) -> np.ndarray[Any, np.dtype[np.int8]]:
    """Inputs as the compiled model takes them."""
    return (x / scale).round().clamp(-128, 127).numpy().astype(np.int8)


HEADING = (
    "| model | accuracy | samples | constants, bytes | flash, bytes | RAM, bytes | cycles |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
)


def table_row(name: str, figures: Figures) -> str:
    """One line of the model card's table."""
    f = figures
    return (
        f"| {name} | {f.accuracy:.2%} | {f.samples:,} | {f.constants_bytes:,} "
        f"| {f.flash_bytes:,} | {f.ram_bytes:,} | {f.cycles / 1e6:.2f} M |"
    )


def with_table(card: str, rows: list[str]) -> str:
    """The page with these rows in its table of figures."""
    before, _, behind = card.partition(HEADING)
    old = re.match(r"(?:\n\|.*)*", behind)
    assert old is not None
    return "\n".join([before + HEADING, *rows]) + behind[old.end() :]


def images(*paths: Path) -> Samples:
    """Images (N, H, W, C) uint8 of `.npz` files as numbers from -2 to 2 on a grid of 1/64."""
    contents = [dict(np.load(path)) for path in paths]
    x, y = (torch.from_numpy(np.concatenate([c[name] for c in contents])) for name in "xy")
    return Samples((x.permute(0, 3, 1, 2).float() - 128) / 64, y.long())


IMAGE_SCALE = 1 / 64


def shift_and_mirror(reach: int) -> Augment:
    """Moves each image by up to `reach` pixels either way, and mirrors every other one."""

    def augment(x: Tensor, chance: torch.Generator) -> Tensor:
        n, channels, height, width = x.shape
        padded = nn.functional.pad(x, [reach] * 4)
        down, right = torch.randint(2 * reach + 1, (2, n, 1), generator=chance)
        is_mirrored = torch.rand(n, 1, generator=chance) < 0.5
        columns = torch.arange(width).expand(n, -1)
        columns = torch.where(is_mirrored, width - 1 - columns, columns) + right
        rows = torch.arange(height) + down
        first, second = torch.arange(n)[:, None, None, None], torch.arange(channels)[:, None, None]
        return padded[first, second, rows[:, None, :, None], columns[:, None, None, :]]

    return augment
