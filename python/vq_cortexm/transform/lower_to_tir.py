"""LowerToTIR: every `vq.*` call becomes a call of the PrimFunc that realises it.

`vq.reshape` stays, and so does a `vq.concat` whose inputs can be made next to each other: they move
no bytes, and the memory planner makes them aliases. Layers with equal
shapes and attributes share one PrimFunc; its attribute `vq.inplace` has the access orders of the
inputs that the output may overlap, `vq.micro` the generated routines it calls, `vq.settable` the
parameters whose constants may be set at run time.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any, Literal, cast

import tvm
from tvm import relax

from ..compat import (
    Expr,
    IRModule,
    PrimFunc,
    constant,
    constant_value,
    dtype_of,
    emit_if,
    is_constant,
    kept_attrs,
    main_function,
    op_name,
    shape_of,
)
from ..kernels import KERNELS, realise
from ..kernels.access_order import orders_to_json
from ..kernels.knobs import Knobs, Schedule
from ..kernels.layer import Kernel, Layer, TensorSpec
from ..nary.encoding import Realisation
from ..op.registry import attributes, count_macs
from ..target import Core
from .free_concats import free_concats
from .rewriting import bindings_of, substitute

Objective = Literal["size", "balanced", "speed"]
DEFAULT_OBJECTIVE: Objective = "balanced"
REALISATIONS, OBJECTIVE, SCHEDULES = "vq.realisations", "vq.objective", "vq.schedules"
"""The attributes of `main` that say how weights are stored, what for, and how kernels are made."""


@tvm.transform.module_pass(opt_level=0, name="vq.LowerToTIR")
class LowerToTIR:
    """Pass from folded Relax to Relax of `call_tir`; layer facts go to `vq.layers` of `main`."""

    def __init__(self, core: Core, overlap: bool = False) -> None:
        """Kernels for `core`; with `overlap` they spend scratch on letting outputs take their
        inputs' place."""
        self.core = core
        self.overlap = overlap
        self.realisations: dict[str, Realisation] = {}
        self.schedules: dict[str, Schedule] = {}
        self.compact = False

    def transform_module(self, module: IRModule, _context: Any) -> IRModule:
        """The lowered module."""
        function = module["main"]
        self.realisations = realisations(function)
        self.schedules = schedules(function)
        self.compact = built_for(module) == "size"
        builder = relax.BlockBuilder()
        lowering = _Lowering(builder, self, free_concats(function))
        with main_function(builder, function.params, branches=True) as finish:
            finish(lowering.body(function.body))
        lowered = builder.get()
        attrs = {**kept_attrs(function), "vq.layers": lowering.layers}
        lowered["main"] = lowered["main"].with_attrs(attrs)
        return lowered


def kernel_calls(function: Expr) -> list[Expr]:
    """The `vq.*` calls of a folded function of one net that become kernels, in order."""
    free = free_concats(function)
    bindings = bindings_of(function)
    return [value for var, value in bindings if op_name(value) in KERNELS and var not in free]


def layer_of(
    call: Expr,
    overlap: bool = False,
    realisation: Realisation = "plain",
    compact: bool = False,
    schedule: Schedule | None = None,
) -> Layer:
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
        realisation,
        compact,
        Knobs(schedule or {}),
    )


def with_facts(kernel: Kernel, inputs: int = 1) -> PrimFunc:
    """The PrimFunc of a kernel of so many inputs, with the attributes that this module names."""
    return kernel.function.with_attrs(
        {
            "vq.inplace": orders_to_json(kernel.access_orders),
            "vq.micro": [routine.to_json() for routine in kernel.micro],
            "vq.settable": [inputs + i for i in kernel.settable],
        }
    )


def realisations(function: Expr) -> dict[str, Realisation]:
    """By layer, as `SelectRealisation` chose; layers that are not in it are plain."""
    return _by_layer(function, REALISATIONS)


def schedules(function: Expr) -> dict[str, Schedule]:
    """By layer, as `SelectSchedule` chose; the kernels of others decide by themselves."""
    return _by_layer(function, SCHEDULES)


def _by_layer(function: Expr, attribute: str) -> dict[str, Any]:
    return dict(json.loads(str((function.attrs or {}).get(attribute, "{}"))))


def built_for(module: IRModule) -> Objective:
    """The objective of the last `SelectRealisation`; the default if there was none."""
    return cast(Objective, str((module["main"].attrs or {}).get(OBJECTIVE, DEFAULT_OBJECTIVE)))


class _Lowering:
    """Emits one function binding by binding; `values` maps old variables to new expressions, and
    the facts of layers go to `layers`."""

    def __init__(self, builder: Any, options: LowerToTIR, free: set[Expr]) -> None:
        self.builder = builder
        self.options = options
        self.free = free
        self.values: dict[Expr, Expr] = {}
        self.layers: dict[str, Any] = {}

    def body(self, body: Expr) -> Expr:
        """Emits the bindings of a function or branch; its result."""
        for block in body.blocks:
            for binding in block.bindings:
                self.values[binding.var] = self._bind(binding.var, binding.value)
        return substitute(body.body, self.values)

    def _bind(self, var: Expr, value: Expr) -> Expr:
        if isinstance(value, relax.If):
            condition, otherwise = (self.values[v] for v in (value.cond, value.false_branch.body))
            branch = partial(self.body, value.true_branch)
            return emit_if(self.builder, condition, branch, otherwise, str(var.name))
        if op_name(value) in KERNELS and var not in self.free:
            return self._call(var, value)
        kept = substitute(value, self.values)
        return self.builder.emit(kept, name_hint=var.name) if op_name(kept) else kept

    def _call(self, var: Expr, value: Expr) -> Expr:
        """The call of the layer's kernel."""
        name, options = op_name(value), self.options
        realisation = options.realisations.get(str(var.name), "plain")
        schedule = options.schedules.get(str(var.name))
        layer = layer_of(value, options.overlap, realisation, options.compact, schedule)
        kernel = realise(layer, options.core)
        function = with_facts(kernel, len(layer.inputs))
        symbol = self.builder.add_func(function, name.removeprefix("vq."))
        tensors = [substitute(arg, self.values) for arg in value.args if not is_constant(arg)]
        args = [*tensors, *map(constant, kernel.constants)]
        new = self.builder.emit(relax.call_tir(symbol, args, value.ty), name_hint=var.name)
        self.layers[new.name] = {
            "op": name.removeprefix("vq."),
            "macs": count_macs(value),
            "realisation": kernel.weights.realisation,
            "weight_bytes": kernel.weights.size_bytes,
        }
        return new
