"""SelectSchedule: how each layer's kernel is made, where there are several ways.

Whoever runs the pass brings the alternatives, from measurements or by hand, and the objective
chooses among them for the whole network (`choose_together`). What a schedule does not say the
kernels decide by themselves. It runs after `SelectRealisation`, and never changes a value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import tvm

from ..compat import Expr, IRModule, op_name
from ..kernels import KERNELS, realise
from ..kernels.knobs import Knobs, Schedule
from ..kernels.layer import Layer
from ..target import Core
from .choose_together import Choice, choose_together, code_of, constant_bytes
from .composed import nets_of, with_nets
from .counted_cycles import counted_cycles
from .lower_to_tir import (
    DEFAULT_OBJECTIVE,
    OBJECTIVE,
    SCHEDULES,
    Objective,
    layer_of,
    realisations,
)
from .rewriting import bindings_of

_CORE = "vq.core"


@dataclass(frozen=True)
class Alternative:
    """What a layer's kernel shall answer otherwise than by itself, and its cycles: they are counted
    where nobody measured them."""

    schedule: Schedule
    cycles: float | None = None


Alternatives = Callable[[Layer], Sequence[Alternative]]
"""At least one of a layer."""


@dataclass(frozen=True)
class _Choice(Choice):
    """With one schedule."""

    schedule: Schedule


def own_schedule(_layer: Layer) -> Sequence[Alternative]:
    """What the kernels decide by themselves."""
    return (Alternative({}),)


@tvm.transform.module_pass(opt_level=0, name="vq.SelectSchedule")
class SelectSchedule:
    """Pass on folded modules. The attribute `vq.schedules` of `main`, or of each net, has what was
    chosen: layer → knob → value; `vq.core` of `main` the core that it is for."""

    def __init__(
        self,
        core: Core,
        objective: Objective = DEFAULT_OBJECTIVE,
        alternatives: Alternatives = own_schedule,
    ) -> None:
        self.core = core
        self.objective = objective
        self.alternatives = alternatives

    def transform_module(self, module: IRModule, _context: Any) -> IRModule:
        """The module with the attribute."""
        nets = nets_of(module)
        choices: dict[tuple[str, str], list[_Choice]] = {}
        for net, function in nets.items():
            stored = realisations(function)
            for var, call in bindings_of(function):
                if op_name(call) in KERNELS:
                    name = str(var.name)
                    compact = self.objective == "size"
                    layer = layer_of(call, False, stored.get(name, "plain"), compact)
                    every = self.alternatives(layer)
                    choices[net, name] = [self._choice(layer, one, call) for one in every]
        chosen: dict[str, dict[str, Schedule]] = {net: {} for net in nets}
        for (net, name), choice in choose_together(choices, self.objective).items():
            if choice.schedule:
                chosen[net][name] = dict(choice.schedule)
        done: dict[str, Expr] = {
            net: function.with_attr(SCHEDULES, json.dumps(chosen[net]))
            for net, function in nets.items()
        }
        main = done.get("main", module["main"]).with_attr(_CORE, self.core.name)
        return with_nets(module, {**done, "main": main})

    def _choice(self, layer: Layer, one: Alternative, call: Expr) -> _Choice:
        kernel = realise(replace(layer, knobs=Knobs(one.schedule)), self.core)
        cycles = counted_cycles(kernel, call) if one.cycles is None else one.cycles
        return _Choice(constant_bytes(kernel), cycles, code_of(kernel), one.schedule)


def is_selected(module: IRModule, core: Core, objective: Objective) -> bool:
    """Whether the passes of `pipeline.select_pipeline` have run for this core and objective."""
    attrs = module["main"].attrs or {}
    return (attrs.get(_CORE), attrs.get(OBJECTIVE)) == (core.name, objective)
