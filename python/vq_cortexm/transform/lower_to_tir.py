"""LowerToTIR: every `vq.*` call becomes a call of its semantic PrimFunc.

`vq.reshape` stays: it moves no bytes, and the memory planner makes it an alias. Layers with equal
shapes and attributes share one PrimFunc; its attribute `vq.inplace` lists the inputs whose storage
the output may take.
"""

from __future__ import annotations

from typing import Any

import tvm
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
from ..kernels import KERNELS
from ..kernels.layer import Layer, TensorSpec
from ..op.registry import attributes, count_macs


@tvm.transform.module_pass(opt_level=0, name="vq.LowerToTIR")
class LowerToTIR:
    """Pass from folded Relax to Relax of `call_tir`; layer facts go to `vq.layers` of `main`."""

    def __init__(self, overlap: bool = False) -> None:
        """With `overlap` kernels spend scratch on letting outputs take their inputs' place."""
        self.overlap = overlap

    def transform_module(self, module: IRModule, _context: Any) -> IRModule:
        """The lowered module."""
        function = module["main"]
        builder = relax.BlockBuilder()
        values: dict[Expr, Expr] = {}
        layers: dict[str, Any] = {}
        with main_function(builder, function.params) as finish:
            for block in function.body.blocks:
                for binding in block.bindings:
                    new = _lower(builder, binding, values, self.overlap)
                    values[binding.var] = new
                    if op_name(binding.value) in KERNELS:
                        layers[new.name] = _facts(binding.value)
            finish(_substitute(function.body.body, values))
        lowered = builder.get()
        attrs = {**kept_attrs(function), "vq.layers": layers}
        lowered["main"] = lowered["main"].with_attrs(attrs)
        return lowered


def layer_of(call: Expr, overlap: bool = False) -> Layer:
    """What the kernels need to know of a `vq.*` call."""
    tensors = [arg for arg in call.args if not is_constant(arg)]
    constants = [constant_value(arg) for arg in call.args if is_constant(arg)]
    return Layer(
        op_name(call),
        attributes(call),
        tuple(TensorSpec(shape_of(t), dtype_of(t)) for t in tensors),
        tuple(constants),
        TensorSpec(shape_of(call), dtype_of(call)),
        overlap,
    )


def _facts(call: Expr) -> dict[str, Any]:
    return {"op": op_name(call).removeprefix("vq."), "macs": count_macs(call)}


def _lower(builder: Any, binding: Any, values: dict[Expr, Expr], overlap: bool) -> Expr:
    value, hint = binding.value, binding.var.name
    name = op_name(value)
    if name not in KERNELS:
        value = _substitute(value, values)
        return builder.emit(value, name_hint=hint) if name else value
    kernel = KERNELS[name](layer_of(value, overlap))
    function = kernel.function.with_attr("vq.inplace", list(kernel.inplace))
    symbol = builder.add_func(function, name.removeprefix("vq."))
    tensors = [_substitute(arg, values) for arg in value.args if not is_constant(arg)]
    args = [*tensors, *map(constant, kernel.constants)]
    return builder.emit(relax.call_tir(symbol, args, value.ty), name_hint=hint)


def _substitute(expr: Expr, values: dict[Expr, Expr]) -> Expr:
    if isinstance(expr, relax.Tuple):
        return relax.Tuple([_substitute(field, values) for field in expr.fields])
    if isinstance(expr, relax.Call):
        args = [values.get(arg, arg) for arg in expr.args]
        return relax.Call(expr.op, args, expr.attrs)
    return values.get(expr, expr)
