"""One way to run a generated model anywhere: this computer, the emulator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..target import Board
from .app import AppSpec
from .cycle_model import (
    DEFAULT_TIMING,
    InferenceRecord,
    Timing,
    build_plugin,
    parse_records,
    plugin_arguments,
)
from .emulator import run_firmware
from .firmware import FirmwareSizes, build_firmware
from .host import HostModel, build_host_library


@dataclass(frozen=True)
class DeviceRun:
    """Outputs (bytes per sample) and, from the emulator, what they cost, unless under poison."""

    outputs: tuple[bytes, ...]
    records: tuple[InferenceRecord, ...]
    sizes: FirmwareSizes | None
    stack_peak_bytes: int


def run_on_board(
    model_dir: Path,
    board: Board,
    build_dir: Path,
    app: AppSpec,
    samples: Sequence[bytes],
    layer_functions: Sequence[str],
    timeout_seconds: float,
    poison: bool = False,
    timing: Timing = DEFAULT_TIMING,
) -> DeviceRun:
    """Builds the model in `model_dir` for `board` and runs all samples.

    `layer_functions` are the C symbols of the layers, in the order in which they run. With `poison`
    a debug build checks every layer's use of memory, and nothing is measured: RunError says which
    step fails.
    """
    if board.emulation == "host":
        library = build_host_library(model_dir, build_dir, poison=poison)
        return DeviceRun(HostModel(library, app.io).run(samples), (), None, 0)
    firmware = build_firmware(model_dir, board, build_dir, app, poison=poison)
    counting = None
    if not poison:
        counting = plugin_arguments(
            build_plugin(),
            firmware.elf,
            layer_functions=layer_functions,
            models_cycles=board.core.models_cycles,
            timing=timing,
        )
    run = run_firmware(
        firmware.elf,
        board,
        samples,
        app.io.output_bytes,
        timeout_seconds=timeout_seconds,
        plugin_arguments=counting,
    )
    if poison:
        return DeviceRun(run.outputs, (), None, run.stack_peak_bytes)
    records = parse_records(run.plugin_output)
    return DeviceRun(run.outputs, records, firmware.sizes, run.stack_peak_bytes)
