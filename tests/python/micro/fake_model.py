"""The model of tests/c/fake_model: its interface, samples for it, and what it must answer."""

from __future__ import annotations

import shutil
from enum import IntEnum
from pathlib import Path

import numpy as np
from jinja2 import Template

from vq_cortexm.micro.app import AppSpec, IoTensor, ModelIo
from vq_cortexm.resources import resource_dir

SOURCE_DIR = Path(__file__).parents[2] / "c" / "fake_model"
SOURCES = ("fake_run.c", "fake_layers.c", "fake_weights.c")
WEIGHTS = np.array([1, -2, 3, -4, 5, -6, 7, -8, 16, 32, 100, 127, -128, -64, 111])

IO = ModelIo(
    "fake",
    inputs=(IoTensor("values", 15), IoTensor("command", 2)),
    outputs=(IoTensor("result", 15),),
    layers=2,
)


class Command(IntEnum):
    """As `enum fake_command`."""

    NORMAL = 0
    ERROR = 1
    FAULT = 2
    ENDLESS = 3
    LARGE_FRAME = 4
    STACK_OVERFLOW = 5
    RECURSION = 6


def sample(seed: int, command: Command = Command.NORMAL) -> bytes:
    rng = np.random.default_rng(seed)
    values = rng.integers(-128, 128, 15, np.int8)
    return values.tobytes() + bytes([command, seed % 128])


def expected(sample: bytes) -> bytes:
    values = np.frombuffer(sample, np.int8).astype(np.int32)
    sums = (values[:15] * WEIGHTS >> 2) + values[16]
    return bytes(np.clip(sums, -128, 127).astype(np.int8))


APP = AppSpec(IO, sample(1))


def write_model(folder: Path) -> Path:
    """A copy of the model in `folder`, with the CMakeLists.txt of a generated one."""
    shutil.copytree(SOURCE_DIR, folder)
    template = Template((resource_dir("codegen") / "CMakeLists.txt.j2").read_text())
    (folder / "CMakeLists.txt").write_text(template.render(model="fake", sources=SOURCES))
    return folder


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
