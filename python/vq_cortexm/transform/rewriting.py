"""Walking a function's bindings and writing them anew: what every pass does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tvm import relax

from ..compat import Expr, op_name


def bindings_of(function: Expr) -> list[tuple[Expr, Expr]]:
    """All (variable, value) pairs of a function, in order; what a branch of an `If` computes comes
    before the `If` itself."""
    return list(_bindings(function.body))


def _bindings(body: Expr) -> Iterator[tuple[Expr, Expr]]:
    for block in body.blocks:
        for binding in block.bindings:
            if isinstance(binding.value, relax.If):
                yield from _bindings(binding.value.true_branch)
                yield from _bindings(binding.value.false_branch)
            yield binding.var, binding.value


def tensors_of(expr: Expr) -> list[Expr]:
    """What an expression of a binding, or a function's result, names: variables and constants."""
    if isinstance(expr, relax.Tuple):
        return list(expr.fields)
    return list(expr.args) if op_name(expr) else [expr]


def substitute(expr: Expr, values: Mapping[Expr, Expr]) -> Expr:
    """An expression of a binding, or a function's result, with what `values` has for the variables
    that it names."""
    if isinstance(expr, relax.Tuple):
        return relax.Tuple([substitute(field, values) for field in expr.fields])
    if isinstance(expr, relax.Call):
        return relax.Call(expr.op, [values.get(arg, arg) for arg in expr.args], expr.attrs)
    return values.get(expr, expr)
