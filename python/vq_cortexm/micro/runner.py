"""One way to run a generated model anywhere: this computer, the emulator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..target import Board, check_runs_here
from .app import AppSpec, ModelIo
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
    """Outputs (bytes per sample) and, from the emulator, what they cost, unless under poison.
    `paths` has the number of the path of each sample, and is empty where there is but one."""

    outputs: tuple[bytes, ...]
    paths: tuple[int, ...]
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
    thresholds: Sequence[int] = (),
    instruction_limit: int | None = None,
) -> DeviceRun:
    """Builds the model in `model_dir` for `board` and runs all samples.

    `layer_functions` are the C symbols of the layers, in the order in which they run. With `poison`
    a debug build checks every layer's use of memory, and nothing is measured: RunError says which
    step fails. `thresholds`, where there are any, are set first: all that the model has. After
    `instruction_limit` instructions in all the emulator fails with a DeviceError.
    """
    check_runs_here(board)
    if board.emulation == "host":
        model = HostModel(build_host_library(model_dir, build_dir, poison=poison), app.io)
        model.set_thresholds(thresholds)
        return DeviceRun(*_split(model.run(samples), app.io), (), None, 0)
    firmware = build_firmware(model_dir, board, build_dir, app, poison=poison)
    counting = None
    if not poison:
        counting = plugin_arguments(
            build_plugin(),
            firmware.elf,
            layer_functions=layer_functions,
            models_cycles=board.core.models_cycles,
            timing=timing,
            instruction_limit=instruction_limit,
        )
    run = run_firmware(
        firmware.elf,
        board,
        samples,
        app.io.result_bytes,
        timeout_seconds=timeout_seconds,
        plugin_arguments=counting,
        thresholds=thresholds,
    )
    results = _split(run.outputs, app.io)
    if poison:
        return DeviceRun(*results, (), None, run.stack_peak_bytes)
    records = parse_records(run.plugin_output)
    return DeviceRun(*results, records, firmware.sizes, run.stack_peak_bytes)


def _split(results: Sequence[bytes], io: ModelIo) -> tuple[tuple[bytes, ...], tuple[int, ...]]:
    """Outputs and paths."""
    end = io.output_bytes
    return tuple(r[:end] for r in results), tuple(byte for r in results for byte in r[end:])
