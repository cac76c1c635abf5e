"""TIR → TIR: flat loops over typed pointers, with every buffer a parameter.

Buffers that a PrimFunc allocates would become stack arrays in C. They are moved to its parameter
list instead, so that the memory planner places them like any other tensor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm
from tvm import tirx

from ..compat import IRModule, PrimFunc, lowering_passes


@dataclass(frozen=True)
class ScratchBuffer:
    """Memory that a function needs while it runs, appended to its parameters."""

    name: str
    dtype: str
    size_bytes: int


@dataclass(frozen=True)
class LoweredFunction:
    """A flat PrimFunc without allocations but register scalars.

    `scratch` are the last parameters of `function`, in order.
    """

    function: PrimFunc
    scratch: tuple[ScratchBuffer, ...]


def lower_functions(module: IRModule) -> dict[str, LoweredFunction]:
    """All PrimFuncs of a module, by name."""
    return {
        str(var.name_hint): lower_function(function)
        for var, function in module.functions.items()
        if isinstance(function, tirx.PrimFunc)
    }


def lower_function(function: PrimFunc) -> LoweredFunction:
    """Lowers one PrimFunc; ValueError if its scratch has no static size."""
    target = tvm.target.Target({"kind": "c"})
    module = tvm.IRModule({"f": function.with_attr("global_symbol", "f")})
    module = tirx.transform.BindTarget(target.with_host(target))(module)
    for lowering_pass in lowering_passes():
        module = lowering_pass(module)
    flat = module["f"]
    hoisted: list[Any] = []
    body = _without_allocations(flat.body, hoisted)
    scratch = tuple(_describe(buffer) for buffer in hoisted)
    lowered = tirx.PrimFunc([*flat.params, *hoisted], body, flat.ret_type, attrs=function.attrs)
    return LoweredFunction(lowered, scratch)


def is_register(buffer: Any) -> bool:
    """Whether a buffer is a scalar that C keeps in a local variable."""
    return str(buffer.scope()) == "local" and [int(n) for n in buffer.shape] == [1]


def _describe(buffer: Any) -> ScratchBuffer:
    dtype = str(buffer.dtype)
    elements = int(np.prod([int(n) for n in buffer.shape]))
    return ScratchBuffer(str(buffer.name), dtype, elements * np.dtype(dtype).itemsize)


def _without_allocations(stmt: Any, hoisted: list[Any]) -> Any:
    """The statement less its memory allocations, which go to `hoisted`."""
    if isinstance(stmt, tirx.SeqStmt):
        kept = []
        for child in stmt.seq:
            if isinstance(child, tirx.AllocBuffer) and not is_register(child.buffer):
                hoisted.append(child.buffer)
            else:
                kept.append(_without_allocations(child, hoisted))
        return tirx.SeqStmt(kept) if len(kept) != 1 else kept[0]
    if isinstance(stmt, tirx.For):
        body = _without_allocations(stmt.body, hoisted)
        return tirx.For(stmt.loop_var, stmt.min, stmt.extent, stmt.kind, body)
    if isinstance(stmt, tirx.IfThenElse):
        then = _without_allocations(stmt.then_case, hoisted)
        other = stmt.else_case
        other = _without_allocations(other, hoisted) if other is not None else None
        return tirx.IfThenElse(stmt.condition, then, other)
    if isinstance(stmt, tirx.AttrStmt):
        return _without_allocations(stmt.body, hoisted)
    return stmt
