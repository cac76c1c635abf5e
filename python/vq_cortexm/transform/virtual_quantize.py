"""VirtualQuantize: weights of convolutions and dense layers are quantized to fewer levels.

The result is an ordinary module of `vq.*` operators: int8 weights that hold at most L values (the
*virtual* 8-bit tensor), with the scales and biases that belong to them. How few bits they take in
flash is decided later and never changes a value.
"""

from __future__ import annotations

import json
from typing import Any

import tvm
from tvm import relax

from ..compat import (
    Expr,
    IRModule,
    constant,
    constant_value,
    kept_attrs,
    main_function,
    op_name,
)
from ..errors import UsageError
from ..nary.quantize import Weights, quantize_codebook, quantize_uniform
from ..nary.types import LARGEST_LEVELS, detect
from ..op.registry import attributes, make_call
from .rewriting import bindings_of, substitute
from .vq_config import LayerLevels, VirtualQuantizeConfig

CHANNEL_AXES = {"vq.conv2d": 0, "vq.depthwise_conv2d": 2, "vq.dense": 0}
"""Operators with arguments (x, weight, bias, w_scale), and their weights' output channel axis."""
_ATTRIBUTE = "vq.virtual_quantization"


@tvm.transform.module_pass(opt_level=0, name="vq.VirtualQuantize")
class VirtualQuantize:
    """Pass on folded modules, before `RemoveConstantChannels`: fewer levels make more of these.

    Layers whose weights hold no more values than asked for stay as they are. The attribute of
    `main` that `virtual_quantization` reads says what was asked for. Raises UsageError for a glob
    that matches no layer.
    """

    def __init__(self, config: VirtualQuantizeConfig) -> None:
        self.config = config

    def transform_module(self, module: IRModule, _context: Any) -> IRModule:
        """The module with `main` rebuilt, its layers' names kept."""
        function = module["main"]
        _check_globs(self.config, function)
        if self.config.asks_nothing:
            return module
        result = tvm.IRModule(dict(module.functions.items()))
        if not self.config.changes_nothing:
            function = _rebuild(function, self.config)
        result["main"] = function.with_attr(_ATTRIBUTE, json.dumps(self.config.to_json()))
        return result


def layer_weights(call: Expr) -> Weights:
    """The constants of a call of an operator in CHANNEL_AXES."""
    weight, bias, w_scale = (constant_value(arg) for arg in call.args[1:])
    return Weights(weight, bias, w_scale)


def count_levels(call: Expr) -> int:
    """How many values a layer's weights hold, at least 2; 256 for a layer without weights."""
    if op_name(call) not in (*CHANNEL_AXES, "vq.sign_conv2d"):
        return LARGEST_LEVELS
    return detect(constant_value(call.args[1])).levels


def virtual_quantization(module: IRModule, net: str = "main") -> dict[str, Any] | None:
    """What `VirtualQuantize` was asked for (`VirtualQuantizeConfig.to_json`); None for nothing.
    `net` is the name of one of `composed.nets_of`."""
    asked = (module[net].attrs or {}).get(_ATTRIBUTE)
    return None if asked is None else dict(json.loads(str(asked)))


def _check_globs(config: VirtualQuantizeConfig, function: Expr) -> None:
    names = [str(v.name) for v, call in bindings_of(function) if op_name(call) in CHANNEL_AXES]
    for pattern in config.layers:
        alone = VirtualQuantizeConfig(layers={pattern: LayerLevels()})
        if all(alone.levels_of(name) is alone for name in names):
            raise UsageError(f"no layer is called {pattern!r}; layers: {', '.join(names)}")


def _rebuild(function: Expr, config: VirtualQuantizeConfig) -> Expr:
    values: dict[Expr, Expr] = {parameter: parameter for parameter in function.params}
    builder = relax.BlockBuilder()
    with main_function(builder, function.params) as finish:
        for var, value in bindings_of(function):
            if op_name(value):
                call = _quantized(str(var.name), value, values, config)
                values[var] = builder.emit(call, name_hint=var.name)
            else:
                values[var] = substitute(value, values)
        finish(substitute(function.body.body, values))
    return builder.get()["main"].with_attrs(kept_attrs(function))


def _quantized(
    layer: str, call: Expr, values: dict[Expr, Expr], config: VirtualQuantizeConfig
) -> Expr:
    args = [values.get(arg, arg) for arg in call.args]
    chosen = config.levels_of(layer)
    if op_name(call) in CHANNEL_AXES and count_levels(call) > chosen.levels:
        quantize = quantize_codebook if chosen.codebook else quantize_uniform
        new = quantize(layer_weights(call), chosen.levels, CHANNEL_AXES[op_name(call)])
        args[1:] = [constant(new.weight), constant(new.bias), constant(new.w_scale)]
    return make_call(op_name(call), args, attributes(call))


__all__ = [
    "CHANNEL_AXES",
    "VirtualQuantize",
    "count_levels",
    "layer_weights",
    "virtual_quantization",
]
