"""SelectRealisation: how each layer's weights are stored.

Candidates are the realisations of `nary.encoding` that a kernel of the core has; the objective
chooses, for the whole network, of two nets for both together:

    size        the fewest bytes of flash; kernels have short loops then
    balanced    the least product of bytes and squared cycles: speed shall not suffer
    speed       the fewest cycles, and of nearly as many the fewest bytes

Bytes are those of the kernels' constants, exactly, and of the routines' code, about: layers with
equal routines share them, so a layer's best choice depends on those of others. Cycles are counted:
products, and words that are decoded.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import tvm

from ..codegen.micro_kernel import code_bytes
from ..compat import Expr, IRModule, op_name, shape_of
from ..errors import UsageError
from ..kernels import realise
from ..kernels.layer import Kernel, Layer
from ..nary.encoding import Realisation, possible_realisations
from ..op.registry import count_macs
from ..target import Core
from .channels import bindings_of
from .composed import nets_of, with_nets
from .lower_to_tir import DEFAULT_OBJECTIVE, OBJECTIVE, REALISATIONS, Objective, layer_of
from .virtual_quantize import CHANNEL_AXES, virtual_quantization
from .vq_config import VirtualQuantizeConfig

_PRODUCT_CYCLES = {"fours": 1.075, "twos": 0.97, "dense": 1.3, "dense_nested": 1.4}
"""Modelled: of a product, by the weights of `conv_rows` or by routine; and of all others: """
_OTHER_CYCLES = 1.03
_PORTABLE_CYCLES = 4.0
"""Without routines."""
_PASS_CYCLES = {"decode_fields": 5.0, "decode_radix": 12.0, "decode_table": 15.0}
_WIDE_CYCLES, _WORD_CYCLES = 9.0, 6.0
"""Modelled: of a word of four weights, by what decodes it; more with fractions of 64 bits; and of
what is around decoding."""
_DECODING_BYTES = 150
"""Of a kernel's code that calls decoders, about."""
_TIE = 1e-9
_SIMILAR = 1e-2
"""Of `speed`: a percent of cycles may be given for as large a part of all bytes."""


@dataclass(frozen=True)
class _Choice:
    """What a layer takes with one realisation; `code` has bytes by routine."""

    realisation: Realisation
    constant_bytes: int
    cycles: float
    code: dict[str, int]


_Key = tuple[str, str]
"""A net and a layer of it."""
_Chosen = dict[_Key, _Choice]


@tvm.transform.module_pass(opt_level=0, name="vq.SelectRealisation")
class SelectRealisation:
    """Pass on folded modules for one core; never changes a value. The attribute of `main`, or of
    each net, that `lower_to_tir.realisations` reads has the choices."""

    def __init__(self, core: Core, objective: Objective = DEFAULT_OBJECTIVE) -> None:
        self.core = core
        self.objective = objective

    def transform_module(self, module: IRModule, _context: Any) -> IRModule:
        """The module with the attribute."""
        nets = nets_of(module)
        choices = {}
        for net, function in nets.items():
            config = VirtualQuantizeConfig.from_json(virtual_quantization(module, net) or {})
            for var, call in bindings_of(function):
                if op_name(call) in CHANNEL_AXES:
                    name = str(var.name)
                    every = _choices(call, self.core, self.objective == "size")
                    asked = config.levels_of(name).realisation
                    choices[net, name] = _asked_for(name, asked, every)
        chosen = _choose(choices, _COSTS[self.objective])
        names: dict[str, dict[str, str]] = {net: {} for net in nets}
        for (net, name), choice in chosen.items():
            names[net][name] = choice.realisation
        done = {
            net: function.with_attr(REALISATIONS, json.dumps(names[net]))
            for net, function in nets.items()
        }
        main = done.get("main", module["main"]).with_attr(OBJECTIVE, self.objective)
        return with_nets(module, {**done, "main": main})


