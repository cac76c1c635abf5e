"""Run every check and record the results in docs/verify.md; exit status 1 if one failed.

The record depends on the commit and the tools alone: no wall clock, no durations.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
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
PACKAGES = "apache-tvm", "onnxruntime", "ai-edge-litert", "tflite-micro"
TOOLS = "arm-none-eabi-gcc", "qemu-system-arm", "clang", "cppcheck"


def output(*command: str) -> str:
    """What the command prints, stripped."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def run(check: str) -> tuple[bool, str]:
    """Run one make target, showing its output; whether it passed, and the result in words."""
    lines = []
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
    return passed, f"{len(summaries)} times, the last: {words}" if len(summaries) > 1 else words


def commit() -> str:
    """The commit under test, its date, and whether the work tree differs from it."""
    changes = output("git", "status", "--porcelain", "--", ".", f":!{RECORD}")
    text = output("git", "log", "-1", "--date=short", "--format=%h of %cd")
    return f"{text}, with changes" if changes else text


def drawn_models() -> list[str]:
    """A table of what tests/python/drawn ran, by kind of model; nothing if it did not run."""
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
        "## Drawn models",
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


def main() -> int:
    """Run all checks even if one fails; write the record."""
    of = commit()
    shutil.rmtree(RESULTS, ignore_errors=True)
    results = {check: run(check) for check in CHECKS}
    record = [
        "# Verification record",
        "",
        f"Written by `make verify`. Commit {of}.",
        "",
        "| check | command | result |",
        "| --- | --- | --- |",
        *(
            f"| {CHECKS[check]} | `make {check}` | {words} |"
            for check, (_, words) in results.items()
        ),
        "",
        "| tool | version |",
        "| --- | --- |",
        f"| Python | {sys.version.split()[0]} |",
        *(f"| {package} | {version(package)} |" for package in PACKAGES),
        *(f"| {tool} | {output(tool, '--version').splitlines()[0]} |" for tool in TOOLS),
        *drawn_models(),
    ]
    RECORD.write_text("\n".join(record) + "\n", encoding="utf-8")
    print(f"wrote {RECORD}")
    return 0 if all(passed for passed, _ in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
