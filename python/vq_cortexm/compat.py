"""The only module that touches TVM names which move from release to release.

Written against apache-tvm 0.27: type objects instead of struct info (`TensorType`, `FInferType`),
buffers that are variables, `tirx`/`s_tir` in place of `tir`.
"""

from __future__ import annotations

import gc
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import tvm
import tvm_ffi
from numpy.typing import NDArray
from tvm import relax, s_tir, tirx
from tvm.ir import GenericConst, Op, PointerType, _ffi_api, register_op_attr
from tvm.sym.analyzer import Analyzer
from tvm.tirx.buffer import is_buffer_var

from .errors import BudgetError, DeviceError, ModelError, ToolError, UsageError

IRModule = Any
Expr = Any
PrimFunc = Any


for _error in (BudgetError, DeviceError, ModelError, ToolError, UsageError):
    # an exception crosses TVM's pass infrastructure by the name of its class
    tvm_ffi.register_error(_error.__name__, _error)


def tensor_type(shape: Sequence[int], dtype: str) -> Any:
    """Relax's type of a tensor with a static shape."""
    return relax.TensorType(tuple(int(n) for n in shape), dtype)


def shape_of(expr: Expr) -> tuple[int, ...]:
    """The static shape of a Relax expression; ValueError where a dimension is symbolic."""
    ty = expr.ty
    shape = getattr(ty, "shape", None)
    if shape is None:
        raise ValueError("a tensor has no static shape")
    dims = list(shape.values if hasattr(shape, "values") else shape)
    if not all(isinstance(dim, (int, tirx.IntImm)) for dim in dims):
        raise ValueError(f"a tensor has the symbolic shape {tuple(map(str, dims))}")
    return tuple(int(dim) for dim in dims)


def dtype_of(expr: Expr) -> str:
    """The element type of a Relax expression, as numpy names it."""
    return str(expr.ty.dtype)


def constant(value: NDArray[Any]) -> Expr:
    """A Relax constant that owns a copy of `value`."""
    return relax.const(np.ascontiguousarray(value), str(value.dtype))


def is_constant(expr: Expr) -> bool:
    """Whether `expr` is a tensor constant."""
    return isinstance(expr, GenericConst)


def constant_value(expr: Expr) -> NDArray[Any]:
    """The value of a tensor constant, as numpy."""
    value: NDArray[Any] = expr.value.numpy()
    return value


def dict_attrs(values: dict[str, Any]) -> Any:
    """TVM's attribute node of plain Python values (numbers, strings, lists)."""
    return tvm.ir.make_node("ir.DictAttrs", **values)


def call_op(name: str, args: Sequence[Expr], attrs: dict[str, Any]) -> Expr:
    """A call of the registered operator `name`, not yet normalized."""
    return relax.Call(Op.get(name), list(args), dict_attrs(attrs))


def register_relax_op(
    name: str, description: str, num_inputs: int, infer: Callable[[Expr], Any]
) -> None:
    """Registers a pure Relax operator whose result type is `infer(call)`. Registering again is
    harmless: reloading the package must not fail."""
    if name in set(Op.list_op_names()):
        return
    _ffi_api.RegisterOp(name, description)
    Op.get(name).set_num_inputs(num_inputs)
    register_op_attr(name, "FInferType", lambda call, _builder: infer(call))
    register_op_attr(name, "FPurity", True)


def op_name(expr: Expr) -> str:
    """The operator name of a call ("relax.nn.conv2d", "vq.add"), "" of anything else."""
    if isinstance(expr, relax.Call) and isinstance(expr.op, Op):
        return str(expr.op.name)
    return ""


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps TVM's own warnings off stderr, Python's and those its C++ code prints: the outcome is
    an exception of ours or a module."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere, warnings.catch_warnings():
            os.dup2(nowhere.fileno(), 2)
            warnings.simplefilter("ignore")
            yield
            gc.collect()
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def main_function(builder: Any, parameters: Sequence[Expr]) -> Iterator[Callable[[Expr], None]]:
    """Builds `main` as one dataflow block: the body emits bindings and calls what is yielded with
    its result.

    An exception ends the open block too, or TVM complains on stderr when the builder goes.
    """
    results: list[Expr] = []
    try:
        with builder.function("main", list(parameters)):
            with builder.dataflow():
                yield results.append
                output = builder.emit_output(results[0])
            builder.emit_func_output(output)
    except BaseException:
        builder._end_block()
        raise


def kept_attrs(function: Expr) -> dict[str, Any]:
    """A function's attributes but for its symbol, to put on the function that replaces it."""
    return {str(k): v for k, v in (function.attrs or {}).items() if k != "global_symbol"}


def save_module(module: IRModule) -> str:
    """The module as TVM's JSON text, constants inside."""
    return str(tvm.ir.save_json(module))


def load_module(text: str) -> IRModule:
    """The module of `save_module`; raises whatever TVM raises for other text."""
    return tvm.ir.load_json(text)


def register_target_tags(tags: dict[str, dict[str, object]]) -> None:
    """Makes `tvm.target.Target(tag)` known for every tag."""
    for tag, config in tags.items():
        tvm.target.register_tag(tag, config, override=True)


def lowering_passes() -> list[Any]:
    """TVM's own passes from block-structured TIR to flat loops.

    Left out on purpose: all that introduces a packed calling convention, heap or thread code;
    `CompactBufferAllocation`, which shrinks scratch that only an extern call touches; and
    `StmtSimplify`, which cancels float additions and inlines named values.
    """
    return [
        s_tir.transform.LowerInitBlock(),
        s_tir.transform.PlanAndUpdateBufferAllocationLocation(),
        s_tir.transform.ConvertBlocksToOpaque(),
        s_tir.transform.LowerMatchBuffer(),
        s_tir.transform.LowerOpaqueBlock(),
        tirx.transform.FlattenBuffer(),
        tirx.transform.UnrollLoop(),
        tirx.transform.LowerIntrin(),
    ]


__all__ = [
    "Analyzer",
    "Expr",
    "IRModule",
    "PointerType",
    "PrimFunc",
    "call_op",
    "constant",
    "constant_value",
    "dict_attrs",
    "dtype_of",
    "is_buffer_var",
    "is_constant",
    "kept_attrs",
    "load_module",
    "lowering_passes",
    "main_function",
    "op_name",
    "quiet",
    "register_relax_op",
    "register_target_tags",
    "save_module",
    "shape_of",
    "tensor_type",
]
