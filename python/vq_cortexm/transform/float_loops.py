"""From a float operator of Relax to the loops of `vq.float_call`, by TVM's own legalization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import relax

from ..compat import (
    Expr,
    dtype_of,
    float_loops,
    is_constant,
    main_function,
    op_name,
    save_module,
    shape_of,
    tensor_type,
)
from ..errors import ModelError
from ..op.float_call import FloatCallAttrs
from ..op.registry import make_call


def emit_float(builder: Any, call: Expr, args: Sequence[Expr], name: str) -> Expr:
    """Emits the float operator of `call` on `args`: float32 tensors, tuples of them, and what is no
    tensor. ModelError, naming layer and operator, where TVM has no loops for it.
    """
    where = f"layer {name}: {op_name(call).removeprefix('relax.')}"
    tensors = [tensor for arg in args for tensor in _tensors(arg)]
    stand_ins = [
        relax.Var(f"x{i}", tensor_type(shape_of(t), dtype_of(t))) for i, t in enumerate(tensors)
    ]
    given = iter(stand_ins)
    alone = relax.Call(call.op, [_replaced(arg, given) for arg in args], call.attrs)
    legal = _legalized(alone, stand_ins, where)
    main = legal["main"]
    values: dict[Expr, Expr] = dict(zip(stand_ins, tensors, strict=True))
    values = {**values, **dict(zip(main.params, tensors, strict=True))}
    for block in main.body.blocks:
        for binding in block.bindings:
            var, value = binding.var, binding.value
            if value in values:
                values[var] = values[value]
                continue
            if op_name(value) != "relax.call_tir" or not _tensors(var):
                raise ModelError(f"{where} is not one loop nest in TVM; it cannot stay in float32")
            inputs = [values.get(arg, arg) for arg in value.args[1].fields]
            made = _float_call(call, legal[value.args[0]], inputs, var)
            values[var] = builder.emit(made, name_hint=name)
    return values[main.body.body]


def _tensors(arg: Expr) -> list[Expr]:
    fields = arg.fields if isinstance(arg, relax.Tuple) else [arg]
    return [f for f in fields if isinstance(getattr(f, "ty", None), relax.TensorType)]


def _replaced(arg: Expr, given: Any) -> Expr:
    """The argument with the next stand-ins in place of its tensors."""
    if isinstance(arg, relax.Tuple):
        return relax.Tuple([next(given) for _ in arg.fields])
    return next(given) if _tensors(arg) else arg


def _legalized(call: Expr, parameters: Sequence[Expr], where: str) -> Any:
    builder = relax.BlockBuilder()
    try:
        with main_function(builder, parameters) as finish:
            finish(builder.emit(call))
        module = relax.transform.DecomposeOpsForInference()(builder.get())
        return relax.transform.LegalizeOps()(module)
    except Exception as error:  # TVM raises many types
        raise ModelError(f"{where} has no loops in TVM; it cannot stay in float32") from error


def _float_call(call: Expr, function: Any, inputs: Sequence[Expr], result: Expr) -> Expr:
    """The loops on `inputs`, constants last."""
    order = sorted(range(len(inputs)), key=lambda i: is_constant(inputs[i]))
    loops = float_loops(function, [*order, len(inputs)])
    operator = op_name(call).removeprefix("relax.")
    attrs = FloatCallAttrs(operator, shape_of(result), save_module(loops), dtype_of(result))
    return make_call("vq.float_call", [inputs[i] for i in order], attrs)
