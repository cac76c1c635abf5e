"""A folder with all that a report can show: two nets, measured; a front and a sweep are made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from two_nets import BOTH, accurate, fast, samples

from vq_cortexm.bcnet import Policy, compose
from vq_cortexm.build import build_folded
from vq_cortexm.micro.cycle_model import DEFAULT_TIMING
from vq_cortexm.report.json import describe_measured, describe_run
from vq_cortexm.session import profile_paths
from vq_cortexm.target import board_by_name


def fitted(weight_bytes: int, accuracy: float, **others: Any) -> dict[str, Any]:
    layer = {"name": "first", "levels": 16, "realisation": "bitfield", "cycles": 900}
    return {
        "strategy": "n-ary",
        "objective": "size",
        "accuracy": accuracy,
        "agreement": accuracy + 0.01,
        "weight_bytes": weight_bytes,
        "flash_bytes": weight_bytes + 3210,
        "ram_bytes": 640,
        "cycles": 20 * weight_bytes,
        "on_front": True,
        "layers": [{**layer, "weight_bytes": weight_bytes, "flash": 1234, "removed": 0}],
        **others,
    }


FRONT: dict[str, Any] = {
    "model": "both.onnx",
    "board": "mps2-an386",
    "verified": 2000,
    "budgets": {"flash_bytes": 6000, "ram_bytes": None, "cycles": None, "weight_bytes": None},
    "eight_bit": fitted(4000, 0.871),
    "chosen": {"n-ary": fitted(2100, 0.865), "pruned": fitted(2080, 0.69, on_front=False)},
    "front": [
        {"n-ary": fitted(1000, 0.61), "pruned": fitted(990, 0.33)},
        {"n-ary": fitted(3000, 0.868, cycles=None), "pruned": None},
    ],
}


def _row(name: str, accuracy: float, escalated: float, cycles: float) -> dict[str, Any]:
    interval = {"mean": accuracy, "low": accuracy - 0.021, "high": accuracy + 0.019}
    return {
        "name": name,
        "accuracy": interval,
        "difference": {"mean": accuracy - 0.8, "low": -0.05, "high": 0.02},
        "escalated": escalated,
        "mean_cycles": cycles,
        "worst_cycles": 11824.0,
        "flash_bytes": 11828,
        "ram_bytes": 364,
        "microjoules": None if escalated else 12.0,
    }


POINTS = 500
"""More thresholds than a table shows."""
EVALUATION: dict[str, Any] = {
    "board": "mps2-an386",
    "samples": 1200,
    "rows": [
        _row("fast net alone", 0.7, 0.0, 2791.0),
        _row("accurate net alone", 0.8, 1.0, 8950.0),
        _row("BC-Net", 0.825, 0.25, 5049.0),
    ],
    "points": [
        {
            "thresholds": [number],
            "accuracy": 0.7 + 0.13 * (number / POINTS) ** 0.5,
            "escalated": number / (POINTS - 1),
            "mean_cycles": 2791.0 + 18 * number,
        }
        for number in range(POINTS)
    ],
    "coopnet_points": [],
}


def write_reported(folder: Path) -> Path:
    """All files of a report; the emulator runs both paths."""
    compiled = build_folded(
        compose(fast(), accurate(), Policy(**BOTH)), "vq-cortexm/cortex-m4", name="both"
    )
    result = profile_paths(compiled, samples(1), board_by_name("netduinoplus2"))
    measured = describe_run(compiled, result, with_outputs=False)
    compiled.export(folder, describe_measured(measured, DEFAULT_TIMING, emulated=True))
    write_json(folder / "pareto.json", FRONT)
    write_json(folder / "eval.json", EVALUATION)
    return folder


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))
