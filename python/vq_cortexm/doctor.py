"""What this computer has of what the project needs."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

from rich.table import Table

from .errors import ToolError
from .micro.toolchain import TOOLS, tool_version

_PACKAGES = ("apache-tvm", "apache-tvm-ffi", "numpy", "onnx", "tflite")


@dataclass(frozen=True)
class Finding:
    """A tool or package; `version` is None and `advice` says what to do where it is missing."""

    name: str
    version: str | None
    advice: str = ""


def diagnose() -> list[Finding]:
    """Everything that is looked for, present or not."""
    findings = []
    for tool in TOOLS:
        try:
            findings.append(Finding(tool, tool_version(tool)))
        except ToolError as error:
            findings.append(Finding(tool, None, str(error)))
    for package in _PACKAGES:
        try:
            findings.append(Finding(package, metadata.version(package)))
        except metadata.PackageNotFoundError:
            findings.append(Finding(package, None, f"pip install {package}"))
    return findings


def diagnosis_table(findings: list[Finding]) -> Table:
    """The findings for people."""
    table = Table("tool or package", "version", "advice")
    for finding in findings:
        table.add_row(finding.name, finding.version or "[red]missing[/]", finding.advice)
    return table
