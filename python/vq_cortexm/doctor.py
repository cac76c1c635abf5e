"""What this computer has of what the project needs."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

from rich.table import Table

from .errors import ToolError
from .micro.toolchain import TOOLS, tool_version

_NEEDED_MEGABYTES = 200
"""For the builds of one command, generously."""


_Release = tuple[int, ...]


@dataclass(frozen=True)
class Finding:
    """A tool, package or facility; `version` is None where it is missing, `needed_for` says by
    what. `advice` is empty where all is well, else what is wrong and what to do. Nothing that is
    only `optional` keeps the rest from working."""

    name: str
    version: str | None
    needed_for: str
    optional: bool = False
    advice: str = ""


@dataclass(frozen=True)
class _Package:
    """A Python package of the extra `extra` ("": it always comes along), and the versions that are
    known not to work, with the reason."""

    name: str
    needed_for: str
    extra: str = ""
    is_bad: Callable[[_Release], bool] = lambda _version: False
    reason: str = ""


_TOOLS_FOR = {
    "arm-none-eabi-gcc": "building firmware",
    "qemu-system-arm": "running firmware without a board",
    "cmake": "every build",
    "ninja": "every build",
    "cc": "--board host, and float32 layers",
}
_PACKAGES = (
    _Package(
        "apache-tvm",
        "all",
        is_bad=lambda v: v[:2] != (0, 27),
        reason="only 0.27 works; pip install 'apache-tvm==0.27.*'",
    ),
    _Package(
        "apache-tvm-ffi",
        "all",
        is_bad=lambda v: v >= (0, 1, 15),
        reason="crashes when a module is saved; pip install 'apache-tvm-ffi<0.1.15'",
    ),
    _Package("numpy", "all"),
    _Package(
        "onnx",
        "reading ONNX",
        is_bad=lambda v: v >= (1, 23),
        reason="writes files that ONNX Runtime refuses; pip install 'onnx<1.23'",
    ),
    _Package("tflite", "reading TensorFlow Lite"),
    _Package("pyserial", "boards at a serial port"),
    _Package("torch", "training, PT2E", "train"),
    _Package("brevitas", "training", "train"),
    _Package("torchao", "PT2E", "train"),
    _Package("pyocd", "flashing boards", "board"),
    _Package("matplotlib", "plots", "bench"),
    _Package("ai-edge-litert", "layer-diff beside LiteRT", "test"),
    _Package("tflite-micro", "layer-diff beside TensorFlow Lite Micro", "test"),
    _Package("onnxruntime", "layer-diff beside ONNX Runtime, training", "test"),
)


def diagnose() -> list[Finding]:
    """Everything that is looked for, present or not."""
    tools = [_tool(name) for name in TOOLS]
    return [*tools, *(_package(package) for package in _PACKAGES), _disk()]


def _tool(name: str) -> Finding:
    try:
        return Finding(name, tool_version(name), _TOOLS_FOR[name])
    except ToolError as error:
        return Finding(name, None, _TOOLS_FOR[name], advice=str(error))


def _package(package: _Package) -> Finding:
    optional = bool(package.extra)
    try:
        version = metadata.version(package.name)
    except metadata.PackageNotFoundError:
        wanted = f"'vq-cortexm[{package.extra}]'" if optional else package.name
        advice = f"pip install {wanted}"
        return Finding(package.name, None, package.needed_for, optional, advice)
    advice = package.reason if package.is_bad(_release(version)) else ""
    return Finding(package.name, version, package.needed_for, optional, advice)


def _release(version: str) -> _Release:
    """The first three numbers of a version."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _disk() -> Finding:
    """Room in the folder of temporary files, where everything is built."""
    try:
        folder = tempfile.gettempdir()
        free = shutil.disk_usage(folder).free // 1_000_000
    except OSError as error:
        advice = f"{error.strerror}; set TMPDIR to a folder that can be written to"
        return Finding("room for temporary files", None, "every build", advice=advice)
    advice = ""
    if free < _NEEDED_MEGABYTES:
        advice = f"{_NEEDED_MEGABYTES} MB are needed; make room, or set TMPDIR to another folder"
    return Finding(f"room in {folder}", f"{free:,} MB", "every build", advice=advice)


def is_well(findings: list[Finding]) -> bool:
    """Whether nothing that is needed is missing or known to be bad."""
    return not any(finding.advice and not finding.optional for finding in findings)


def diagnosis_table(findings: list[Finding]) -> Table:
    """The findings for people."""
    table = Table("what", "version", "needed for", "to do")
    for finding in findings:
        missing = "[dim]missing[/]" if finding.optional else "[red]missing[/]"
        shown = finding.version or missing
        if finding.version and finding.advice:
            shown = f"[red]{finding.version}[/]"
        use = f"{finding.needed_for} (optional)" if finding.optional else finding.needed_for
        table.add_row(finding.name, shown, use, finding.advice.replace("[", "\\["))
    return table


__all__ = ["Finding", "diagnose", "diagnosis_table", "is_well"]
