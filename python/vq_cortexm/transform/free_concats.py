"""Which concatenations need no copies: their inputs can be made next to each other.

That is so along the outermost axis that is longer than one, where the inputs' bytes follow each
other in the output, if each input is the whole output of a kernel and of no other such
concatenation. The memory planner then gives the inputs adjacent places.
"""

from __future__ import annotations

import math

import numpy as np

from ..compat import Expr, dtype_of, op_name, shape_of
from ..kernels.layer import ALIGNMENT
from ..op.registry import attributes
from .rewriting import bindings_of


def free_concats(function: Expr) -> set[Expr]:
    """The variables of such `vq.concat` calls in a folded function."""
    bindings = bindings_of(function)
    makers = _makers(bindings)
    # an output of the model has a place of its own
    taken = {makers.get(field) for field in _outputs(function, dict(bindings))}
    free: set[Expr] = set()
    for var, call in bindings:
        if op_name(call) != "vq.concat" or not _is_adjacent(call):
            continue
        parts = {makers.get(arg) for arg in call.args}
        if len(parts) == len(call.args) and not parts & {None, *taken, *free}:
            free.add(var)
            taken |= parts
    return free


def _outputs(function: Expr, bound: dict[Expr, Expr]) -> list[Expr]:
    result = function.body.body
    while result in bound and not op_name(bound[result]):
        result = bound[result]
    return list(getattr(result, "fields", [result]))


def _makers(bindings: list[tuple[Expr, Expr]]) -> dict[Expr, Expr]:
    """Variable → the variable of the call that writes its bytes; none for the model's inputs."""
    makers: dict[Expr, Expr] = {}
    for var, value in bindings:
        viewed = value.args[0] if op_name(value) == "vq.reshape" else value
        if viewed in makers:
            makers[var] = makers[viewed]
        elif op_name(value) not in ("", "vq.reshape"):
            makers[var] = var
    return makers


def _is_adjacent(call: Expr) -> bool:
    """Whether the inputs follow each other in memory, each aligned."""
    outer = math.prod(shape_of(call)[: attributes(call).axis])
    sizes = [math.prod(shape_of(x)) * np.dtype(dtype_of(x)).itemsize for x in call.args]
    return outer == 1 and all(size % ALIGNMENT == 0 for size in sizes[:-1])
