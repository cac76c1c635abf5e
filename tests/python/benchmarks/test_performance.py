"""`make bench`: pairing, document and plots of made-up measurements, and how it ends."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from command_line import one_convolution

import document
import measure
import peers
import performance
import plots
from measure import LayerPair, Measurement, pair_layers
from models import MODELS, Model, ModelsMissingError, find_models
from peers import Figures, Peer, PeerLayer, Peers, load_peers
from vq_cortexm.report.layers import LayerReport

ROOT = Path(__file__).parents[3]
MODEL = Model("ad", "a model", "ad01_int8.tflite")


def layer(name: str, op: str, macs: int, cycles: int, limit: int | None = None) -> LayerReport:
    limited_by = "MAC" if limit else None
    report = LayerReport(name, op, macs, cycles, cycles, 0)
    return dataclasses.replace(report, limit_cycles=limit, limited_by=limited_by)


OURS = (
    layer("conv_2d_0", "conv2d", 400, 800, 500),
    layer("depthwise_conv_2d_1", "depthwise_conv2d", 50, 300, 100),
    layer("softmax_3", "softmax", 0, 90),
)
THEIRS = (
    PeerLayer(0, "CONV_2D", "4x4x1", "4x4x5", "5x5 /1", 400, 2000, 1500),
    PeerLayer(1, "DW_CONV", "4x4x5", "4x4x5", "3x3 /1", 100, 900, 700),
    PeerLayer(2, "ADD", "4x4x5", "4x4x5", "", 0, 60, 50),
)
PEERS = Peers(
    "the models",
    (
        Peer("CMSIS-NN, best options", "one", {"ad": Figures(2_000_000, 15, 300, 700, 64, 8)}),
        Peer("CMSIS-NN -O3, DSP off", "two", {"ad": Figures(5_000_000, 3_000_000)}),
        Peer("CMSIS-NN of 2022", "three", {"ad": Figures(4_000_000)}),
    ),
    (Peer("microTVM + CMSIS-NN", "four", {"ad": Figures(5_000_000, milliseconds=4.5)}),),
    "CMSIS-NN -O3",
    {"ad": THEIRS},
)
MEASURED = Measurement(
    MODEL,
    Figures(1_000_000, 800_000, 1_200, 3_000, 128, 40),
    macs=500_000,
    macs_left=400_000,
    limit_cycles=800_000,
    layers=OURS,
    instructions_without_dsp=1_500_000,
    bit_exact=True,
)
ALONE = dataclasses.replace(
    MEASURED, model=Model("sww", "another", "b.tflite"), macs_left=500_000, layers=OURS[:1]
)


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [line.strip("| ").split(" | ") for line in lines]


def test_layers_are_paired_by_the_number_of_their_operator() -> None:
    assert pair_layers(OURS, THEIRS) == [
        LayerPair(0, OURS[0], THEIRS[0]),
        LayerPair(1, OURS[1], THEIRS[1]),
        LayerPair(2, None, THEIRS[2]),
        LayerPair(3, OURS[2], None),
    ]
    assert [pair.op for pair in pair_layers(OURS, THEIRS)] == [
        "conv2d",
        "depthwise_conv2d",
        "add",
        "softmax",
    ]
    assert [pair.macs for pair in pair_layers(OURS, THEIRS)] == [400, 100, 0, 0]


@pytest.mark.parametrize(
    ("ours", "message"),
    [
        (layer("dense_0", "dense", 1, 1), "layer dense_0 is dense, theirs is CONV_2D"),
        (layer("dense", "dense", 1, 1), "layer dense: no operator's number"),
    ],
)
def test_layers_that_are_no_pair(ours: LayerReport, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pair_layers([ours], THEIRS)


def test_numbers() -> None:
    assert document.millions(1_234_567) == "1.235"
    assert document.count(1_234_567) == "1,234,567"
    assert document.ratio(3, 2) == "1.50"
    assert document.millions(None) == document.count(None) == "-"
    assert document.ratio(None, 2) == document.ratio(2, None) == document.ratio(2, 0) == "-"
    assert document.table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |"


def test_document_shows_ours_beside_the_peers() -> None:
    text = document.render([MEASURED, ALONE], PEERS, "gcc 1 and qemu 2")
    found = rows(text)
    glance = ["1.000", "2.00", "1.25", "2.000", "2.00", "5.000", "4,200", "128"]
    assert ["**ad**: a model", *glance] in found
    alone = ["1.000", "2.00", "1.25", "-", "-", "-", "4,200", "128"]
    assert ["**sww**: another", *alone] in found
    ours = ["1.000", "1.00", "2.00", "0.800", "1,200", "3,000", "4,200", "128", "40"]
    assert ["**vq-cortexm**", "modelled", *ours] in found
    bound = ["0.800", "0.80", "1.60", "-", "-", "-", "-", "-", "-"]
    assert ["limit", "bound", *bound] in found
    best = ["2.000", "2.00", "4.00", "0.000", "300", "700", "1,000", "64", "8"]
    assert ["CMSIS-NN, best options", "modelled", *best] in found
    assert ["ad", "1.500", "3.000", "2.00"] in found
    assert ["ad", "4.000", "5.000", "1.25"] in found
    assert "100,000 only feed channels" in text
    assert "takes 2.50 cycles" in text
    assert text.count("only feed channels that") == 1
    assert "gcc 1 and qemu 2" in text
    assert text.endswith("- **microTVM + CMSIS-NN**: four.\n")


def test_document_shows_layers() -> None:
    found = rows(document.render([MEASURED, ALONE], PEERS, "tools"))
    shapes = ["4x4x1", "4x4x5", "5x5 /1", "400"]
    costs = ["2,000", "5.00", "800", "2.00", "2.50", "500", "1.60", "MAC"]
    assert ["0 conv2d", *shapes, *costs] in found
    shapes = ["4x4x5", "4x4x5", "3x3 /1", "100"]
    costs = ["900", "9.00", "300", "3.00", "3.00", "100", "3.00", "MAC"]
    assert ["1 depthwise_conv2d †", *shapes, *costs] in found
    absent = ["60", "-", "-", "-", "-", "-", "-", "-"]
    assert ["2 add", "4x4x5", "4x4x5", "-", "-", *absent] in found
    assert ["3 softmax", *["-"] * 6, "90", *["-"] * 5] in found


def test_a_peer_that_ran_in_part_is_not_compared_as_a_whole() -> None:
    part = Figures(300_000, macs=100_000, note="half of it")
    some = dataclasses.replace(PEERS, boards=(*PEERS.boards, Peer("x", "y", {"ad": part})))
    row = next(r for r in rows(document.render([MEASURED], some, "")) if r[0].startswith("x"))
    assert row[:5] == ["x (half of it)", "board", "0.300", "-", "3.00"]


def test_document_and_plots_are_the_same_twice(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    files = [plots.draw_all([MEASURED, ALONE], PEERS, folder) for folder in folders]
    names = ["cycles.svg", "memory.svg", "layers_ad.svg", "layers_sww.svg"]
    assert [[path.name for path in drawn] for drawn in files] == [names, names]
    texts = [[path.read_text(encoding="utf-8") for path in drawn] for drawn in files]
    assert texts[0] == texts[1]
    for text in texts[0]:
        assert "<svg" in text
        assert not re.search("20[0-9][0-9]-|matplotlib.org|[ \t]$", text, re.M)
    referred = re.findall(r"\(plots/(\S+)\)", document.render([MEASURED, ALONE], PEERS, ""))
    assert sorted(referred) == sorted(names)


def test_plots_show_every_program(tmp_path: Path) -> None:
    cycles, memory, layers, alone = (
        path.read_text(encoding="utf-8")
        for path in plots.draw_all([MEASURED, ALONE], PEERS, tmp_path)
    )
    assert all(name in cycles for name in ("vq-cortexm", "limit", "CMSIS-NN, best options", "2.00"))
    assert not any(name in cycles for name in plots.HIDDEN)
    assert "4.2" in memory
    assert "CMSIS-NN -O3" in layers
    assert "1 depthwise" in layers
    assert "CMSIS-NN -O3" not in alone


def test_peers_figures_are_consistent() -> None:
    known = load_peers()
    reference = known.peer(known.layers_of)
    assert {document.BEST, document.WITHOUT_DSP, document.OLD, document.OLD_ON_BOARD} <= {
        peer.name for peer in (*known.modelled, *known.boards)
    }
    for key, layers in known.layers.items():
        # a call between layers costs the rest
        total = sum(each.cycles for each in layers)
        assert total == pytest.approx(reference.figures[key].cycles, rel=1e-3)
        assert [each.index for each in layers] == sorted({each.index for each in layers})
    keys = {model.key for model in MODELS}
    assert all(peer.source for peer in (*known.modelled, *known.boards))
    assert all(set(peer.figures) <= keys for peer in (*known.modelled, *known.boards))
    for peer in known.boards:
        for figures in peer.figures.values():
            assert figures.milliseconds is not None
            assert figures.cycles == pytest.approx(120_000 * figures.milliseconds, rel=0.02)
    best = known.peer(document.BEST)
    assert all(best.figures[k].cycles <= reference.figures[k].cycles for k in best.figures)


def test_figures_file_is_one_that_a_person_can_read() -> None:
    text = peers.FILE.read_text(encoding="utf-8")
    assert json.loads(text)["layers_of"] == "CMSIS-NN -O3"
    assert max(map(len, text.splitlines())) < 600


def test_measure_a_model(tmp_path: Path) -> None:
    path = tmp_path / "tiny_0.tflite"
    path.write_bytes(one_convolution())
    measured = measure.measure(MODEL, path)
    assert measured.bit_exact
    assert measured.macs == measured.macs_left == 4 * 5 * 27
    (only,) = measured.layers
    assert only.limit_cycles == measured.limit_cycles
    assert measured.limit_cycles < (only.cycles or 0) <= measured.figures.cycles
    assert measured.instructions_without_dsp > measured.macs
    assert (measured.figures.flash_bytes or 0) > 4 * 5 * 27 // 4
    assert [pair.op for pair in pair_layers(measured.layers, ())] == ["conv2d"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files with the models' names."""
    for model in MODELS:
        (tmp_path / model.file).touch()
    return tmp_path


