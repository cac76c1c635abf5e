"""The JSON object of `run` and `profile`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..compiled_model import METADATA_FILE, MODULE_FILE, REPORT_FILE, CompiledModel
from ..micro.cycle_model import Timing
from ..micro.firmware import read_sizes
from ..run_result import RunResult
from ..samples import nested
from ..target import Board


def describe_run(compiled: CompiledModel, result: RunResult, with_outputs: bool) -> dict[str, Any]:
    """Costs per inference (medians) and, if asked for, every sample's outputs as nested lists."""
    described: dict[str, Any] = {
        "model": compiled.name,
        "target": f"vq-cortexm/{compiled.options.core.name}",
        "board": result.board.name,
        "bit_exact": result.bit_exact,
        "inferences": len(result.outputs),
        "cycles": result.cycles,
        "instructions": result.instructions,
        "flash": dict(result.flash),
        "ram": dict(result.ram),
        "layers": [vars(layer) for layer in result.layers],
    }
    if result.paths:
        described["paths"] = list(result.paths)
        described["path_cycles"] = dict(result.path_cycles)
        described["mean_cycles"] = result.mean_cycles
    if with_outputs:
        described["outputs"] = [[nested(o) for o in sample] for sample in result.outputs]
    return described


def describe_measured(run: Mapping[str, Any], timing: Timing, *, emulated: bool) -> dict[str, Any]:
    """What `profile` found (`describe_run`), as it prints it and as report.json has it as
    `measured` (`schema.Measured`)."""
    return {**run, "emulated": emulated, "timing": vars(timing)}


def describe_compiled(
    compiled: CompiledModel, board: Board | None, output: Path, firmware: Path | None = None
) -> dict[str, Any]:
    """`json_objects.Compiled`, of what was written to `output`, a folder or an archive, with its
    `firmware` if it has one."""
    files, flash = [output.name], None
    if output.is_dir():
        files = [*compiled.sources, MODULE_FILE, METADATA_FILE, REPORT_FILE]
    if firmware is not None:
        sizes = read_sizes(firmware)
        files.append(firmware.name)
        flash = {
            "text": sizes.text,
            "rodata": sizes.rodata,
            "total": sizes.text + sizes.rodata,
        }
    plan = compiled.plan
    return {
        "model": compiled.name,
        "core": compiled.options.core.name,
        "board": board.name if board else None,
        "rounding": compiled.options.rounding,
        "output": str(output),
        "files": sorted(files),
        "macs": compiled.program.macs,
        "arena_bytes": plan.arena_bytes,
        "lower_bound_bytes": plan.lower_bound_bytes,
        "constants_bytes": sum(c.value.nbytes for c in compiled.program.constants),
        "flash": flash,
        "float_layers": list(compiled.float_layers),
    }
