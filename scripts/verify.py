"""Run every check and record the results in docs/verify.md; exit status 1 if one failed.

The record depends on the commit and the tools alone: no wall clock, no durations.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

RECORD = Path("docs/verify.md")
CHECKS = {
    "lint": "ruff: rules and format",
    "types": "mypy, strict",
    "c-format": "clang-format of the C files",
    "unit": "pytest, all but the slow tests",
    "slow": "pytest, the slow tests",
}
PACKAGES = "apache-tvm", "onnxruntime", "ai-edge-litert", "tflite-micro"
TOOLS = "arm-none-eabi-gcc", "qemu-system-arm"


def output(*command: str) -> str:
    """What the command prints, stripped."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def run(check: str) -> tuple[bool, str]:
    """Run one make target, showing its output; whether it passed, and the result in words."""
    lines = []
    command = ["make", "--no-print-directory", check]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    passed = process.returncode == 0
    summaries = re.findall(r"^=+ (.*\d+ (?:passed|failed|error).*?) in ", "".join(lines), re.M)
    return passed, summaries[-1] if summaries else ("passed" if passed else "failed")


def commit() -> str:
    """The commit under test, its date, and whether the work tree differs from it."""
    changes = output("git", "status", "--porcelain", "--", ".", f":!{RECORD}")
    text = output("git", "log", "-1", "--date=short", "--format=%h of %cd")
    return f"{text}, with changes" if changes else text


def main() -> int:
    """Run all checks even if one fails; write the record."""
    of = commit()
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
    ]
    RECORD.write_text("\n".join(record) + "\n", encoding="utf-8")
    print(f"wrote {RECORD}")
    return 0 if all(passed for passed, _ in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
