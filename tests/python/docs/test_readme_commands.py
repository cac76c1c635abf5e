"""README's list of commands: each is run, with files in place of its capital words."""

from __future__ import annotations

import shlex
from pathlib import Path

import docs_check
import numpy as np
import pytest
from command_line import Run, one_convolution, succeed
from docs_blocks import blocks
from docs_commands import without_comment
from float_nets import write_data
from two_nets import accurate, fast

from vq_cortexm.build import build_folded

ROOT = Path(__file__).parents[3]
ELSEWHERE = {
    "serve": "docs/farm.md",
    "micro": "docs/micro.md",
    "--port": "tests/python/test_cli_micro.py",
}
"""What takes a tracker, a project or a board, and the page that a test runs, or the test itself."""
FILES = {
    "MODEL": "net.tflite",
    "FLOAT": "net.tflite",
    "D.npz": "data.npz",
    "Q.onnx": "quantized.onnx",
    "M.tflite": "equivalent.tflite",
    "REPORT": "evaluation",
    "FAST": "fast",
    "ACCURATE": "accurate",
}
FOLDERS = {"compile": "library", "fit": "fitted", "bcnet": "both"}
"""By verb, what DIR is; else the folder that `profile -o` wrote."""
SHORTER = {"tune": "--trials 4", "fit": "--candidates 16,256 --points 2"}


def commands() -> list[list[str]]:
    """The block's commands as words, without their comments."""
    (block,) = (found for found in blocks(ROOT / "README.md") if "compile MODEL" in found.text)
    lines = [line.removeprefix("vq-cortexm ") for line in block.text.splitlines()]
    verbs = [line.split(maxsplit=1) for line in lines]
    return [[verb, *shlex.split(without_comment("".join(rest)))] for verb, *rest in verbs]


def words(command: list[str]) -> list[str]:
    """With files, and shorter where it would search for long."""
    verb, *rest = command
    folder = FOLDERS.get(verb, "measured")
    data = "labelled.npz" if verb == "bcnet" else FILES["D.npz"]
    places = {**FILES, "DIR": folder, "D.npz": data}
    return [verb, *(places.get(word, word) for word in rest), *SHORTER.get(verb, "").split()]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    Path("net.tflite").write_bytes(one_convolution())
    write_data(Path("data.npz"), rng.integers(-128, 128, (40, 4, 4, 3)).astype(np.int8))
    images = rng.integers(-128, 128, (40, 6, 6, 3)).astype(np.int8)
    np.savez("labelled.npz", x=images, y=rng.integers(0, 5, 40))
    for name, net in (("fast", fast()), ("accurate", accurate())):
        build_folded(net, name=name).export(name)
    return tmp_path


@pytest.mark.slow
def test_commands_of_readme_run(place: Path, here: Run) -> None:
    listed = commands()
    assert len(listed) > 15
    for command in listed:
        if command[0] in ELSEWHERE or "--port" in command:
            continue
        # any thresholds do: random answers have no accuracy to ask for
        asked = [word if word != "81" else "0" for word in words(command)]
        succeed(*asked, run=here)
    for name in ("library/firmware.elf", "quantized.onnx", "fitted/vq.json", "both/report.json"):
        assert (place / name).exists()


def test_other_commands_are_run_elsewhere() -> None:
    for word, place in ELSEWHERE.items():
        assert place in docs_check.RUN or place.endswith(".py")
        assert word in (ROOT / place).read_text(encoding="utf-8")
