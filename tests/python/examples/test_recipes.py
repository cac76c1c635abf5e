"""The recipes' committed models are what their cards say; the recipes run from data to table."""

from __future__ import annotations

import re
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vq_cortexm

torch.set_num_threads(1)

EXAMPLES = Path(__file__).parents[3] / "examples"
ACCURACY = re.compile(r"^\| \w+_(8bit|4bit|ternary) \| ([\d.]+)% \|", re.MULTILINE)

PINNED: dict[str, list[list[int]]] = {
    "cifar10_8bit": [
        [10, -23, -66, -17, -19, -31, -90, -26, 32, -22],
        [20, -21, -39, -28, -31, 3, -68, -4, -9, 6],
        [22, -14, -34, -52, -48, 25, -89, -21, -10, -3],
    ],
    "cifar10_4bit": [
        [7, -11, -70, -29, -30, -42, -95, -22, 37, -6],
        [28, -28, -51, -31, -33, 2, -82, -9, -14, 3],
        [28, -15, -46, -55, -38, -7, -102, -13, 3, 3],
    ],
    "cifar10_ternary": [
        [-26, -98, -117, -117, -128, -128, -128, -128, 127, -125],
        [9, -48, -126, -35, -77, 1, -128, -63, -30, 23],
        [17, -98, -56, -42, -83, -3, -68, -56, -119, -17],
    ],
    "fer2013_8bit": [
        [-28, -25, -17, 11, 7, 3, 1],
        [-29, -35, -20, 11, -4, 16, 9],
        [-40, -46, -24, 49, 17, -17, -39],
    ],
    "fer2013_4bit": [
        [-30, -34, -17, 16, 3, 9, 5],
        [-34, -52, -25, 20, -4, 19, 17],
        [-45, -52, -22, 62, 20, -21, -48],
    ],
    "fer2013_ternary": [
        [-43, -91, -25, 24, 0, -7, 4],
        [-90, -90, -40, 8, -39, 50, 17],
        [-61, -120, -52, 81, 13, -72, -37],
    ],
    "spoken_digits_8bit": [
        [-58, -51, -24, 54, -66, -39, 28, 59, -127, -61],
        [29, 9, 127, -48, -59, -14, -121, -123, -79, -17],
        [11, 72, -4, -31, -24, -58, -72, 5, -31, 27],
    ],
    "spoken_digits_4bit": [
        [-56, -32, -43, 55, -37, -54, 41, -12, -56, -45],
        [26, 21, 81, -2, -46, -25, -83, -95, -56, -31],
        [69, 26, -14, -22, 22, -43, -83, -30, -64, 3],
    ],
    "spoken_digits_ternary": [
        [-35, -9, -61, -49, -41, 21, -78, -16, -40, -8],
        [-2, 36, 91, 4, -35, -40, -79, -76, -46, -52],
        [30, -31, 105, -64, -31, -37, -92, -18, -55, 0],
    ],
}
"""Outputs for the samples of `_samples`, with rounding `single`."""


def _samples(shape: tuple[int, ...]) -> list[np.ndarray[Any, Any]]:
    """Waves of three lengths, over the whole range."""
    place = np.arange(np.prod(shape)).reshape(shape)
    return [np.rint(127 * np.sin(place / length)).astype(np.int8) for length in (2.3, 17, 301)]


@pytest.mark.parametrize("name", sorted(PINNED))
def test_committed_model_answers_exactly_as_before(name: str) -> None:
    path = EXAMPLES / name.rpartition("_")[0] / f"{name}.onnx"
    assert path.stat().st_size < 300_000
    compiled = vq_cortexm.build(vq_cortexm.frontend.load(path))
    samples = [[x] for x in _samples(compiled.program.inputs[0].shape)]
    result = compiled.run(samples, board="host", check=True)
    assert [outputs[0].ravel().tolist() for outputs in result.outputs] == PINNED[name]
    assert result.bit_exact
    wanted = {"8bit": 256, "4bit": 16, "ternary": 3}[name.rpartition("_")[2]]
    held = [layer["levels"] for layer in compiled.report["layers"] if layer["macs"]]
    assert all(levels <= wanted for levels in held[1:-1])


@pytest.mark.parametrize("example", ["cifar10", "fer2013", "spoken_digits"])
def test_cards_accuracies_are_within_the_lines(example: str) -> None:
    card = (EXAMPLES / example / "README.md").read_text(encoding="utf-8")
    found = {kind: float(share) for kind, share in ACCURACY.findall(card)}
    assert found["4bit"] >= found["8bit"] - 1
    assert found["ternary"] >= found["8bit"] - 4


