"""MLPerf Tiny's int8 models: exactness, accuracy, instructions, RAM and flash, as one table.

    python benchmarks/mlperf_tiny.py MODELS [--data DATASETS] [--output docs/mlperf_tiny.md]

MODELS is the folder of the models (`models.py` names the files). DATASETS may hold, at any depth,
mlperf_tiny_kws01_mfcc_int8.npz and mlperf_tiny_ic01_200.npz (x, y). Exit status 1 if a limit does
not hold.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from tflite_micro import runtime as micro_runtime

import vq_cortexm
from models import Model, ModelsMissingError, find_models
from peers import load_peers
from vq_cortexm.samples import random_samples

STRICT = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wundef", "-Werror"]
EXTERNAL = {"memcpy", "memset"}
COMPARED = 50


DATA_SETS = {
    "kws": ("mlperf_tiny_kws01_mfcc_int8.npz", 0.902),
    "ic": ("mlperf_tiny_ic01_200.npz", 0.870),
}
"""Model → its data set's file, and the share that has to be right."""
PEER = "CMSIS-NN -O3"
ALLOWED = {"instructions": 3.0, "ram": 1.1, "flash": 1.0}


class Checks:
    """Collects results; `failed` lists what does not hold."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    def expect(self, holds: bool, what: str) -> str:
        """ "yes" or "NO", which is remembered."""
        if not holds:
            self.failed.append(what)
        return "yes" if holds else "NO"


def litert_outputs(path: Path, samples: list[list[Any]]) -> list[Any]:
    """Outputs of LiteRT's default back end."""
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    (given,), (wanted,) = interpreter.get_input_details(), interpreter.get_output_details()
    outputs = []
    for (sample,) in samples:
        interpreter.set_tensor(given["index"], sample)
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(wanted["index"]).copy())
    return outputs


def micro_outputs(path: Path, samples: list[list[Any]]) -> list[Any]:
    """Outputs of TensorFlow Lite Micro's reference kernels."""
    interpreter = micro_runtime.Interpreter.from_file(str(path))
    outputs = []
    for (sample,) in samples:
        interpreter.set_input(sample, 0)
        interpreter.invoke()
        outputs.append(interpreter.get_output(0).copy())
    return outputs


REFERENCES: dict[str, tuple[str, Callable[[Path, list[list[Any]]], list[Any]] | None]] = {
    "float": ("LiteRT (XNNPACK)", litert_outputs),
    "double": ("TFLite Micro", micro_outputs),
    "single": ("op/ (NumPy)", None),
}


def exactness(model: Model, path: Path, checks: Checks) -> list[str]:
    """Rows: largest difference to each rounding's reference on COMPARED random inputs, and
    agreement of every board with the reference on ten."""
    module = vq_cortexm.frontend.load(path)
    rows = []
    for rounding, (name, reference) in REFERENCES.items():
        compiled = vq_cortexm.build(module, rounding=rounding, name=model.key)
        samples = random_samples(compiled.program.inputs, COMPARED, seed=1)
        result = compiled.run(samples, "host", check=reference is None)
        if reference is None:
            worst = 0 if result.bit_exact else 999
        else:
            expected = reference(path, samples)
            worst = max(
                int(np.abs(a[0].astype(int) - b.astype(int)).max())
                for a, b in zip(result.outputs, expected, strict=True)
            )
        checks.expect(worst == 0, f"{model.key}: {rounding} differs from {name}")
        rows.append(f"| {model.key} | {rounding} | {name} | {worst} |")
    return rows


