"""The JSON object of `run` and `profile`."""

from __future__ import annotations

from typing import Any

from ..compiled_model import CompiledModel
from ..run_result import RunResult


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
        described["outputs"] = [[o.tolist() for o in sample] for sample in result.outputs]
    return described
