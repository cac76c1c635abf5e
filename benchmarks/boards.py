"""Model files on every board that they fit, compared to the bit, as one table.

    python benchmarks/boards.py FILE ... [--boards NAME ...] [--samples N]

A cell is `exact`, `differs`, or what a model needs too much of. Float models are built with
`allow_float`. Beside a Relay module NAME.json a NAME.npz (arrays in_NAME and out_0, samples along
the first axis) has what its outputs were in the TVM that saved it; all of them are compared, on the
host. Exit status 1 if a result differs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

import vq_cortexm
from document import table
from vq_cortexm.compiled_model import CompiledModel
from vq_cortexm.errors import BudgetError, ModelError, VqError
from vq_cortexm.frontend import load
from vq_cortexm.samples import random_samples
from vq_cortexm.target import BOARDS

SEED = 1


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Models on boards, compared to the bit.")
    parser.add_argument("files", type=Path, nargs="+", help=".tflite, .onnx or Relay's .json")
    parser.add_argument("--boards", nargs="+", choices=BOARDS, default=list(BOARDS))
    parser.add_argument("--samples", type=int, default=1, help="random ones for each board")
    arguments = parser.parse_args()
    rows = []
    for path in arguments.files:
        try:
            cells = [on_board(path, board, arguments.samples) for board in arguments.boards]
            rows.append([path.name, *cells, as_saved(path)])
        except VqError as error:
            parser.error(str(error))
        print(" ".join(rows[-1]), file=sys.stderr, flush=True)
    print(table(["model", *arguments.boards, "saved outputs"], rows))
    return int(any("differs" in cell for row in rows for cell in row))


def on_board(path: Path, board: str, samples: int) -> str:
    """What comes of random samples on one board."""
    compiled = build(path, board)
    given = random_samples(compiled.program.inputs, samples, SEED)
    try:
        result = compiled.run(given, board=board, check=True)
    except BudgetError as error:
        return "too large: " + ("RAM" if "RAM" in str(error) else "flash")
    return "exact" if result.bit_exact else "differs"


def as_saved(path: Path) -> str:
    """Whether the compiled code gives the outputs that lie beside a Relay module."""
    saved = path.with_suffix(".npz")
    if path.suffix != ".json" or not saved.is_file():
        return "-"
    arrays = dict(np.load(saved))
    inputs = [value for name, value in arrays.items() if name.startswith("in_")]
    given: Any = list(zip(*inputs, strict=True)) if len(inputs) > 1 else list(inputs[0])
    outputs = build(path, "host").run(given, board="host").outputs
    found = np.stack([output[0] for output in outputs])
    equal = np.array_equal(found, arrays["out_0"])
    return f"{len(found)} {'exact' if equal else 'differs'}"


def build(path: Path, board: str) -> CompiledModel:
    """The model for a board's core; float layers where it has no other form."""
    module, target = load(path), f"vq-cortexm/{board}"
    try:
        return vq_cortexm.build(module, target)
    except ModelError:
        return vq_cortexm.build(module, target, allow_float=True)


if __name__ == "__main__":
    sys.exit(main())