def boards_agree(model: Model, path: Path, checks: Checks) -> str:
    """Whether the command line reports bit-exactness on every board."""
    answers = []
    for board in ("mps2-an386", "mps2-an385", "host"):
        command = [sys.executable, "-m", "vq_cortexm", "run", str(path), "--board", board]
        command += ["--random", "10", "--seed", "1", "--check", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        exact = done.returncode == 0 and '"bit_exact": true' in done.stdout
        answers.append(checks.expect(exact, f"{model.key} on {board}: {done.stderr}"))
    return f"| {model.key} | {' | '.join(answers)} |"


def accuracy(model: Model, path: Path, folder: Path, checks: Checks) -> str:
    """Top-1 of the compiled code on the model's own data set."""
    file, wanted = DATA_SETS[model.key]
    data = dict(np.load(next(folder.rglob(file))))
    compiled = vq_cortexm.build(vq_cortexm.frontend.load(path), name=model.key)
    x = data["x"]
    if x.dtype == np.uint8:
        x = (x.astype(np.int16) - 128).astype(np.int8)
    result = compiled.run([sample[None] for sample in x], "host")
    predicted = np.array([int(outputs[0].argmax()) for outputs in result.outputs])
    share = float((predicted == data["y"]).mean())
    holds = checks.expect(round(share, 3) >= wanted, f"{model.key}: accuracy {share}")
    return f"| {model.key} | {len(x)} | {share:.1%} | {wanted:.1%} | {holds} |"


def costs(model: Model, path: Path, checks: Checks) -> str:
    """Instructions, RAM and flash on mps2-an386, beside CMSIS-NN's."""
    compiled = vq_cortexm.build(vq_cortexm.frontend.load(path), name=model.key)
    result = compiled.run(random_samples(compiled.program.inputs, 1, seed=1), "mps2-an386")
    assert result.instructions is not None
    peer = load_peers().peer(PEER).figures.get(model.key)
    cells = [model.key]
    for what, ours, theirs in (
        ("instructions", result.instructions, peer and peer.instructions),
        ("ram", result.ram["total"], peer and peer.ram_bytes),
        ("flash", result.flash["total"], peer and peer.flash_bytes),
    ):
        ratio = f"{ours / theirs:.2f}" if theirs else "-"
        cells += [f"{ours:,}", f"{theirs:,}" if theirs else "-", ratio]
        limit = ALLOWED[what] * theirs if theirs else ours
        checks.expect(ours <= limit, f"{model.key}: {what} {ours} over {limit}")
    cells.append(f"{compiled.plan.lower_bound_bytes:,}")
    return f"| {' | '.join(cells)} |"


def cleanliness(model: Model, path: Path, checks: Checks) -> str:
    """Strict compilation, undefined symbols, reproducible image."""
    module = vq_cortexm.frontend.load(path)
    with tempfile.TemporaryDirectory() as folder:
        images, sources = [], []
        for name in ("one", "two"):
            compiled = vq_cortexm.build(module, name=model.key)
            target = compiled.export(Path(folder) / name)
            compiled.export_firmware(target, "mps2-an386")
            images.append((target / "firmware.elf").read_bytes())
            sources.append(compiled.sources)
        objects = []
        strict = True
        for source in sorted([*target.glob("*.c"), *target.glob("*.S")]):
            objects.append(f"{source}.o")
            command = ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-O2", *STRICT]
            done = subprocess.run([*command, "-c", str(source), "-o", objects[-1]], check=False)
            strict &= done.returncode == 0
        merged = str(target / "all.o")
        subprocess.run(["arm-none-eabi-ld", "-r", *objects, "-o", merged], check=True)
        listed = subprocess.run(
            ["arm-none-eabi-nm", "-u", merged], capture_output=True, text=True, check=True
        )
    undefined = {line.split()[-1] for line in listed.stdout.splitlines() if line.strip()}
    foreign = {name for name in undefined - EXTERNAL if not name.startswith("__aeabi_")}
    cells = [
        model.key,
        checks.expect(strict, f"{model.key}: warnings"),
        checks.expect(not foreign, f"{model.key}: undefined {foreign}"),
        checks.expect(
            images[0] == images[1] and sources[0] == sources[1], f"{model.key}: not reproducible"
        ),
    ]
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """Runs everything, prints and writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    checks = Checks()
    lines = [
        "# MLPerf Tiny's int8 models",
        "",
        "Made by `python benchmarks/mlperf_tiny.py MODELS --data DATASETS --output THIS_FILE`.",
        "",
        f"## Largest difference on {COMPARED} random inputs (LSB)",
        "",
        "| model | rounding | reference | difference |",
        "| --- | --- | --- | --- |",
    ]
    try:
        paths = find_models(arguments.models)
    except ModelsMissingError as error:
        parser.error(str(error))
    for model, path in paths.items():
        lines += exactness(model, path, checks)
    lines += [
        "",
        "## Bit-exact with the host (`run --random 10 --seed 1 --check`)",
        "",
        "| model | mps2-an386 | mps2-an385 | host |",
        "| --- | --- | --- | --- |",
    ]
    lines += [boards_agree(model, path, checks) for model, path in paths.items()]
    if arguments.data:
        lines += [
            "",
            "## Accuracy through the compiled code",
            "",
            "| model | samples | top-1 | wanted | holds |",
            "| --- | --- | --- | --- | --- |",
        ]
        lines += [
            accuracy(m, p, arguments.data, checks) for m, p in paths.items() if m.key in DATA_SETS
        ]
    lines += [
        "",
        "## Cost on mps2-an386, beside CMSIS-NN -O3 on the same core",
        "",
        "| model | instructions | CMSIS-NN | ratio | RAM B | CMSIS-NN | ratio | flash B | CMSIS-NN "
        "| ratio | RAM bound B |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [costs(model, path, checks) for model, path in paths.items()]
    lines += [
        "",
        f"## Generated code: {' '.join(STRICT)}",
        "",
        "| model | no warning | nothing but memcpy, memset, libgcc | same bytes twice |",
        "| --- | --- | --- | --- |",
    ]
    lines += [cleanliness(model, path, checks) for model, path in paths.items()]
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")
    for failure in checks.failed:
        print(f"FAILED: {failure}", file=sys.stderr)
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
