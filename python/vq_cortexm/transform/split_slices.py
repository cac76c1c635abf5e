"""Operators with several outputs as one operator for each: a split is a slice for each part, a
batch norm its first output."""

from __future__ import annotations

from typing import Any

from tvm import relax

from ..compat import Expr, op_name, shape_of
from .rewriting import bindings_of


def without_splits(function: Expr, builder: Any) -> list[tuple[Expr, Expr]]:
    """(variable, value) of each binding; what takes a part of a `relax.split` is a
    `relax.strided_slice`, and what takes a field of a tuple that field."""
    bound: dict[Expr, Expr] = {}
    for var, value in bindings_of(function):
        bound[var] = value
        if isinstance(value, relax.TupleGetItem):
            source = value.tuple_value
            while source in bound:
                source = bound[source]
            if isinstance(source, relax.Tuple):
                bound[var] = source.fields[value.index]
            elif op_name(source) == "relax.split":
                bound[var] = builder.normalize(_part(source, value.index))
            elif op_name(source) == "relax.nn.batch_norm" and value.index == 0:
                bound[var] = source  # its other outputs are the statistics, as they were
    return list(bound.items())


def _part(split: Expr, index: int) -> Expr:
    x = split.args[0]
    axis = int(split.attrs.axis) % len(shape_of(x))
    lengths = [shape_of(field)[axis] for field in _fields(split)]
    first = sum(lengths[:index])
    return relax.op.strided_slice(x, [axis], [first], [first + lengths[index]])


def _fields(split: Expr) -> list[Any]:
    """Typed stand-ins of the parts, which have a shape."""
    return [relax.Var("part", field) for field in split.ty.fields]
