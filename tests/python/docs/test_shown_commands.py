"""The commands that pages show in blocks of no language: each is run, on small models.

A page's files stand for any of their kind: what a `Shown` names takes their place.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import docs_check
import numpy as np
import onnx
import pytest
from command_line import Run, expected, one_convolution, succeed
from docs_blocks import ROOT, blocks
from docs_commands import without_comment
from float_nets import write_data
from larq_nets import binary_net
from tiny_nets import keywords
from two_nets import accurate, fast

import vq_cortexm
from vq_cortexm.build import build_folded
from vq_cortexm.frontend import load

PAIR = ROOT / "examples/bcnet/cifar10/seed0"
ELSEWHERE = {
    "serve": "docs/farm.md",
    "micro": "docs/micro.md",
    "--port": "tests/python/test_cli_micro.py",
}
"""What takes a tracker, a project or a board, and the page that a test runs, or the test itself."""


def nothing() -> None:
    """What a page needs whose files are in the checkout."""


@dataclass(frozen=True)
class Shown:
    """How a page's commands are run: what is there before, which words stand for others, by verb
    too, what is added where a verb would take long, and what must be there in the end."""

    prepare: Callable[[], None]
    words: Mapping[str, str] = field(default_factory=dict)
    words_of: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    shorter: Mapping[str, str] = field(default_factory=dict)
    makes: tuple[str, ...] = ()


def convolution() -> None:
    """A net, its inputs and other inputs with classes."""
    rng = np.random.default_rng(1)
    Path("net.tflite").write_bytes(one_convolution())
    write_data(Path("data.npz"), rng.integers(-128, 128, (40, 4, 4, 3)).astype(np.int8))
    images = rng.integers(-128, 128, (40, 6, 6, 3)).astype(np.int8)
    np.savez("labelled.npz", x=images, y=rng.integers(0, 5, 40))


def two_nets() -> None:
    """The convolution, and folders of two nets that can be composed."""
    convolution()
    for name, net in (("fast", fast()), ("accurate", accurate())):
        build_folded(net, name=name).export(name)


def earlier_records() -> None:
    """The convolution, and what another tuning measured."""
    convolution()
    Path("theirs.jsonl").write_text("", encoding="utf-8")


def levels() -> None:
    """The convolution, and a choice of levels."""
    convolution()
    Path("levels.json").write_text('{"levels": 5, "codebook": true}', encoding="utf-8")


def tensors() -> None:
    """The convolution, an input and the output as somebody else has it."""
    convolution()
    x = np.random.default_rng(2).integers(-128, 128, (1, 4, 4, 3)).astype(np.int8)
    np.save("x.npy", x)
    name = vq_cortexm.build(load("net.tflite")).report["layers"][-1]["name"]
    ((output,),) = expected(Path("net.tflite"), [[x]])
    np.savez("mine.npz", **{name: np.asarray(output, np.int8)})


def classifier() -> None:
    """A net that tells classes, and labelled data."""
    Path("net.tflite").write_bytes(keywords())
    (x,) = vq_cortexm.build(load("net.tflite")).program.inputs
    rng = np.random.default_rng(5)
    images = rng.standard_normal((40, *x.shape[1:])).astype(np.float32)
    write_data(Path("data.npz"), images, y=rng.integers(0, 4, 40))


def binary() -> None:
    """A binary net in float, and images."""
    onnx.save(binary_net(), "bnn.onnx")
    shape = [d.dim_value for d in binary_net().graph.input[0].type.tensor_type.shape.dim][1:]
    images = np.random.default_rng(3).integers(0, 256, (40, *shape))
    write_data(Path("data.npz"), images.astype(np.float32))


def committed_pair() -> None:
    """The nets for CIFAR-10, and noise in place of its images."""
    for path in PAIR.iterdir():
        shutil.copy(path, path.name)
    rng = np.random.default_rng(4)
    for name in ("held_out.npz", "test.npz"):
        images = rng.integers(-128, 128, (12, 3, 32, 32)).astype(np.int8)
        np.savez(name, x=images, y=rng.integers(0, 10, 12))


DATA = {"D.npz": "data.npz"}
MODEL = {"MODEL": "net.tflite", **DATA}
FEW = {"tune": "--trials 4", "fit": "--candidates 16,256 --points 2"}
PAGES = {
    "README.md": Shown(
        two_nets,
        {
            **MODEL,
            "FLOAT": "net.tflite",
            "Q.onnx": "quantized.onnx",
            "M.tflite": "equivalent.tflite",
            "REPORT": "evaluation",
            "FAST": "fast",
            "ACCURATE": "accurate",
            "DIR": "measured",
        },
        {
            "compile": {"DIR": "library"},
            "fit": {"DIR": "fitted"},
            # any thresholds do: random answers have no accuracy to ask for
            "bcnet": {"DIR": "both", "D.npz": "labelled.npz", "81": "0"},
        },
        FEW,
        ("library/firmware.elf", "quantized.onnx", "fitted/vq.json", "both/report.json"),
    ),
    "docs/bcnet.md": Shown(
        committed_pair, {"81": "0", "20": "2"}, makes=("both/both.h", "report/eval.json")
    ),
    "docs/fit.md": Shown(
        classifier,
        {
            "pretrainedResnet.tflite": "net.tflite",
            "kws_ref_model_int8.tflite": "net.tflite",
            "cifar10_train_first22000.npz": "data.npz",
            "cifar10_test.npz": "data.npz",
            "keyword_calibration.npz": "data.npz",
            "mlperf_tiny_kws01_mfcc_int8.npz": "data.npz",
        },
        shorter=FEW,
        makes=("out/vq.json", "firmware/firmware.elf"),
    ),
    "docs/howto/ci_gate.md": Shown(convolution, makes=("earlier/report.json",)),
    "docs/larq.md": Shown(binary, DATA, makes=("bnn_q.onnx",)),
    "docs/layer_diff.md": Shown(tensors, MODEL),
    "docs/report.md": Shown(
        convolution, {**MODEL, "OLD": "DIR"}, makes=("report.html", "table.md", "images/layers.png")
    ),
    "docs/tuning.md": Shown(
        earlier_records, {**MODEL, "500": "4"}, shorter=FEW, makes=("mine.jsonl",)
    ),
    "docs/vq.md": Shown(levels, MODEL, makes=("DIR/report.json",)),
    "examples/cifar10/README.md": Shown(nothing, makes=("out/cifar10/firmware.elf",)),
    "examples/fer2013/README.md": Shown(nothing, makes=("out/fer2013/firmware.elf",)),
    "examples/spoken_digits/README.md": Shown(nothing, makes=("out/spoken_digits/firmware.elf",)),
}


def commands(page: str) -> list[list[str]]:
    """What `vq-cortexm` is given in the page's blocks of no language, without comments."""
    texts = [block.text for block in blocks(ROOT / page) if not block.language]
    lines = [line for text in texts for line in re.sub(r"\\\n\s*", "", text).splitlines()]
    found = [line.removeprefix("vq-cortexm ") for line in lines if line.startswith("vq-cortexm ")]
    verbs = [line.split(maxsplit=1) for line in found]
    return [[verb, *shlex.split(without_comment("".join(rest)))] for verb, *rest in verbs]


def words(shown: Shown, command: list[str]) -> list[str]:
    """With files, and shorter where it would search for long."""
    verb, *rest = command
    places = {**shown.words, **shown.words_of.get(verb, {})}
    return [verb, *(places.get(word, word) for word in rest), *shown.shorter.get(verb, "").split()]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_commands_run(
    page: str, here: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    shown = PAGES[page]
    shown.prepare()
    for command in commands(page):
        if command[0] not in ELSEWHERE and "--port" not in command:
            succeed(*words(shown, command), run=here)
    for name in shown.makes:
        assert (tmp_path / name).exists()


def test_all_listed_pages_show_commands() -> None:
    assert len(commands("README.md")) > 15
    assert all(commands(page) for page in PAGES)
    assert set(PAGES) == {page for page, test in docs_check.SHOWN.items() if "shown_com" in test}


def test_other_commands_are_run_elsewhere() -> None:
    for word, place in ELSEWHERE.items():
        assert place in docs_check.RUN or place.endswith(".py")
        assert word in (ROOT / place).read_text(encoding="utf-8")
