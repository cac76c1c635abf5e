"""Virtually quantized MLPerf Tiny models: their exports in LiteRT beside the compiled code.

    python benchmarks/export_int8.py MODELS

MODELS is the folder of the models (`models.py` names the files). Prints, as a table, the largest
difference in LSB on 50 random inputs between LiteRT's default back end running what
`export-int8` wrote and the build of the same options with rounding `float`. Exit status 1 if one
is not 0.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import vq_cortexm
from mlperf_tiny import litert_outputs
from models import ModelsMissingError, find_models
from vq_cortexm.samples import random_samples
from vq_cortexm.transform import VirtualQuantizeConfig

SAMPLES = 50
ASKED: dict[str, dict[str, Any]] = {
    "--bits 4": {"bits": 4},
    "--levels 3": {"levels": 3},
    "--levels 5": {"levels": 5},
    "--levels 11": {"levels": 11},
    "--levels 100": {"levels": 100},
    "codebook of 16": {"vq": VirtualQuantizeConfig(16, codebook=True)},
}


def largest_difference(path: Path, asked: dict[str, Any]) -> int:
    """Between the exported model in LiteRT and the compiled code on this computer, in LSB."""
    compiled = vq_cortexm.build(vq_cortexm.frontend.load(path), rounding="float", **asked)
    samples = random_samples(compiled.program.inputs, SAMPLES, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        exported = vq_cortexm.export_int8(path, Path(folder) / "plain.tflite", **asked)
        expected = litert_outputs(exported, samples)
    got = compiled.run(samples, "host").outputs
    pairs = zip(got, expected, strict=True)
    return max(int(np.abs(a[0].astype(int) - b.astype(int)).max()) for a, b in pairs)


def main() -> int:
    """Prints a row for each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path)
    try:
        paths = find_models(parser.parse_args().models)
    except ModelsMissingError as error:
        parser.error(str(error))
    print(f"| model | {' | '.join(ASKED)} |\n| --- |{' --- |' * len(ASKED)}")
    worst = 0
    for model, path in paths.items():
        row = [largest_difference(path, asked) for asked in ASKED.values()]
        worst = max(worst, *row)
        print(f"| {model.key} | {' | '.join(map(str, row))} |", flush=True)
    return 1 if worst else 0


if __name__ == "__main__":
    sys.exit(main())
