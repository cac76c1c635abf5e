"""docs/performance.md as text, from what was measured and from the peers' figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jinja2

from measure import (
    BOARD,
    BOARD_WITHOUT_DSP,
    INFERENCES,
    SEED,
    LayerPair,
    Measurement,
    pair_layers,
)
from peers import Figures, Peers
from plots import HIDDEN, LIMIT_NAME, OUR_NAME

BEST, WITHOUT_DSP = "CMSIS-NN, best options", "CMSIS-NN -O3, DSP off"
OLD, OLD_ON_BOARD = "CMSIS-NN of 2022", "microTVM + CMSIS-NN"
"""The same library, modelled and on a board."""

Row = Sequence[str]


def render(measurements: Sequence[Measurement], peers: Peers, tools: str) -> str:
    """The whole document; `tools` names compiler and emulator with their versions."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.get_template("performance.md.j2").render(
        ours=OUR_NAME,
        limit=LIMIT_NAME,
        files=[measured.model.file for measured in measurements],
        board=BOARD,
        board_without_dsp=BOARD_WITHOUT_DSP,
        inferences=INFERENCES,
        seed=SEED,
        tools=tools,
        summary=_summary(measurements, peers),
        hidden=HIDDEN,
        models=[_model(measured, peers) for measured in measurements],
        layers_of=peers.layers_of,
        without_dsp=_without_dsp(measurements, peers),
        validity=_validity(peers),
        models_of_peers=peers.models,
        peers=(*peers.modelled, *peers.boards),
    )


def table(header: Row, rows: Iterable[Row]) -> str:
    """A Markdown table; the first column to the left, the others to the right."""
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, rule, *rows])


def millions(value: int | None) -> str:
    """A count in millions with three digits after the point."""
    return "-" if value is None else f"{value / 1e6:.3f}"


def ratio(value: int | None, by: int | None) -> str:
    """value / by with two digits; "-" without either."""
    return f"{value / by:.2f}" if value is not None and by else "-"


def count(value: int | None) -> str:
    """An integer in groups of three."""
    return "-" if value is None else f"{value:,}"


def _summary(measurements: Sequence[Measurement], peers: Peers) -> str:
    rows = []
    for measured in measurements:
        key, ours = measured.model.key, measured.figures
        best = peers.peer(BEST).figures.get(key)
        board = min(
            (peer.figures[key].cycles for peer in peers.boards if key in peer.figures), default=None
        )
        rows.append(
            [
                f"**{key}**: {measured.model.title}",
                millions(ours.cycles),
                ratio(ours.cycles, measured.macs),
                ratio(ours.cycles, measured.limit_cycles),
                millions(best.cycles if best else None),
                ratio(best.cycles if best else None, ours.cycles),
                millions(board),
                count(ours.flash_bytes),
                count(ours.ram_bytes),
            ]
        )
    header = ["model", "M cycles", "cycles/MAC", f"/ {LIMIT_NAME}", "CMSIS-NN at best"]
    header += ["CMSIS-NN / ours", "best on a board", "flash B", "RAM B"]
    return table(header, rows)


def _model(measured: Measurement, peers: Peers) -> dict[str, Any]:
    """What the document says of one model."""
    removed = measured.macs - measured.macs_left
    return {
        "key": measured.model.key,
        "title": measured.model.title,
        "macs": count(measured.macs),
        "removed": count(removed) if removed else "",
        "cycles_per_mac_left": ratio(measured.figures.cycles, measured.macs_left),
        "programs": _programs(measured, peers),
        "layers": _layers(measured, peers),
    }


def _programs(measured: Measurement, peers: Peers) -> str:
    rows = [_program_row(f"**{OUR_NAME}**", "modelled", measured.figures, measured)]
    rows += [_program_row(LIMIT_NAME, "bound", Figures(measured.limit_cycles), measured)]
    for kind, group in (("modelled", peers.modelled), ("board", peers.boards)):
        for peer in group:
            figures = peer.figures.get(measured.model.key)
            if figures:
                name = f"{peer.name} ({figures.note})" if figures.note else peer.name
                rows.append(_program_row(name, kind, figures, measured))
    header = ["program", "cycles are", "M cycles", "/ ours", "cycles/MAC", "M instructions"]
    header += ["text B", "rodata B", "flash B", "RAM B", "stack B"]
    return table(header, rows)


def _program_row(name: str, kind: str, figures: Figures, measured: Measurement) -> Row:
    return [
        name,
        kind,
        millions(figures.cycles),
        "-" if figures.macs else ratio(figures.cycles, measured.figures.cycles),
        ratio(figures.cycles, figures.macs or measured.macs),
        millions(figures.instructions),
        count(figures.text_bytes),
        count(figures.rodata_bytes),
        count(figures.flash_bytes),
        count(figures.ram_bytes),
        count(figures.stack_bytes),
    ]


def _layers(measured: Measurement, peers: Peers) -> str:
    header = ["layer", "input", "output", "kernel", "MACs", "theirs", "/MAC", "ours", "/MAC"]
    header += ["theirs / ours", LIMIT_NAME, f"ours / {LIMIT_NAME}", "most of it"]
    pairs = pair_layers(measured.layers, peers.layers.get(measured.model.key, ()))
    return table(header, [_layer_row(pair) for pair in pairs])


def _layer_row(pair: LayerPair) -> Row:
    theirs, ours = pair.theirs, pair.ours
    fewer = " †" if theirs and ours and ours.macs < theirs.macs else ""
    shapes = [theirs.input, theirs.output, theirs.kernel or "-"] if theirs else ["-"] * 3
    return [
        f"{pair.index} {pair.op}{fewer}",
        *shapes,
        count(pair.macs or None),
        count(pair.their_cycles),
        ratio(pair.their_cycles, pair.macs),
        count(pair.our_cycles),
        ratio(pair.our_cycles, pair.macs),
        ratio(pair.their_cycles, pair.our_cycles),
        count(pair.limit_cycles),
        ratio(pair.our_cycles, pair.limit_cycles),
        (ours.limited_by if ours else None) or "-",
    ]


def _without_dsp(measurements: Sequence[Measurement], peers: Peers) -> str:
    rows = []
    for measured in measurements:
        figures = peers.peer(WITHOUT_DSP).figures.get(measured.model.key)
        theirs = figures.instructions if figures else None
        ours = measured.instructions_without_dsp
        rows.append([measured.model.key, millions(ours), millions(theirs), ratio(theirs, ours)])
    header = ["model", "ours, M instructions", WITHOUT_DSP, "theirs / ours"]
    return table(header, rows)


def _validity(peers: Peers) -> str:
    modelled, board = peers.peer(OLD), peers.peer(OLD_ON_BOARD)
    rows = [
        [
            key,
            millions(figures.cycles),
            millions(board.figures[key].cycles),
            ratio(board.figures[key].cycles, figures.cycles),
        ]
        for key, figures in modelled.figures.items()
    ]
    header = ["model", f"{OLD}, modelled", f"{OLD_ON_BOARD}, board", "board / model"]
    return table(header, rows)
