"""LowerBCNet: a composed module becomes one function, with a branch for the accurate net.

In words, where f are the fast net's logits:

    f = the fast net's layers(x)
    answer = vq.requantize(f)
    unsure = vq.escalate(f, thresholds)
    if unsure: answer = vq.add(f, the accurate net's layers(x))

The accurate net's layers come last, so that the fast path is a prefix of all steps.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import tvm
from tvm import relax

from ..compat import Expr, IRModule, constant, emit_if, kept_attrs, main_function, op_name
from ..op.bc_net import BcNetAttrs
from ..op.registry import attributes, make_call
from ..op.requantize import RequantizeAttrs
from .composed import nets_of, policy_of
from .lower_to_tir import REALISATIONS, SCHEDULES


@tvm.transform.module_pass(opt_level=0, name="vq.LowerBCNet")
class LowerBCNet:
    """Pass on folded modules, the last before `LowerToTIR`; a single net stays as it is.

    The attribute `vq.confidence` of `main` has the test that decides.

    Layers and what is known of them by name (`vq.realisations`, `vq.schedules`, `vq.removed`) have
    the name of their net in front: `fast_conv`, `accurate_conv`.
    """

    def transform_module(self, module: IRModule, _context: Any) -> IRModule:
        """A module with `main` alone."""
        return lower_bc_net(module)


def lower_bc_net(module: IRModule) -> IRModule:
    """What the pass gives."""
    attrs = policy_of(module)
    if attrs is None:
        return module
    main, nets = module["main"], nets_of(module)
    builder = relax.BlockBuilder()
    with main_function(builder, main.params, branches=True) as finish:
        (x,) = main.params
        fast = _inline(builder, "fast", nets["fast"], x)
        answer = builder.emit(make_call("vq.requantize", [fast], attrs.alone), "answer")
        thresholds = constant(np.array(attrs.thresholds, np.int32))
        test = make_call("vq.escalate", [fast, thresholds], attrs.test)
        unsure = builder.emit(test, "decision")

        def combine() -> Expr:
            accurate = _inline(builder, "accurate", nets["accurate"], x)
            return builder.emit(_combination(fast, accurate, attrs), "combination")

        finish(emit_if(builder, unsure, combine, answer, "answer_of_both"))
    lowered = builder.get()
    facts = {**_facts(nets), "vq.confidence": attrs.confidence}
    lowered["main"] = lowered["main"].with_attrs({**kept_attrs(main), **facts})
    return lowered


def _combination(fast: Expr, accurate: Expr, attrs: BcNetAttrs) -> Expr:
    combination = attrs.combination
    if isinstance(combination, RequantizeAttrs):
        return make_call("vq.requantize", [accurate], combination)
    return make_call("vq.add", [fast, accurate], combination)


def _inline(builder: Any, net: str, function: Expr, x: Expr) -> Expr:
    """Emits the net's layers on x; its result."""
    values: dict[Expr, Expr] = {function.params[0]: x}
    for block in function.body.blocks:
        for binding in block.bindings:
            value = binding.value
            if op_name(value):
                args = [values.get(arg, arg) for arg in value.args]
                call = make_call(op_name(value), args, attributes(value))
                values[binding.var] = builder.emit(call, f"{net}_{binding.var.name}")
            else:
                values[binding.var] = values[value]
    return values[function.body.body]


def _facts(nets: dict[str, Expr]) -> dict[str, Any]:
    """The nets' attributes by layer as those of one function."""
    chosen: dict[str, dict[str, Any]] = {REALISATIONS: {}, SCHEDULES: {}}
    removed: dict[str, Any] = {"layers": {}, "macs_before": 0, "macs_after": 0}
    for net, function in nets.items():
        for attribute, of_all in chosen.items():
            own = json.loads(str(function.attrs.get(attribute, "{}")))
            of_all |= {f"{net}_{layer}": value for layer, value in own.items()}
        lost = function.attrs.get("vq.removed")
        if lost is not None:
            removed["layers"] |= {f"{net}_{layer}": n for layer, n in lost["layers"].items()}
            for key in ("macs_before", "macs_after"):
                removed[key] += int(lost[key])
    return {**{name: json.dumps(own) for name, own in chosen.items()}, "vq.removed": removed}


__all__ = ["LowerBCNet", "lower_bc_net"]
