"""With `compat_importers`, all that touches TVM names which move from release to release.

Written against apache-tvm 0.27: type objects instead of struct info (`TensorType`, `FInferType`),
buffers that are variables, `tirx`/`s_tir` in place of `tir`.
"""

from __future__ import annotations

import gc
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from types import ModuleType
from typing import Any

import numpy as np
import tvm
import tvm_ffi
from numpy.typing import NDArray
from tvm import relax, s_tir, tirx
from tvm.ir import GenericConst, Op, PointerType, _ffi_api, register_op_attr
from tvm.ir.utils import derived_object as derived_object
from tvm.runtime.module import BenchmarkResult as BenchmarkResult
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
    """The static shape of a Relax expression, or of what a function returns; ValueError where a
    dimension is symbolic."""
    ty = getattr(expr.ty, "ret", expr.ty)
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
    """Keeps TVM's own messages off stdout and stderr, Python's and those its C++ code prints: the
    outcome is an exception of ours or a module."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere, warnings.catch_warnings():
            os.dup2(nowhere.fileno(), 2)
            warnings.simplefilter("ignore")
            with redirect_stdout(io.StringIO()):
                yield
            gc.collect()
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def main_function(
    builder: Any, parameters: Sequence[Expr], branches: bool = False
) -> Iterator[Callable[[Expr], None]]:
    """Builds `main` as one dataflow block, or with `branches` as one that may hold `emit_if`: the
    body emits bindings and calls what is yielded with its result.

    An exception ends the open block too, or TVM complains on stderr when the builder goes.
    """
    results: list[Expr] = []
    try:
        with builder.function("main", list(parameters)):
            if branches:
                yield results.append
                output = results[0]
            else:
                with builder.dataflow():
                    yield results.append
                    output = builder.emit_output(results[0])
            builder.emit_func_output(output)
    except BaseException:
        builder._end_block()
        raise


def emit_if(
    builder: Any, condition: Expr, then: Callable[[], Expr], otherwise: Expr, name: str
) -> Expr:
    """Binds `name` to what `then` emits and returns where the scalar condition holds, else to
    the variable `otherwise`."""
    builder._begin_binding_block()
    try:
        result = then()
    finally:
        block = builder._end_block()
    branches = (relax.SeqExpr([block], result), relax.SeqExpr([], otherwise))
    return builder.emit(relax.If(condition, *branches), name_hint=name)


def kept_attrs(function: Expr) -> dict[str, Any]:
    """A function's attributes but for its symbol, to put on the function that replaces it."""
    return {str(k): v for k, v in (function.attrs or {}).items() if k != "global_symbol"}


def meta_schedule() -> Any:
    """MetaSchedule, which only tuning imports."""
    from tvm.s_tir import meta_schedule as found

    return found


def rpc_protocol() -> Any:
    """The numbers of the RPC tracker's protocol: `RPC_TRACKER_MAGIC` and `TrackerCode`."""
    from tvm.rpc import base

    return base


def runtime_tensor(value: NDArray[Any]) -> Any:
    """A copy of an array, as TVM's functions take it."""
    return tvm.runtime.tensor(np.array(value, order="C"))


@contextmanager
def without_tensor_intrinsics() -> Iterator[None]:
    """Inside it MetaSchedule does not import its tensor intrinsics, which no core of ours has: to
    parse them takes ten seconds and more."""
    name = "tvm.s_tir.tensor_intrin"
    is_there = name in sys.modules
    sys.modules.setdefault(name, ModuleType(name))
    try:
        yield
    finally:
        if not is_there:
            del sys.modules[name]


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


def float_loops(function: PrimFunc, order: Sequence[int]) -> PrimFunc:
    """A PrimFunc that TVM made of a Relax operator, with its parameters in `order`, 32-bit indices,
    and what only one place reads computed there."""
    module = tvm.IRModule({"main": function.with_attr("global_symbol", "main")})
    schedule = s_tir.Schedule(tirx.transform.ForceNarrowIndexToInt32()(module))
    for block in schedule.get_child_blocks(schedule.get_sblock("root")):
        if len(schedule.get_consumers(block)) == 1:
            with suppress(s_tir.ScheduleError):  # of a sum, for one
                schedule.compute_inline(block)
    made = schedule.mod["main"]
    params = [made.params[i] for i in order]
    return tirx.PrimFunc(params, made.body, made.ret_type, attrs=made.attrs)


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
    "emit_if",
    "float_loops",
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
    "rpc_protocol",
    "save_module",
    "shape_of",
    "tensor_type",
]
