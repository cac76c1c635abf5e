"""SelectSchedule: how each layer's kernel is made, where there are several ways.

Whoever runs the pass brings the choice, from measurements or by hand; what it does not say the
kernels decide by themselves. It runs after `SelectRealisation`, and never changes a value.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import tvm

from ..compat import Expr, IRModule, op_name
from ..kernels import KERNELS
from ..kernels.knobs import Schedule
from ..kernels.layer import Layer
from .channels import bindings_of
from .composed import nets_of, with_nets
from .lower_to_tir import SCHEDULES, built_for, layer_of, realisations

ChooseSchedule = Callable[[Layer], Schedule]


@tvm.transform.module_pass(opt_level=0, name="vq.SelectSchedule")
class SelectSchedule:
    """Pass on folded modules. The attribute `vq.schedules` of `main`, or of each net, has what was
    chosen: layer → knob → value."""

    def __init__(self, choose: ChooseSchedule) -> None:
        """`choose` gives what a layer's kernel shall answer otherwise than by itself."""
        self.choose = choose

    def transform_module(self, module: IRModule, _context: Any) -> IRModule:
        """The module with the attribute."""
        compact = built_for(module) == "size"
        done: dict[str, Expr] = {}
        for net, function in nets_of(module).items():
            stored = realisations(function)
            chosen: dict[str, Schedule] = {}
            for var, call in bindings_of(function):
                if op_name(call) in KERNELS:
                    name = str(var.name)
                    realisation = stored.get(name, "plain")
                    schedule = self.choose(layer_of(call, False, realisation, compact))
                    if schedule:
                        chosen[name] = dict(schedule)
            done[net] = function.with_attr(SCHEDULES, json.dumps(chosen))
        return with_nets(module, done)
