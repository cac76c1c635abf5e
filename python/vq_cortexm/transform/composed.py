"""Modules of two nets: the functions `fast` and `accurate`, both folded, and a `main` that is one
`vq.bc_net`. A module of one net has it as `main`."""

from __future__ import annotations

from dataclasses import replace

import tvm
from tvm import relax

from ..compat import Expr, IRModule, kept_attrs, main_function, op_name
from ..op.bc_net import PATHS, BcNetAttrs
from ..op.registry import attributes, make_call


def policy_of(module: IRModule) -> BcNetAttrs | None:
    """The policy of a composed module, None for a single net."""
    calls = [b.value for block in module["main"].body.blocks for b in block.bindings]
    found = [attributes(call) for call in calls if op_name(call) == "vq.bc_net"]
    return found[0] if found else None


def nets_of(module: IRModule) -> dict[str, Expr]:
    """The functions of a module's nets by their names, in the order in which they run."""
    return {name: module[name] for name in (PATHS if policy_of(module) else ("main",))}


def with_nets(module: IRModule, nets: dict[str, Expr]) -> IRModule:
    """The module with these functions in place of those of their names."""
    result = tvm.IRModule(dict(module.functions.items()))
    for name, function in nets.items():
        result[name] = function.with_attr("global_symbol", name)
    return result


def composed(fast: Expr, accurate: Expr, attrs: BcNetAttrs) -> IRModule:
    """The module of two folded functions of one input each. `main` has their attributes of an
    interface: `vq.rounding`, and the quantization of the input and of the answer."""
    builder = relax.BlockBuilder()
    nets = [
        builder.add_func(net.with_attr("global_symbol", name), name)
        for name, net in zip(PATHS, (fast, accurate), strict=True)
    ]
    (parameter,) = fast.params
    x = relax.Var(str(parameter.name), parameter.ty)
    with main_function(builder, [x]) as finish:
        finish(builder.emit(make_call("vq.bc_net", [x, *nets], attrs), name_hint="answer"))
    module = builder.get()
    kept = kept_attrs(accurate)
    output = {"scale": attrs.y_scale, "zero_point": attrs.y_zero_point}
    quantization = {"inputs": kept["vq.quantization"]["inputs"], "outputs": [output]}
    interface = {"vq.rounding": attrs.rounding, "vq.quantization": quantization}
    names = {k: kept[k] for k in ("vq.output_names",) if k in kept}
    module["main"] = module["main"].with_attrs({**interface, **names})
    return module


def with_thresholds(module: IRModule, thresholds: tuple[int, ...]) -> IRModule:
    """The composed module with other thresholds, one or as many as there are classes."""
    attrs = policy_of(module)
    assert attrs is not None
    changed = composed(module["fast"], module["accurate"], replace(attrs, thresholds=thresholds))
    return with_nets(changed, {"main": changed["main"].with_attrs(kept_attrs(module["main"]))})


__all__ = ["composed", "nets_of", "policy_of", "with_nets", "with_thresholds"]
