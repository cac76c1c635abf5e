"""Runs firmware images in QEMU: whole data sets by semihosting, or the embedded sample."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DeviceError, RunError, UsageError
from ..target import Board
from .toolchain import dies_with_parent, find_tool

TIMEOUT_SECONDS = 120.0

# in the private folder that a run has as its working directory
_INPUTS, _OUTPUTS, _PLUGIN_OUTPUT = "inputs.bin", "outputs.bin", "plugin.out"
_THRESHOLDS = "thresholds.bin"


@dataclass(frozen=True)
class EmulatorRun:
    """The result of `run_firmware`: for each sample the bytes of all outputs, in order, and of a
    model with two paths that of the path's number."""

    outputs: tuple[bytes, ...]
    stack_peak_bytes: int
    """Of the whole firmware, since reset."""
    stdout: str
    plugin_output: str
    """What the plugin wrote to the file it was given as `out`; "" without one."""


def run_firmware(
    elf: Path,
    board: Board,
    inputs: Sequence[bytes],
    output_bytes: int,
    *,
    timeout_seconds: float = TIMEOUT_SECONDS,
    plugin_arguments: str | None = None,
    thresholds: Sequence[int] = (),
) -> EmulatorRun:
    """One inference for each of `inputs`, the bytes of all input tensors of a sample, in order.

    `output_bytes` is the size of all outputs of one sample (`ModelIo.result_bytes`).
    `plugin_arguments` is QEMU's: the plugin's file, then options, separated by commas; `,out=FILE`
    is added to them. `thresholds`, where there are any, are set before the first inference: int32,
    as many as the model has. DeviceError: a fault, an error of the model (RunError), a time-out, or
    outputs of a wrong size.
    """
    with tempfile.TemporaryDirectory(prefix="vq-run-") as folder:
        directory = Path(folder)
        with (directory / _INPUTS).open("wb") as file:
            file.writelines(inputs)
        command_line = ["run", _INPUTS, _OUTPUTS]
        if thresholds:
            (directory / _THRESHOLDS).write_bytes(np.array(thresholds, "<i4").tobytes())
            command_line.append(_THRESHOLDS)
        arguments = "".join(f",arg={word}" for word in command_line)
        options = ["-semihosting-config", f"enable=on,target=native{arguments}"]
        if plugin_arguments is not None:
            options += ["-plugin", f"{plugin_arguments},out={_PLUGIN_OUTPUT}"]
        stdout = _emulate(elf, board, options, directory, timeout_seconds, output_bytes)
        data = (directory / _OUTPUTS).read_bytes()
        plugin_output = directory / _PLUGIN_OUTPUT
        plugin_text = plugin_output.read_text() if plugin_output.exists() else ""
    inferences = _number(stdout, "inferences", board)
    if inferences != len(inputs) or len(data) != inferences * output_bytes:
        raise DeviceError(
            f"{board.name}: {inferences} inferences with {len(data)} bytes of output, "
            f"expected {len(inputs)} with {output_bytes} bytes each"
        )
    outputs = tuple(data[i * output_bytes : (i + 1) * output_bytes] for i in range(inferences))
    return EmulatorRun(outputs, _number(stdout, "stack_peak", board), stdout, plugin_text)


def run_standalone(
    elf: Path, board: Board, *, timeout_seconds: float = TIMEOUT_SECONDS
) -> tuple[bytes, ...]:
    """One inference on the embedded sample; the bytes of each output. DeviceError as above."""
    with tempfile.TemporaryDirectory(prefix="vq-run-") as folder:
        options = ["-semihosting-config", "enable=on,target=native"]
        stdout = _emulate(elf, board, options, Path(folder), timeout_seconds)
    lines = re.findall(r"^output (\d+) ([0-9a-f]*)$", stdout, re.MULTILINE)
    if not lines or [int(index) for index, _ in lines] != list(range(len(lines))):
        raise DeviceError(f"{board.name}: not the lines `output I HEX`: {stdout[:200]!r}")
    return tuple(bytes.fromhex(digits) for _, digits in lines)


def _emulate(
    elf: Path,
    board: Board,
    options: Sequence[str],
    directory: Path,
    timeout_seconds: float,
    output_bytes: int = 0,
) -> str:
    """Runs `elf` until it ends by itself, with `directory` as its own; returns its stdout."""
    if board.emulation != "qemu":
        raise UsageError(f"board {board.name!r} is not one that QEMU emulates")
    command = [str(find_tool("qemu-system-arm")), "-M", board.machine, "-nographic"]
    command += ["-monitor", "none", "-serial", "none", *options, "-kernel", str(elf.resolve())]
    try:
        completed = subprocess.run(
            dies_with_parent(command),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        done = _inferences_done(directory / _OUTPUTS, output_bytes)
        raise DeviceError(
            f"{board.name}: {elf.name} did not end within {timeout_seconds:g} s{done}"
        ) from None
    if completed.returncode != 0:
        done = _inferences_done(directory / _OUTPUTS, output_bytes)
        lines = completed.stderr.splitlines()
        said = [line for line in lines if line.strip() and "warning: " not in line]
        reason = said[0] if said else f"the emulator ended with status {completed.returncode}"
        returned = re.fullmatch(r"run returned (-?\d+)", reason)
        if returned:
            raise RunError(f"{board.name}: {reason}{done}", int(returned[1]))
        raise DeviceError(f"{board.name}: {reason}{done}")
    return completed.stdout


def _inferences_done(outputs: Path, output_bytes: int) -> str:
    if not outputs.exists() or output_bytes == 0:
        return ""
    return f" (after {outputs.stat().st_size // output_bytes} inferences)"


def _number(stdout: str, key: str, board: Board) -> int:
    found = re.search(rf"^{key} (\d+)$", stdout, re.MULTILINE)
    if found is None:
        raise DeviceError(f"{board.name}: no line `{key} N` from the firmware: {stdout[:200]!r}")
    return int(found.group(1))
