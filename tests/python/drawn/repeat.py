"""Builds, runs and compares drawn models again, by their names, each alone:

PYTHONPATH=tests/python python -m drawn.repeat "tflite/CONV_2D/17" [NAME ...] [--board microbit]
[--keep DIR]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from .batch import run_batch
from .models import draw_model


def main() -> int:
    """Status 1 if something differs. The models' files stay in the folder that `--keep` names."""
    parser = argparse.ArgumentParser(description="repeat drawn models")
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--board", action="append", default=[])
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    failed = False
    for name in arguments.names:
        drawn = draw_model(name)
        print(f"{name}: {', '.join(drawn.layers)}; rounding {drawn.rounding}, {drawn.options}")
        if arguments.keep is not None:
            arguments.keep.mkdir(parents=True, exist_ok=True)
            for index, data in enumerate(drawn.files):
                stem = name.replace("/", "_").replace(" ", "_")
                (arguments.keep / f"{stem}_{index}.{drawn.form}").write_bytes(data)
        with tempfile.TemporaryDirectory() as folder:
            outcome = run_batch([drawn], Path(folder), arguments.board)
        for line in outcome.differences + outcome.reports:
            print(line)
        failed |= bool(outcome.differences or outcome.reports)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
