"""What each generated function takes, and the whole inference."""

from __future__ import annotations

from dataclasses import dataclass

from .aot.library import function_symbols
from .aot.plan import MemoryPlan
from .aot.program import Program


@dataclass(frozen=True)
class FunctionSizes:
    """Bytes: of scratch, of inputs and outputs, of weights and tables."""

    workspace_bytes: int
    io_bytes: int
    constants_bytes: int


def inference_sizes(program: Program, plan: MemoryPlan, *, caller_io: bool) -> FunctionSizes:
    """Of a whole inference; its workspace is the arena without inputs and outputs."""
    io_bytes = sum(tensor.size_bytes for tensor in (*program.inputs, *program.outputs))
    return FunctionSizes(
        max(plan.arena_bytes - (0 if caller_io else io_bytes), 0),
        io_bytes,
        sum(constant.value.nbytes for constant in program.constants),
    )


def layer_sizes(program: Program, model: str) -> dict[str, FunctionSizes]:
    """Of each layer's function, by its C symbol: the largest scratch and all constants of the
    steps that call it. Layers have no inputs and outputs of their own."""
    bytes_of = {constant.name: constant.value.nbytes for constant in program.constants}
    storage_bytes = {storage.name: storage.size_bytes for storage in program.storages}
    symbols = function_symbols(program, model)
    found: dict[str, FunctionSizes] = {}
    for step in program.steps:
        symbol = symbols[step.function]
        before = found.get(symbol, FunctionSizes(0, 0, 0))
        scratch = sum(storage_bytes[name] for name in step.scratch)
        constants = sum(bytes_of[a.name] for a in step.arguments if a.is_constant)
        found[symbol] = FunctionSizes(
            max(scratch, before.workspace_bytes), 0, constants + before.constants_bytes
        )
    return found
