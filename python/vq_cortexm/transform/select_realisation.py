"""SelectRealisation: how each layer's weights are stored.

Candidates are the realisations of `nary.encoding` that a kernel of the core has; the objective
chooses among them for the whole network, of two nets for both together (`choose_together`). Layers
for `size` have short loops. Cycles are measured ones where the caller knows them for all candidates
of a layer, else counted.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import tvm

from ..compat import Expr, IRModule, op_name
from ..errors import UsageError
from ..kernels import realise
from ..kernels.layer import Kernel, Layer
from ..nary.encoding import Realisation, possible_realisations
from ..target import Core
from .choose_together import Choice, choose_together, code_of, constant_bytes
from .composed import nets_of, with_nets
from .counted_cycles import counted_cycles
from .lower_to_tir import DEFAULT_OBJECTIVE, OBJECTIVE, REALISATIONS, Objective, layer_of
from .rewriting import bindings_of
from .virtual_quantize import CHANNEL_AXES, virtual_quantization
from .vq_config import VirtualQuantizeConfig

_DECODING_BYTES = 150
"""Of a kernel's code that calls decoders, about."""


@dataclass(frozen=True)
class _Choice(Choice):
    """With one realisation."""

    realisation: Realisation


MeasuredCycles = Callable[[Layer], float | None]
"""What a layer takes as its schedule will be; None where nobody has measured it."""
_Key = tuple[str, str]
"""A net and a layer of it."""


@tvm.transform.module_pass(opt_level=0, name="vq.SelectRealisation")
class SelectRealisation:
    """Pass on folded modules for one core; never changes a value. The attribute of `main`, or of
    each net, that `lower_to_tir.realisations` reads has the choices."""

    def __init__(
        self,
        core: Core,
        objective: Objective = DEFAULT_OBJECTIVE,
        measured: MeasuredCycles = lambda _layer: None,
    ) -> None:
        self.core = core
        self.objective = objective
        self.measured = measured

    def transform_module(self, module: IRModule, _context: Any) -> IRModule:
        """The module with the attribute."""
        nets = nets_of(module)
        choices: dict[_Key, list[_Choice]] = {}
        for net, function in nets.items():
            config = VirtualQuantizeConfig.from_json(virtual_quantization(module, net) or {})
            for var, call in bindings_of(function):
                if op_name(call) in CHANNEL_AXES:
                    name = str(var.name)
                    every = self._choices(call)
                    asked = config.levels_of(name).realisation
                    choices[net, name] = _asked_for(name, asked, every)
        chosen = choose_together(choices, self.objective)
        names: dict[str, dict[str, str]] = {net: {} for net in nets}
        for (net, name), choice in chosen.items():
            names[net][name] = choice.realisation
        done = {
            net: function.with_attr(REALISATIONS, json.dumps(names[net]))
            for net, function in nets.items()
        }
        main = done.get("main", module["main"]).with_attr(OBJECTIVE, self.objective)
        return with_nets(module, {**done, "main": main})

    def _choices(self, call: Expr) -> list[_Choice]:
        """Plain first."""
        layer = layer_of(call, compact=self.objective == "size")
        layers = possible_layers(layer, self.core)
        choices = [_choice(realise(one, self.core), call) for one in layers]
        known = [self.measured(one) for one in layers]
        cycles = [n for n in known if n is not None]
        if len(cycles) < len(layers):
            return choices
        return [replace(c, cycles=n) for c, n in zip(choices, cycles, strict=True)]


def possible_layers(layer: Layer, core: Core) -> list[Layer]:
    """The layer, plain, and with each other way to store its weights that a kernel has."""
    if layer.op not in CHANNEL_AXES:
        return [layer]
    stored = (replace(layer, realisation=n) for n in possible_realisations(layer.constants[0]))
    return [layer, *(one for one in stored if _is_stored(one, core))]


def _is_stored(layer: Layer, core: Core) -> bool:
    return realise(layer, core).weights.realisation == layer.realisation


def _asked_for(layer: str, realisation: Realisation | None, every: list[_Choice]) -> list[_Choice]:
    """All of them, or the one that was asked for."""
    asked = [choice for choice in every if realisation in (None, choice.realisation)]
    if not asked:
        possible = ", ".join(choice.realisation for choice in every)
        raise UsageError(f"{layer} cannot be stored as {realisation}; possible: {possible}")
    return asked


def _choice(kernel: Kernel, call: Expr) -> _Choice:
    code = code_of(kernel)
    if kernel.weights.decoded_words:
        code[kernel.micro[0].symbol + "_decoding"] = _DECODING_BYTES
    cycles = counted_cycles(kernel, call)
    return _Choice(constant_bytes(kernel), cycles, code, kernel.weights.realisation)
