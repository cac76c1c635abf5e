"""Plots of docs/performance.md: SVG files that are the same for the same figures."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from measure import LayerPair, Measurement, pair_layers
from peers import Figures, Peer, Peers

STYLE: dict[Any, Any] = {
    "svg.hashsalt": "vq-cortexm",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
OURS, MODELLED, ON_BOARD, LIMIT = "#c8402f", "#7d9cc0", "#c9d5e3", "#4b4b4b"
LEAST_BARS = 5
"""Room in a panel, so that few bars are no blocks."""
OUR_NAME, LIMIT_NAME = "vq-cortexm", "limit"
HIDDEN = ("TFLM reference", "CMSIS-NN of 2022", "microTVM + CMSIS-NN")
"""Far beyond the others, or there to judge the cycle model by: in the tables alone."""


def cycles_of_models(measurements: Sequence[Measurement], peers: Peers) -> Figure:
    """Bars of whole inferences: peers, ours, the limit; a panel for each model."""
    figure, panels = _panels(measurements, "million cycles of one inference", height=2.9)
    for panel, measured in zip(panels, measurements, strict=True):
        key = measured.model.key
        bars = [(OUR_NAME, measured.figures.cycles, OURS)]
        bars += [(LIMIT_NAME, measured.limit_cycles, LIMIT)]
        bars += [(n, f.cycles, MODELLED) for n, f in _shown(peers.modelled, key)]
        bars += [(f"{n} (board)", f.cycles, ON_BOARD) for n, f in _shown(peers.boards, key)]
        _bars(panel, [(name, value / 1e6, colour) for name, value, colour in bars], "{:.2f}")
    return figure


def memory_of_models(measurements: Sequence[Measurement], peers: Peers) -> Figure:
    """Bars of flash and of static RAM; a panel for each model."""
    parts: tuple[tuple[str, Callable[[Figures], int | None]], ...] = (
        ("flash", lambda figures: figures.flash_bytes),
        ("static RAM", lambda figures: figures.ram_bytes),
    )
    figure, panels = _panels(
        [measured for measured in measurements for _ in parts], "KB of 1000 bytes", height=2.4
    )
    for number, measured in enumerate(measurements):
        named = [(OUR_NAME, measured.figures, OURS)]
        named += [(n, f, MODELLED) for n, f in _shown(peers.modelled, measured.model.key)]
        for panel, (title, part) in zip(panels[2 * number :], parts, strict=False):
            values = [(name, part(figures), colour) for name, figures, colour in named]
            panel.set_title(f"{measured.model.key}: {title}", loc="left")
            _bars(panel, [(n, v / 1e3, c) for n, v, c in values if v is not None], "{:.1f}")
    return figure


def layers_of_model(measured: Measurement, peers: Peers) -> Figure:
    """Cycles for each MAC of the file: the peer's and ours, with the limit as a line."""
    pairs = pair_layers(measured.layers, peers.layers.get(measured.model.key, ()))
    pairs = [pair for pair in pairs if pair.macs]
    figure = Figure(figsize=(max(5.0, 1.5 + 0.4 * len(pairs)), 3.8), layout="constrained")
    axes = figure.add_subplot()
    places = range(len(pairs))
    if any(pair.theirs for pair in pairs):
        heights = [_rate(pair, pair.their_cycles) for pair in pairs]
        axes.bar([x - 0.2 for x in places], heights, 0.4, color=MODELLED, label=peers.layers_of)
    heights = [_rate(pair, pair.our_cycles) for pair in pairs]
    axes.bar([x + 0.2 for x in places], heights, 0.4, color=OURS, label=OUR_NAME)
    limits = [_rate(pair, pair.limit_cycles) for pair in pairs]
    axes.hlines(limits, places, [x + 0.4 for x in places], LIMIT, label=LIMIT_NAME)
    axes.set_xticks(
        places, [f"{pair.index} {pair.op.removesuffix('_conv2d')}" for pair in pairs], rotation=90
    )
    axes.margins(x=0.01)
    axes.set_ylabel("cycles/MAC of the file")
    axes.set_title(f"{measured.model.key}: {measured.model.title}", loc="left")
    figure.legend(loc="outside upper right", ncols=3, frameon=False)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Writes an SVG file without date, version or random names, its lines stripped."""
    with matplotlib.rc_context(STYLE):
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"[ \t]+$", "", text, flags=re.M), encoding="utf-8")


def draw_all(measurements: Sequence[Measurement], peers: Peers, folder: Path) -> list[Path]:
    """Every plot of the document; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        figures = {
            "cycles": cycles_of_models(measurements, peers),
            "memory": memory_of_models(measurements, peers),
        }
        figures |= {f"layers_{m.model.key}": layers_of_model(m, peers) for m in measurements}
    for name, figure in figures.items():
        save(figure, folder / f"{name}.svg")
    return [folder / f"{name}.svg" for name in figures]


def _panels(
    measurements: Sequence[Measurement], unit: str, height: float
) -> tuple[Figure, list[Any]]:
    rows = (len(measurements) + 1) // 2
    figure = Figure(figsize=(9.5, height * rows), layout="constrained")
    panels = [figure.add_subplot(rows, 2, i + 1) for i in range(len(measurements))]
    for panel, measured in zip(panels, measurements, strict=True):
        panel.set_title(f"{measured.model.key}: {measured.model.title}", loc="left")
        panel.set_xlabel(unit)
    return figure, panels


def _shown(group: Sequence[Peer], key: str) -> list[tuple[str, Figures]]:
    """Names and figures of the peers that have a bar for a model."""
    return [
        (f"{peer.name} (in part)" if peer.figures[key].macs else peer.name, peer.figures[key])
        for peer in group
        if key in peer.figures and peer.name not in HIDDEN
    ]


def _bars(axes: Any, bars: list[tuple[str, float, str]], number: str) -> None:
    """Horizontal bars, the first on top, each with its value at its end."""
    names, values, colours = zip(*bars, strict=True)
    drawn = axes.barh(range(len(bars)), values, color=colours)
    axes.bar_label(drawn, [number.format(value) for value in values], padding=3)
    axes.set_yticks(range(len(bars)), names)
    axes.set_ylim(max(len(bars), LEAST_BARS) - 0.5, -0.5)
    axes.margins(x=0.15)


def _rate(pair: LayerPair, cycles: int | None) -> float:
    return (cycles or 0) / pair.macs
