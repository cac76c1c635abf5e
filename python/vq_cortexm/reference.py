"""The host's exact result: a folded module evaluated operator by operator in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import relax

from .compat import Expr, IRModule, constant_value, is_constant, op_name
from .float_reference import run_float_call
from .op.bc_net import PATHS, Path, answer
from .op.registry import evaluate
from .transform.composed import policy_of

Outputs = tuple[NDArray[Any], ...]


def run_reference(module: IRModule, inputs: Sequence[NDArray[Any]]) -> Outputs:
    """Outputs of a module of `vq.*` operators (see `transform.FoldQDQ`) for one sample."""
    return reference_answer(module, inputs)[0]


def reference_answer(
    module: IRModule, inputs: Sequence[NDArray[Any]]
) -> tuple[Outputs, Path | None]:
    """The same, and which path two composed nets take."""
    attrs = policy_of(module)
    if attrs is None:
        return _evaluate(module["main"], inputs), None
    fast, accurate = (partial(_logits, module[name]) for name in PATHS)
    y, path = answer(inputs[0], fast, accurate, attrs)
    return (y,), path


def is_exact(
    module: IRModule,
    samples: Sequence[Sequence[NDArray[Any]]],
    outputs: Sequence[Outputs],
    paths: Sequence[int],
) -> bool:
    """Whether a run's outputs, and of two composed nets the paths' numbers, are the reference's."""
    for index, (sample, got) in enumerate(zip(samples, outputs, strict=True)):
        want, path = reference_answer(module, sample)
        same = all(_equal(a, b) for a, b in zip(got, want, strict=True))
        if not same or (path is not None and PATHS[paths[index]] != path):
            return False
    return True


def _equal(got: NDArray[Any], want: NDArray[Any]) -> bool:
    """A NaN equals another, as the bits of a NaN say nothing."""
    return np.array_equal(got, want, equal_nan=want.dtype.kind == "f")


def _logits(net: Expr, x: NDArray[Any]) -> NDArray[Any]:
    return _evaluate(net, [x])[0]


def _evaluate(function: Expr, inputs: Sequence[NDArray[Any]]) -> Outputs:
    result = binding_values(function, inputs)[function.body.body]
    return result if isinstance(result, tuple) else (result,)


def binding_values(function: Expr, inputs: Sequence[NDArray[Any]]) -> dict[Expr, Any]:
    """What each parameter and each binding of a function of `vq.*` operators is for one sample:
    an array or a tuple of them; and its result."""
    values: dict[Expr, Any] = dict(zip(function.params, inputs, strict=True))

    def value_of(expr: Expr) -> Any:
        if is_constant(expr):
            return constant_value(expr)
        if isinstance(expr, relax.Tuple):
            return tuple(value_of(field) for field in expr.fields)
        return values[expr]

    for block in function.body.blocks:
        for binding in block.bindings:
            call = binding.value
            if op_name(call).startswith("vq."):
                run = run_float_call if op_name(call) == "vq.float_call" else evaluate
                values[binding.var] = run(call, [value_of(a) for a in call.args])
            else:
                values[binding.var] = value_of(call)
    values[function.body.body] = value_of(function.body.body)
    return values