def _example(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.syspath_prepend(str(EXAMPLES / name))
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return runpy.run_path(str(EXAMPLES / name / "train.py"))


def _recordings(folder: Path) -> None:
    """Tones, higher for higher digits, of four known and two unknown speakers."""
    speakers = ["george", "jackson", "lucas", "nicolas", "theo", "yweweler"]
    lengths = np.array([3000 + 500 * (i % 12) for i in range(60)])
    clips = [
        np.sin(np.arange(n) * (i % 10 + 1) * (0.1 + 0.01 * (i // 10))) * 9000
        for i, n in enumerate(lengths)
    ]
    np.savez(
        folder / "fsdd_int16_8khz.npz",
        audio=np.concatenate(clips).astype(np.int16),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        y=np.arange(60) % 10,
        speaker=np.array([speakers[i // 10] for i in range(60)]),
    )


def test_recipe_goes_from_recordings_to_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _recordings(tmp_path)
    example = _example("spoken_digits", monkeypatch)
    recipe = example["RECIPE"]
    brief = {
        name: replace(variant, schedule=replace(variant.schedule, epochs=1, batch=80))
        for name, variant in recipe.variants.items()
        if name != "8bit"
    }
    recipe = replace(recipe, schedule=replace(recipe.schedule, epochs=3, batch=40), variants=brief)
    output = tmp_path / "models"
    arguments = ["train.py", "--data", str(tmp_path), "--output", str(output)]
    monkeypatch.setattr("sys.argv", arguments)
    example["main"](recipe)
    captured = capsys.readouterr()
    rows = captured.out.splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows] == [
        f"| spoken_digits_{name}" for name in ("4bit", "ternary")
    ]
    flash = [int(row.split(" | ")[4].replace(",", "")) for row in rows]
    assert flash == sorted(flash, reverse=True)
    compiled = [float(row.split(" | ")[1].rstrip("%")) for row in rows]
    pytorch = [float(share) for share in re.findall(r"([\d.]+)% in PyTorch", captured.err)]
    # a test of 20 clips
    assert compiled == pytest.approx(pytorch[1:], abs=5.01)

    models = [str(path) for path in sorted(output.glob("*_4bit.onnx"))]
    heading = captured.out.splitlines()[:2]
    card = tmp_path / "card.md"
    card.write_text("\n".join(["# A card", "", *heading, "| old | 1 |", "", "Text."]))
    monkeypatch.setattr("sys.argv", [*arguments, "--measure", *models, "--record", str(card)])
    example["main"](recipe)
    assert capsys.readouterr().out.splitlines()[2:] == rows[:1]
    assert card.read_text().splitlines() == ["# A card", "", *heading, rows[0], "", "Text."]

    card.write_text("# Another page")
    with pytest.raises(SystemExit) as caught:
        example["main"](recipe)
    assert caught.value.code == 2
    assert "card.md: has no table of figures" in capsys.readouterr().err


def test_missing_data_are_one_line_and_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = _example("fer2013", monkeypatch)
    monkeypatch.setattr("sys.argv", ["train.py", "--data", str(tmp_path)])
    with pytest.raises(SystemExit) as caught:
        example["main"](example["RECIPE"])
    assert caught.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.endswith("_test.npz: no such file; README.md says what the folder holds")


def test_images_are_shifted_and_mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    example = _example("cifar10", monkeypatch)
    x = torch.arange(1.0, 200 * 2 * 5 * 4 + 1).reshape(200, 2, 5, 4)
    moved = example["shift_and_mirror"](1)(x, torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(x, [1] * 4)
    places = set()
    for image, wide in zip(moved, padded, strict=True):
        for down, right, mirrored in np.ndindex(3, 3, 2):
            part = wide[:, down : down + 5, right : right + 4]
            if torch.equal(image, part.flip(2) if mirrored else part):
                places.add((down, right, mirrored))
                break
        else:
            pytest.fail("an image that is no part of its own")
    assert len(places) == 18


def test_nets_have_the_sizes_that_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cifar10", "fer2013", "spoken_digits"):
        example = _example(name, monkeypatch)
        make = example["RECIPE"].net
        said = re.search(r"([\d,]+) parameters", make.__doc__)
        assert sum(p.numel() for p in make().parameters()) == int(said[1].replace(",", ""))
