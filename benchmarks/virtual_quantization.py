"""What weights of few levels cost: cycles, flash and RAM of two MLPerf Tiny models, docs/vq.md.

    python benchmarks/virtual_quantization.py MODELS [--output docs/vq.md]

MODELS is the folder of the models (`models.py` names the files). All convolutions and dense layers
get the levels of a row; values are rounded to them without data, which costs nothing here: neither
bytes nor cycles depend on them. Exit status 1 if an output differs from the reference or a line is
missed.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

import vq_cortexm
from document import count, millions, table
from measure import BOARD, BOARD_WITHOUT_DSP, INFERENCES, SEED
from models import Model, ModelsMissingError, find_models
from vq_cortexm.nary.hybrid import best_hybrid
from vq_cortexm.report.layers import LayerReport
from vq_cortexm.samples import random_samples

OUTPUT = Path(__file__).parents[1] / "docs" / "vq.md"
KEYS = ("kws", "ic")
MOST_CYCLES = {64: 1.25, 32: 1.25, 16: 1.05, 8: 1.25, 4: 1.0, 11: 1.25, 5: 1.25, 3: 1.1}
"""Of a build with so many levels, over the 8-bit build's."""
MOST_WEIGHT_BYTES = {16: 0.53}
"""Of its weights, likewise."""
SHOWN = (2, 3, 4, 5, 6, 7, 8, 11, 16, 21, 32, 41, 64, 100, 128, 200, 255)


@dataclass(frozen=True)
class Measured:
    """A build: `levels` 256 stands for the model as it is."""

    levels: int
    cycles: int
    flash_bytes: int
    ram_bytes: int
    layers: tuple[LayerReport, ...]
    bit_exact: bool

    @property
    def weight_bytes(self) -> int:
        """Of all layers, as they are stored, without biases and scales."""
        return sum(layer.weight_bytes for layer in self.layers)


def main() -> int:
    """Runs every build and writes the document."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("models", type=Path)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    try:
        paths = {model.key: (model, path) for model, path in find_models(options.models).items()}
    except ModelsMissingError as error:
        print(error, file=sys.stderr)
        return 2
    models, failures = [], []
    for key in KEYS:
        described, failed = measure_model(*paths[key])
        models.append(described)
        failures += failed
    for failure in failures:
        print(failure, file=sys.stderr)
    if failures:
        return 1
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    text = environment.get_template("vq.md.j2").render(
        models=models,
        stored=stored_bits(),
        board=BOARD,
        board_without_dsp=BOARD_WITHOUT_DSP,
        inferences=INFERENCES,
    )
    options.output.write_text(text, encoding="utf-8")
    print(options.output)
    return 0


def measure_model(model: Model, path: Path) -> tuple[dict[str, Any], list[str]]:
    """What the document says of a model, and what is not as it should be."""
    module = vq_cortexm.frontend.load(path)

    def build(levels: int, objective: Any, target: str, board: str) -> Measured:
        asked = {} if levels == 256 else {"levels": levels}
        compiled = vq_cortexm.build(module, target, objective=objective, name=model.key, **asked)
        samples = random_samples(compiled.program.inputs, INFERENCES, SEED)
        result = compiled.run(samples, board, check=True)
        cycles = result.cycles or result.instructions
        assert cycles is not None
        print(model.key, levels, objective, board, cycles, result.bit_exact, flush=True)
        return Measured(
            levels,
            cycles,
            result.flash["total"],
            result.ram["total"],
            result.layers,
            result.bit_exact is True,
        )

    every = (256, *MOST_CYCLES)
    balanced = [build(levels, "balanced", "vq-cortexm", BOARD) for levels in every]
    size = [build(levels, "size", "vq-cortexm", BOARD) for levels in every]
    without_dsp = [
        build(levels, "balanced", "vq-cortexm/cortex-m3", BOARD_WITHOUT_DSP) for levels in every
    ]
    failures = [
        f"{model.key}, {one.levels} levels: an output differs from the reference"
        for one in (*balanced, *size, *without_dsp)
        if not one.bit_exact
    ]
    failures += [f"{model.key}: {line}" for line in missed(balanced)]
    described = {
        "key": model.key,
        "title": model.title,
        "balanced": costs(balanced, MOST_CYCLES),
        "size": costs(size),
        "without_dsp": costs(without_dsp, unit="M instructions"),
    }
    return described, failures


def missed(builds: Sequence[Measured]) -> list[str]:
    """Lines that builds miss, the first of which is the 8-bit one."""
    plain, *others = builds
    lines = []
    for one in others:
        if one.cycles > MOST_CYCLES[one.levels] * plain.cycles:
            lines.append(f"{one.levels} levels take {one.cycles / plain.cycles:.3f} of the cycles")
        most = MOST_WEIGHT_BYTES.get(one.levels, math.inf)
        if one.weight_bytes > most * plain.weight_bytes:
            share = one.weight_bytes / plain.weight_bytes
            lines.append(f"{one.levels} levels take {share:.3f} of the weights' bytes")
    return lines


def costs(
    builds: Sequence[Measured], wanted: dict[int, float] | None = None, unit: str = "M cycles"
) -> str:
    """A table, the 8-bit build first; `wanted` is the most that cycles may be."""
    plain = builds[0]
    header = ["levels", unit, "of 8 bits", *(["at most"] if wanted else [])]
    header += ["weights B", "of 8 bits", "flash B", "RAM B", "stored as"]
    rows = []
    for one in builds:
        kinds = Counter(layer.realisation for layer in one.layers if layer.weight_bytes)
        most = [f"{wanted[one.levels]:.2f}" if one is not plain else "-"] if wanted else []
        rows.append(
            [
                name(one.levels),
                millions(one.cycles),
                f"{one.cycles / plain.cycles:.3f}",
                *most,
                count(one.weight_bytes),
                f"{one.weight_bytes / plain.weight_bytes:.3f}",
                count(one.flash_bytes),
                count(one.ram_bytes),
                ", ".join(f"{number} {kind}" for kind, number in kinds.most_common()),
            ]
        )
    return table(header, rows)


def name(levels: int) -> str:
    """As bits where they are whole."""
    bits = math.log2(levels)
    if bits.is_integer():
        return f"{int(bits)} bits"
    return "3 (ternary)" if levels == 3 else str(levels)


def stored_bits() -> dict[str, Any]:
    """A table of some levels, and the worst of all."""
    rows = []
    for levels in SHOWN:
        split = best_hybrid(levels)
        radix = f"base {split.base} in {split.fraction_bits} bits" if split.base > 1 else "-"
        least = math.log2(levels)
        fields = str(split.low_bits) if split.low_bits else "-"
        ratio = f"{split.bits / least:.4f}"
        rows.append([str(levels), fields, radix, f"{split.bits:.3f}", f"{least:.3f}", ratio])
    ratios = {n: best_hybrid(n).bits / math.log2(n) for n in range(2, 257)}
    worst = max(ratios, key=lambda levels: ratios[levels])
    header = ["levels", "field bits", "radix digits", "bits a weight", "log2 L", "ratio"]
    return {"table": table(header, rows), "worst": worst, "ratio": f"{ratios[worst]:.4f}"}


if __name__ == "__main__":
    sys.exit(main())
