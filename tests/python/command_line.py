"""Running the command `vq-cortexm` in tests, and the small models it is given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tflite_builder import TfliteBuilder

import vq_cortexm
from vq_cortexm import cli
from vq_cortexm.frontend import load
from vq_cortexm.reference import run_reference
from vq_cortexm.samples import random_samples

SHAPE = (1, 4, 4, 3)
"""Of `one_convolution`'s input."""
RUN_KEYS = [
    "model",
    "target",
    "board",
    "bit_exact",
    "inferences",
    "cycles",
    "instructions",
    "flash",
    "ram",
    "layers",
    "outputs",
]
SECONDS = 120
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def one_convolution() -> bytes:
    rng = np.random.default_rng(1)
    net = TfliteBuilder()
    x = net.tensor(SHAPE, 0.05, -3)
    w = net.constant(rng.integers(-127, 128, (5, 3, 3, 3)).astype(np.int8), [0.01] * 5)
    b = net.constant(rng.integers(-999, 999, 5).astype(np.int32), [0.05 * 0.01] * 5)
    y = net.tensor((1, 2, 2, 5), 0.3, 4)
    net.add("CONV_2D", [x, w, b], [y], Padding="VALID", StrideH=1, StrideW=1)
    return net.build([x], [y])


def one_addition() -> bytes:
    net = TfliteBuilder()
    a, b = net.tensor((2, 3), 0.05, -3), net.tensor((2, 3), 0.03, 8)
    y = net.tensor((2, 3), 0.07, 1)
    net.add("ADD", [a, b], [y])
    return net.build([a, b], [y])


def unsupported() -> bytes:
    net = TfliteBuilder()
    x, y = net.tensor((1, 4), 0.1), net.tensor((1, 4), 0.1)
    net.add("LSTM", [x], [y])
    return net.build([x], [y])


def vq(
    *arguments: str | Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vq_cortexm", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env={**os.environ, **(environment or {})},
    )


class InProcess:
    """The same as `vq` without a process of its own, for the many cases of one kind."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch = monkeypatch
        self.capfd = capfd

    def __call__(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = ["vq-cortexm", *map(str, arguments)]
        self.monkeypatch.setattr(sys, "argv", command)
        self.capfd.readouterr()
        status: Any = 0
        try:
            cli.main()
        except SystemExit as end:
            status = end.code
        captured = self.capfd.readouterr()
        return subprocess.CompletedProcess(command, status, captured.out, captured.err)


def succeed(*arguments: str | Path, run: Run = vq) -> str:
    completed = run(*arguments)
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


def json_of(*arguments: str | Path, run: Run = vq) -> Any:
    completed = run(*arguments, "--json")
    assert (completed.returncode, completed.stderr) == (0, "")
    return json.loads(completed.stdout)


def fail(status: int, *arguments: str | Path, run: Run = vq, **keywords: Any) -> str:
    """The one line with which the command ends."""
    completed = run(*arguments, **keywords)
    assert completed.returncode == status, completed.stderr
    assert completed.stdout == ""
    (line,) = completed.stderr.splitlines()
    assert line.startswith("vq-cortexm: error: ")
    assert "internal error" not in line
    return line


def expected(path: Path, samples: list[Any]) -> list[list[Any]]:
    folded = vq_cortexm.build(load(path)).module
    return [[y.tolist() for y in run_reference(folded, sample)] for sample in samples]


def random_inputs(path: Path, count: int, seed: int) -> list[Any]:
    return random_samples(vq_cortexm.build(load(path)).program.inputs, count, seed)
