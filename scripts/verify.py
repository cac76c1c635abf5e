"""Run every check and record the results in docs/verify.md; exit status 1 if one failed.

    python scripts/verify.py [CHECK ...]

With names of checks only those are run, and the record keeps the others' results with the commit
that they are of. The record depends on commits and tools alone: no wall clock, no durations.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

RECORD = Path("docs/verify.md")
RESULTS = Path("build/verify")
"""What pytest says of each check's tests, in JUnit's form."""
CHECKS = {
    "lint": "ruff: rules and format",
    "types": "mypy, strict",
    "c-format": "clang-format of the C files",
    "unit": "pytest, all but the slow tests",
    "slow": "pytest, the slow tests",
    "device": "pytest, what talks to devices, 20 times in a row",
}
DRAWN = "## Drawn models"
PACKAGES = "apache-tvm", "onnxruntime", "ai-edge-litert", "tflite-micro"
TOOLS = "arm-none-eabi-gcc", "qemu-system-arm", "clang", "cppcheck"


@dataclass(frozen=True)
class Result:
    """What a check said, and the commit it is of."""

    words: str
    commit: str
    passed: bool = True


def output(*command: str) -> str:
    """What the command prints, stripped."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def run(check: str) -> Result:
    """Run one make target, showing its output."""
    of, lines = commit(), []
    (RESULTS / f"{check}.xml").unlink(missing_ok=True)
    command = ["make", "--no-print-directory", check]
    environment = dict(os.environ, PYTEST_ADDOPTS=f"--junitxml={RESULTS / check}.xml")
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    passed = process.returncode == 0
    summaries = re.findall(r"^=+ (.*\d+ (?:passed|failed|error).*?) in ", "".join(lines), re.M)
    words = summaries[-1] if summaries else ("passed" if passed else "failed")
    if len(summaries) > 1:
        words = f"{len(summaries)} times, the last: {words}"
    return Result(words, of, passed)


def commit() -> str:
    """The commit under test, its date, and whether the work tree differs from it."""
    changes = output("git", "status", "--porcelain", "--", ".", f":!{RECORD}")
    text = output("git", "log", "-1", "--date=short", "--format=%h of %cd")
    return f"{text}, with changes" if changes else text


def drawn_models() -> list[str]:
    """What tests/python/drawn ran, by kind of model; nothing if the slow tests did not end."""
    results = RESULTS / "slow.xml"
    if not results.exists():
        return []
    found = ElementTree.parse(results).iterfind(".//property[@name='drawn']")
    batches = [json.loads(prop.attrib["value"]) for prop in found]
    columns = [
        Counter(kind_of(entry) for batch in batches for entry in batch[what])
        for what in ("models", "compared", "emulated", "differences", "reports")
    ]
    kinds = sorted({kind for column in columns for kind in column})
    rows = [(kind, *(column[kind] for column in columns)) for kind in kinds]
    sums = ("all", *(column.total() for column in columns))
    return [
        "",
        DRAWN,
        "",
        "Operators, shapes and numbers are drawn. The compiled C runs on this computer under the",
        "address and undefined-behaviour sanitizers and must give the reference's bits; the",
        "reference must give those of the file's own runtime, where that has an equal. *On boards*",
        "counts runs in the emulator: some models of every batch, on two boards. To repeat one:",
        '`PYTHONPATH=tests/python python -m drawn.repeat "tflite/CONV_2D/1000"`.',
        "",
        "| kind | models | with a runtime | on boards | differences | sanitizers' reports |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *("| " + " | ".join(map(str, row)) + " |" for row in (*rows, sums)),
    ]


def kind_of(entry: str) -> str:
    """The kind of a drawn model by its name ("tflite/CONV_2D/17"), which a line begins with."""
    name = entry.partition(":")[0]
    return name.rpartition("/")[0] or name


def kept() -> tuple[dict[str, Result], list[str]]:
    """Of the record: each check's result, and the lines about drawn models."""
    page = RECORD.read_text(encoding="utf-8")
    rows = re.findall(r"^\|.*\| `make (.*)` \| (.*) \| (.*) \|$", page, re.M)
    results = {check: Result(words, of) for check, words, of in rows}
    _, heading, after = page.partition(f"\n{DRAWN}\n")
    return results, (heading + after).splitlines()


def main() -> int:
    """Run the checks even if one fails; write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checks", nargs="*", metavar="CHECK", help=", ".join(CHECKS))
    names = parser.parse_args().checks or list(CHECKS)
    if unknown := set(names) - set(CHECKS):
        parser.error(f"unknown checks: {', '.join(sorted(unknown))}; known: {', '.join(CHECKS)}")
    others, drawn = kept()
    results = {check: run(check) for check in CHECKS if check in names}
    shown = {check: results.get(check, others.get(check)) for check in CHECKS}
    record = [
        "# Verification record",
        "",
        "Written by `make verify`, or by `python scripts/verify.py CHECK`, which runs one again.",
        "",
        "| check | command | result | commit |",
        "| --- | --- | --- | --- |",
        *(
            f"| {CHECKS[check]} | `make {check}` | {result.words} | {result.commit} |"
            for check, result in shown.items()
            if result
        ),
        "",
        "| tool | version |",
        "| --- | --- |",
        f"| Python | {sys.version.split()[0]} |",
        *(f"| {package} | {version(package)} |" for package in PACKAGES),
        *(f"| {tool} | {output(tool, '--version').splitlines()[0]} |" for tool in TOOLS),
        *(drawn_models() if "slow" in results else drawn),
    ]
    RECORD.write_text("\n".join(record) + "\n", encoding="utf-8")
    print(f"wrote {RECORD}")
    return 0 if all(result.passed for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
