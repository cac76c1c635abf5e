"""The host's exact result: a folded module evaluated operator by operator in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray
from tvm import relax

from .compat import Expr, IRModule, constant_value, is_constant, op_name
from .op.registry import evaluate


def run_reference(module: IRModule, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
    """Outputs of a module of `vq.*` operators (see `transform.FoldQDQ`) for one sample."""
    main = module["main"]
    values: dict[Expr, Any] = dict(zip(main.params, inputs, strict=True))

    def value_of(expr: Expr) -> Any:
        if is_constant(expr):
            return constant_value(expr)
        if isinstance(expr, relax.Tuple):
            return tuple(value_of(field) for field in expr.fields)
        return values[expr]

    for block in main.body.blocks:
        for binding in block.bindings:
            call = binding.value
            if op_name(call).startswith("vq."):
                values[binding.var] = evaluate(call, [value_of(a) for a in call.args])
            else:
                values[binding.var] = value_of(call)
    result = value_of(main.body.body)
    return result if isinstance(result, tuple) else (result,)
