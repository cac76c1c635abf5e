"""FuseTables: what several layers make of one tensor, element by element, is one table.

So x * sigmoid(x), two layers of a TFLite file, costs one look-up, and a rescaling behind a table
none. Exact: the entries are what the layers' own references make of all 256 values. There must be a
table among the layers already, so that no other model grows by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm import relax

from ..compat import (
    Expr,
    IRModule,
    constant,
    constant_value,
    dtype_of,
    is_constant,
    kept_attrs,
    main_function,
    op_name,
    shape_of,
)
from ..op.lookup import BYTE_DTYPES, LookupAttrs
from ..op.quantization import dtype_range
from ..op.registry import evaluate, make_call
from .rewriting import bindings_of, substitute

_FUSED = ("vq.add", "vq.extremum", "vq.lookup", "vq.mul", "vq.requantize")


@dataclass(frozen=True, eq=False)
class _Function:
    """entries[i] is the element where `root`'s is its type's lowest plus i; `tables` says whether
    a `vq.lookup` is part of it."""

    root: Expr
    entries: NDArray[Any]
    tables: bool


@tvm.transform.module_pass(opt_level=0, name="vq.FuseTables")
class FuseTables:
    """Pass on folded modules; never changes a value of the result."""

    def transform_module(self, module: IRModule, _context: Any) -> IRModule:
        """The module with `main` rebuilt; layers that nobody reads any more are gone."""
        function = module["main"]
        builder = relax.BlockBuilder()
        values: dict[Expr, Expr] = {parameter: parameter for parameter in function.params}
        functions: dict[Expr, _Function] = {}
        with main_function(builder, function.params) as finish:
            for var, value in bindings_of(function):
                new = substitute(value, values)
                if not op_name(new):
                    values[var] = new
                    continue
                made = _function(new, functions)
                if made is not None and made.tables and _is_chain(new, functions):
                    attrs = LookupAttrs(made.entries.dtype.name)
                    new = make_call("vq.lookup", [made.root, constant(made.entries)], attrs)
                values[var] = builder.emit(new, name_hint=var.name)
                if made is not None:
                    functions[values[var]] = made
            finish(substitute(function.body.body, values))
        result = tvm.IRModule(dict(module.functions.items()))
        result["main"] = builder.get()["main"].with_attrs(kept_attrs(function))
        return relax.transform.DeadCodeElimination()(result)


def _is_chain(call: Expr, functions: dict[Expr, _Function]) -> bool:
    """Whether what a call reads is itself a function of something."""
    return any(arg in functions for arg in call.args)


def _function(call: Expr, functions: dict[Expr, _Function]) -> _Function | None:
    """The call as a function of one tensor of its own shape; None where it is none."""
    if op_name(call) not in _FUSED:
        return None
    is_table = op_name(call) == "vq.lookup"
    shape = shape_of(call.args[0])
    inputs: list[NDArray[Any]] = []
    known: list[_Function] = []
    for arg in call.args:
        if is_constant(arg):
            value = constant_value(arg)
            if not is_table and value.size != 1:
                return None
            inputs.append(value.reshape(-1))
        elif dtype_of(arg) in BYTE_DTYPES and shape_of(arg) == shape:
            known.append(functions.get(arg) or _identity(arg))
            inputs.append(known[-1].entries)
        else:
            return None
    if len({one.root for one in known}) != 1:
        return None
    entries = evaluate(call, inputs)
    if entries.dtype.name not in BYTE_DTYPES:
        return None
    return _Function(known[0].root, entries, is_table or any(one.tables for one in known))


def _identity(tensor: Expr) -> _Function:
    """A tensor as a function of itself."""
    lowest, highest = dtype_range(dtype_of(tensor))
    return _Function(tensor, np.arange(lowest, highest + 1).astype(dtype_of(tensor)), False)


__all__ = ["FuseTables"]
