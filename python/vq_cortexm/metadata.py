"""A program's description for `metadata.json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .aot.plan import MemoryPlan
from .aot.program import Program, Tensor
from .compat import IRModule
from .op.bc_net import PATHS
from .transform.composed import policy_of
from .transform.virtual_quantize import virtual_quantization


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


def describe_bc_net(module: IRModule, program: Program) -> dict[str, Any]:
    """The policy of two composed nets, and what each of them is; {} of a single net."""
    attrs, branch = policy_of(module), program.branch
    if attrs is None or branch is None:
        return {}
    return {
        "bc_net": {
            "confidence": attrs.confidence,
            "thresholds": list(attrs.thresholds),
            "factors": {"fast": attrs.fast_factor, "accurate": attrs.accurate_factor},
            "logits": {
                "fast": {"scale": attrs.fast_scale, "zero_point": attrs.fast_zero_point},
                "accurate": {
                    "scale": attrs.accurate_scale,
                    "zero_point": attrs.accurate_zero_point,
                },
            },
            "virtual_quantization": {net: virtual_quantization(module, net) for net in PATHS},
            "paths": describe_paths(program),
        }
    }


def describe_paths(program: Program) -> dict[str, Any]:
    """Of each path of two composed nets its steps, [0, end), and what these take; constants that
    several steps share count once. {} of a single net."""
    if program.branch is None:
        return {}
    sizes = {c.name: c.value.nbytes for c in program.constants}
    paths: dict[str, Any] = {}
    for path, end in zip(PATHS, (program.branch.first, len(program.steps)), strict=True):
        steps = program.steps[:end]
        read = {a.name for step in steps for a in step.arguments if a.is_constant}
        paths[path] = {
            "steps": end,
            "macs": sum(step.macs for step in steps),
            "weight_bytes": sum(step.weight_bytes for step in steps),
            "constants_bytes": sum(sizes[name] for name in read),
        }
    return paths


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