def possible_layers(layer: Layer, core: Core) -> list[Layer]:
    """The layer, plain, and with each other way to store its weights that a kernel has."""
    if layer.op not in CHANNEL_AXES:
        return [layer]
    stored = (replace(layer, realisation=n) for n in possible_realisations(layer.constants[0]))
    return [layer, *(one for one in stored if _is_stored(one, core))]


def _is_stored(layer: Layer, core: Core) -> bool:
    return realise(layer, core).weights.realisation == layer.realisation


def _choices(call: Expr, core: Core, compact: bool) -> list[_Choice]:
    """Plain first."""
    macs, pixels = count_macs(call), math.prod(shape_of(call)[:-1])
    layers = possible_layers(layer_of(call, compact=compact), core)
    return [_choice(realise(layer, core), macs, pixels) for layer in layers]


def _asked_for(layer: str, realisation: Realisation | None, every: list[_Choice]) -> list[_Choice]:
    """All of them, or the one that was asked for."""
    asked = [choice for choice in every if realisation in (None, choice.realisation)]
    if not asked:
        possible = ", ".join(choice.realisation for choice in every)
        raise UsageError(f"{layer} cannot be stored as {realisation}; possible: {possible}")
    return asked


def _choice(kernel: Kernel, macs: int, pixels: int) -> _Choice:
    names = {str(micro.parameters.get("weights", micro.family)) for micro in kernel.micro}
    known = [_PRODUCT_CYCLES[name] for name in names if name in _PRODUCT_CYCLES]
    per_product = max(known, default=_OTHER_CYCLES if names else _PORTABLE_CYCLES)
    if any(micro.family == "conv_rows" for micro in kernel.micro):
        # a lone last pixel is computed beside nothing
        per_product *= (pixels + pixels % 2) / pixels
    code = {micro.symbol: code_bytes(micro) for micro in kernel.micro}
    stored = kernel.weights
    if stored.decoded_words:
        code[kernel.micro[0].symbol + "_decoding"] = _DECODING_BYTES
    return _Choice(
        stored.realisation,
        sum(constant.nbytes for constant in kernel.constants),
        macs * per_product + stored.decoded_words * _decoding_cycles(kernel),
        code,
    )


def _decoding_cycles(kernel: Kernel) -> float:
    """Of a word."""
    passes = [micro for micro in kernel.micro if micro.family in _PASS_CYCLES]
    wide = sum(_WIDE_CYCLES for micro in passes if micro.parameters.get("bits") == 64)
    return sum((_PASS_CYCLES[micro.family] for micro in passes), _WORD_CYCLES) + wide


def _choose(choices: dict[_Key, list[_Choice]], cost: Callable[[float, float], float]) -> _Chosen:
    """Layer by layer the choice that is best beside all others', until none changes; from two
    starts, since a routine pays only for several layers together."""

    def total(chosen: _Chosen) -> float:
        code = {k: v for choice in chosen.values() for k, v in choice.code.items()}
        flash_bytes = sum(choice.constant_bytes for choice in chosen.values()) + sum(code.values())
        return cost(flash_bytes, sum(choice.cycles for choice in chosen.values()))

    def descend(chosen: _Chosen) -> _Chosen:
        while True:
            before = dict(chosen)
            for name, every in choices.items():
                totals = [total({**chosen, name: one}) for one in every]
                chosen[name] = every[totals.index(min(totals))]
            if total(chosen) >= total(before):
                return before

    plain = {name: every[0] for name, every in choices.items()}
    fewest = {name: min(every, key=_constant_bytes) for name, every in choices.items()}
    return min(descend(plain), descend(fewest), key=total)


def _constant_bytes(choice: _Choice) -> int:
    return choice.constant_bytes


def _size(flash_bytes: float, cycles: float) -> float:
    return flash_bytes + _TIE * cycles


def _balance(flash_bytes: float, cycles: float) -> float:
    return flash_bytes * cycles**2


def _speed(flash_bytes: float, cycles: float) -> float:
    return float(cycles * flash_bytes**_SIMILAR)


_COSTS: dict[Objective, Callable[[float, float], float]] = {
    "size": _size,
    "balanced": _balance,
    "speed": _speed,
}
