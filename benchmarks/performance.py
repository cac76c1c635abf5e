"""Cycles, flash and RAM of MLPerf Tiny's models beside other programs': docs/performance.md.

    python benchmarks/performance.py MODELS [--output docs/performance.md]

MODELS is the folder of the models (`models.py` names the files). The plots go to a folder `plots`
beside the output. Exit status 1, with nothing written, if an output is not bit-exact; else as of
`vq-cortexm`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from document import render
from measure import Measurement, measure
from models import ModelsMissingError, find_models
from peers import load_peers
from plots import draw_all
from vq_cortexm.errors import VqError
from vq_cortexm.micro.toolchain import tool_version

OUTPUT = Path(__file__).parents[1] / "docs" / "performance.md"


def tools() -> str:
    """Compiler and emulator."""
    names = "arm-none-eabi-gcc", "qemu-system-arm"
    return " and ".join(f"{name} {tool_version(name)}" for name in names)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures all models; writes the document and its plots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args(arguments)
    try:
        paths = find_models(options.models)
    except ModelsMissingError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    measurements: list[Measurement] = []
    for model, path in paths.items():
        try:
            measured = measure(model, path)
        except VqError as error:
            print(f"bench: {model.key}: {error}", file=sys.stderr)
            return error.status
        print(f"{model.key}: {measured.figures.cycles:,} cycles", file=sys.stderr)
        measurements.append(measured)
    wrong = [measured.model.key for measured in measurements if not measured.bit_exact]
    if wrong:
        print(f"bench: not bit-exact: {', '.join(wrong)}", file=sys.stderr)
        return 1
    peers = load_peers()
    draw_all(measurements, peers, options.output.parent / "plots")
    options.output.write_text(render(measurements, peers, tools()), encoding="utf-8")
    print(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
