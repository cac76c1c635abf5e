"""The tables of docs/bcnet.md, from what `bcnet.py` describes of each benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from document import table
from vq_cortexm.op.bc_net import PATHS


def summary(described: Sequence[dict[str, Any]]) -> str:
    """Accuracies and speeds beside the plain 8-bit net's."""
    header = ["benchmark", "binary", "8 bits", "equal", "difference", "speed", "escalated"]
    header += ["best", "difference", "speed"]
    rows = []
    for d in described:
        seeds = "1 seed" if d["seeds"] == 1 else f"{d['seeds']} seeds"
        cells = [f"{d['title']}, {seeds}"]
        cells += [_percent(d[kind]["accuracy"]["mean"]) for kind in ("fast", "plain")]
        for kind in ("equal", "best"):
            found = d[kind]
            cells += [_percent(found["accuracy"]["mean"]), _points(found["difference"])]
            cells.append(f"{found['speed']:.2f}×")
            if kind == "equal":
                shares = [point["escalated"] for point in found["points"]]
                cells.append(_percent(float(np.mean(shares))))
        rows.append(cells)
    return table(header, rows)


def against(described: Sequence[dict[str, Any]]) -> str:
    """BC-Net beside CoopNet, at equal accuracy and at equal cycles."""
    header = [
        "benchmark",
        "at the accuracy of",
        "accuracy",
        "BC-Net",
        "CoopNet",
        "BC-Net faster by",
    ]
    header += ["most points gained at equal cycles", "at, of the 8-bit net's cycles"]
    rows = []
    for d in described:
        for key, found in d["against"].items():
            speeds = [found[k] for k in ("speed", "coopnet_speed", "ratio")]
            shown = ["never" if v is None else f"{v:.2f}×" for v in speeds]
            gain = d["gain"]
            more = [f"{gain['points']:+.2f}", f"{gain['share_of_plain']:.0%}"]
            rows.append([d["title"], key, _percent(found["accuracy"]), *shown, *more])
    return table(header, rows)


def sizes(described: dict[str, Any]) -> str:
    """What the nets take, alone and as one model."""
    header = ["model", "fast path, cycles", "worst case, cycles", "flash, bytes", "RAM, bytes"]
    rows = []
    for name, key in (("binary net", "fast"), ("8-bit net", "plain"), ("both", "both")):
        d = described[key]
        cycles = [f"{d['cycles'][path]:,.0f}" for path in PATHS]
        rows.append([name, *cycles, f"{d['flash_bytes']:,}", f"{d['ram_bytes']:,}"])
    return table(header, rows)


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _points(interval: dict[str, float]) -> str:
    low, high = 100 * interval["low"], 100 * interval["high"]
    return f"{100 * interval['mean']:+.2f} [{low:+.2f}, {high:+.2f}]"


def aims(described: Sequence[dict[str, Any]]) -> str:
    """What is aimed at, and on which benchmarks it is reached."""
    titles = {d["name"]: d["title"] for d in described}

    def reached(holds: dict[str, bool], needed: int) -> list[str]:
        where = ", ".join(titles[name] for name, yes in holds.items() if yes) or "none"
        return [where, "yes" if sum(holds.values()) >= needed else "no"]

    equal = {d["name"]: d["equal"] for d in described}
    keeps = {name: found["difference"]["high"] >= 0 for name, found in equal.items()}
    fast, faster = (
        {name: keeps[name] and found["speed"] >= least for name, found in equal.items()}
        for least in (1.3, 1.8)
    )
    gains = {d["name"]: d["best"]["difference"]["mean"] >= 0.01 for d in described}
    against_coopnet = {
        d["name"]: d["gain"]["points"] >= 1
        or any((found["ratio"] or 0) >= 1.19 for found in d["against"].values())
        for d in described
    }
    rows = [
        ["1.8 times as fast as 8 bits alone, no significant loss, on one", *reached(faster, 1)],
        ["1.3 times as fast, likewise, on all four", *reached(fast, 4)],
        ["1 point more than 8 bits alone at its most accurate, on two", *reached(gains, 2)],
        [
            "1.19 times as fast as CoopNet at equal accuracy or 1 point more, on three",
            *reached(against_coopnet, 3),
        ],
    ]
    return table(["aim", "reached on", "holds"], rows)
