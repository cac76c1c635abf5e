"""LowerToTIR: every `vq.*` call becomes a call of the PrimFunc that realises it.

`vq.reshape` stays, and so does a `vq.concat` whose inputs can be made next to each other: they move
no bytes, and the memory planner makes them aliases. Layers with equal
shapes and attributes share one PrimFunc; its attribute `vq.inplace` has the access orders of the
inputs that the output may overlap, `vq.micro` the generated routines it calls.
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
from ..kernels import KERNELS, realise
from ..kernels.access_order import orders_to_json
from ..kernels.layer import Layer, TensorSpec
from ..op.registry import attributes, count_macs
from ..target import Core
from .channels import bindings_of
from .free_concats import free_concats


@tvm.transform.module_pass(opt_level=0, name="vq.LowerToTIR")
class LowerToTIR:
    """Pass from folded Relax to Relax of `call_tir`; layer facts go to `vq.layers` of `main`."""

    def __init__(self, core: Core, overlap: bool = False) -> None:
        """Kernels for `core`; with `overlap` they spend scratch on letting outputs take their
        inputs' place."""
        self.core = core
        self.overlap = overlap

    def transform_module(self, module: IRModule, _context: Any) -> IRModule:
        """The lowered module."""
        function = module["main"]
        builder = relax.BlockBuilder()
        values: dict[Expr, Expr] = {}
        layers: dict[str, Any] = {}
        free = free_concats(function)
        with main_function(builder, function.params) as finish:
            for block in function.body.blocks:
                for binding in block.bindings:
                    has_kernel = op_name(binding.value) in KERNELS and binding.var not in free
                    lower = _lower if has_kernel else _keep
                    new = lower(builder, binding, values, self)
                    values[binding.var] = new
                    if has_kernel:
                        layers[new.name] = _facts(binding.value)
            finish(_substitute(function.body.body, values))
        lowered = builder.get()
        attrs = {**kept_attrs(function), "vq.layers": layers}
        lowered["main"] = lowered["main"].with_attrs(attrs)
        return lowered


def kernel_calls(function: Expr) -> list[Expr]:
    """The `vq.*` calls of a folded function that become kernels, in order."""
    free = free_concats(function)
    bindings = bindings_of(function)
    return [value for var, value in bindings if op_name(value) in KERNELS and var not in free]


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


def _lower(builder: Any, binding: Any, values: dict[Expr, Expr], options: LowerToTIR) -> Expr:
    value, hint = binding.value, binding.var.name
    name = op_name(value)
    kernel = realise(layer_of(value, options.overlap), options.core)
    micro = [routine.to_json() for routine in kernel.micro]
    function = kernel.function.with_attrs(
        {"vq.inplace": orders_to_json(kernel.access_orders), "vq.micro": micro}
    )
    symbol = builder.add_func(function, name.removeprefix("vq."))
    tensors = [_substitute(arg, values) for arg in value.args if not is_constant(arg)]
    args = [*tensors, *map(constant, kernel.constants)]
    return builder.emit(relax.call_tir(symbol, args, value.ty), name_hint=hint)


def _keep(builder: Any, binding: Any, values: dict[Expr, Expr], _options: LowerToTIR) -> Expr:
    value = _substitute(binding.value, values)
    return builder.emit(value, name_hint=binding.var.name) if op_name(value) else value


def _substitute(expr: Expr, values: dict[Expr, Expr]) -> Expr:
    if isinstance(expr, relax.Tuple):
        return relax.Tuple([_substitute(field, values) for field in expr.fields])
    if isinstance(expr, relax.Call):
        args = [values.get(arg, arg) for arg in expr.args]
        return relax.Call(expr.op, args, expr.attrs)
    return values.get(expr, expr)
