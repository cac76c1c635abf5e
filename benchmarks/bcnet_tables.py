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
        cells = [f"{d['title']}, {d['seeds']} seeds"]
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
