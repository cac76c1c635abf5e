"""A program's description for `metadata.json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .aot.plan import MemoryPlan
from .aot.program import Program, Tensor


def describe_program(program: Program, plan: MemoryPlan) -> dict[str, Any]:
    """Inputs and outputs with their scales, the memory plan, and the layers."""
    return {
        "inputs": _describe_tensors(program.inputs, None, program.quantization["inputs"]),
        "outputs": _describe_tensors(
            program.outputs, program.output_names, program.quantization["outputs"]
        ),
        "memory": {
            "arena_bytes": plan.arena_bytes,
            "lower_bound_bytes": plan.lower_bound_bytes,
            "constants_bytes": sum(c.value.nbytes for c in program.constants),
            "plan": [
                {
                    "storage": p.storage.name,
                    "role": p.storage.role,
                    "offset": p.offset,
                    "size_bytes": p.storage.size_bytes,
                    "first_step": p.storage.first,
                    "last_step": p.storage.last,
                }
                for p in plan.placements
            ],
        },
        "layers": [
            {"name": s.layer, "op": s.op, "macs": s.macs, "function": s.function}
            for s in program.steps
        ],
        "removed_channels": dict(program.removed),
    }


def _describe_tensors(
    tensors: Sequence[Tensor], names: Sequence[str] | None, quantization: Sequence[Any]
) -> list[dict[str, Any]]:
    return [
        {
            "name": names[i] if names else tensor.name,
            "shape": list(tensor.shape),
            "dtype": tensor.dtype,
            "size_bytes": tensor.size_bytes,
            **quantization[i],
        }
        for i, tensor in enumerate(tensors)
    ]