def test_models_that_are_missing_are_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(find_models(folder)) == list(MODELS)
    (folder / MODELS[1].file).unlink()
    with pytest.raises(ModelsMissingError, match=MODELS[1].file):
        find_models(folder)
    assert performance.main([str(folder), "--output", str(folder / "p.md")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(rf"bench: .*{MODELS[1].file}.*\n", captured.err)


def fake_measure(model: Model, path: Path) -> Measurement:
    layers = tuple(layer(f"conv_2d_{i}", "conv2d", 9, 20, 10) for i in (40, 41))
    return dataclasses.replace(MEASURED, model=model, layers=layers)


def test_command_writes_document_and_plots(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(performance, "measure", fake_measure)
    output = folder / "p.md"
    assert performance.main([str(folder), "--output", str(output)]) == 0
    text = output.read_text(encoding="utf-8")
    assert re.search(r"arm-none-eabi-gcc \d+\.\d+.* and qemu-system-arm \d+\.\d+", text)
    assert all((folder / name).is_file() for name in re.findall(r"\((plots/\S+)\)", text))


def test_an_output_that_is_not_bit_exact_fails_and_writes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def differs(model: Model, path: Path) -> Measurement:
        return dataclasses.replace(fake_measure(model, path), bit_exact=model.key != "ic")

    monkeypatch.setattr(performance, "measure", differs)
    before = sorted(folder.rglob("*"))
    assert performance.main([str(folder), "--output", str(folder / "p.md")]) == 1
    assert capsys.readouterr().err.endswith("bench: not bit-exact: ic\n")
    assert sorted(folder.rglob("*")) == before


def test_a_model_that_cannot_be_read_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert performance.main([str(folder), "--output", str(folder / "p.md")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("bench: ad: ")


def test_make_bench_without_models_says_what_to_give() -> None:
    # as from a shell, not from the make that runs the tests
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    completed = subprocess.run(
        ["make", "-C", ROOT, "--no-print-directory", "bench", "MODELS="],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 2
    assert completed.stdout == ""
    (line,) = completed.stderr.splitlines()
    assert "make bench MODELS=<folder" in line
