"""Every emulated board runs a trained model to the bit, and refuses what does not fit."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import InProcess, fail, json_of
from tflite_builder import TfliteBuilder

from vq_cortexm.target import BOARDS, Board

DIGITS = Path(__file__).parents[3] / "examples" / "digits" / "digits_int8.onnx"
EMULATED = [board for board in BOARDS.values() if board.emulation == "qemu"]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> InProcess:
    return InProcess(monkeypatch, capfd)


@pytest.mark.parametrize("board", EMULATED, ids=lambda board: board.name)
def test_every_emulated_board_runs_a_model(here: InProcess, board: Board) -> None:
    options = ["--board", board.name, "--random", "3", "--seed", "1", "--check"]
    result = json_of("run", DIGITS, *options, run=here)
    assert result["bit_exact"] is True
    assert result["board"] == board.name
    assert result["target"] == f"vq-cortexm/{board.core.name}"
    assert result["instructions"] > 0
    assert (result["cycles"] is None) == (not board.core.models_cycles)


def large_weights() -> bytes:
    """160 KB of them."""
    net = TfliteBuilder()
    x, y = net.tensor((1, 400), 0.05, -3), net.tensor((1, 400), 0.3, 4)
    w = net.constant(np.ones((400, 400), np.int8), [0.01])
    b = net.constant(np.zeros(400, np.int32), [0.05 * 0.01])
    net.add("FULLY_CONNECTED", [x, w, b], [y])
    return net.build([x], [y])


def large_tensors() -> bytes:
    """Two inputs of 5 KB."""
    net = TfliteBuilder()
    a, b, y = (net.tensor((1, 5000), 0.05 * n, n) for n in (1, 2, 3))
    net.add("ADD", [a, b], [y])
    return net.build([a, b], [y])


@pytest.mark.parametrize(
    ("model", "what"),
    [
        (large_weights, "constants take 16[0-9]{4} bytes of flash, the part has 131072;"),
        (large_tensors, "the arena takes 10000 bytes of RAM, 6144 are left beside the stack;"),
    ],
)
def test_what_is_too_large_for_a_small_board(
    here: InProcess, tmp_path: Path, model: Callable[[], bytes], what: str
) -> None:
    path = tmp_path / "large.tflite"
    path.write_bytes(model())
    line = fail(1, "run", path, "--board", "stm32vldiscovery", run=here)
    assert re.search(f"large does not fit stm32vldiscovery: {what} largest: ", line)
