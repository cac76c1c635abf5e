"""CopyOutputs: an output of the model that is an input, another output, or such a one in another
shape, becomes a copy: every output has bytes of its own."""

from __future__ import annotations

from typing import Any

import tvm
from tvm import relax

from ..compat import Expr, IRModule, kept_attrs, main_function, op_name, shape_of
from ..op.registry import make_call
from ..op.slice import SliceAttrs
from .rewriting import bindings_of


@tvm.transform.module_pass(opt_level=0, name="vq.CopyOutputs")
class CopyOutputs:
    """Pass on folded modules; never changes a value of the result."""

    def transform_module(self, module: IRModule, _context: Any) -> IRModule:
        """The module, with `main` rebuilt where an output needs a copy."""
        function = module["main"]
        bindings = bindings_of(function)
        copied = _without_bytes(function, dict(bindings))
        if not copied:
            return module
        builder = relax.BlockBuilder()
        with main_function(builder, function.params) as finish:
            for var, value in bindings:
                if not isinstance(value, relax.Tuple):
                    builder.emit_normalized(relax.VarBinding(var, value))
            outputs = list(_outputs(function, dict(bindings)))
            for i in copied:
                outputs[i] = builder.emit(_copy(outputs[i]), name_hint="copy")
            finish(outputs[0] if len(outputs) == 1 else relax.Tuple(outputs))
        result = tvm.IRModule(dict(module.functions.items()))
        result["main"] = builder.get()["main"].with_attrs(kept_attrs(function))
        return result


def _copy(x: Expr) -> Expr:
    """A slice of everything."""
    shape = shape_of(x)
    attrs = SliceAttrs((0,) * len(shape), (1,) * len(shape), shape)
    return make_call("vq.slice", [x], attrs)


def _without_bytes(function: Expr, bound: dict[Expr, Expr]) -> list[int]:
    """The numbers of the outputs whose bytes an input or an output before them has."""
    taken = set(function.params)
    copied = []
    for i, output in enumerate(_outputs(function, bound)):
        maker = output
        while maker in bound and op_name(bound[maker]) in ("", "vq.reshape"):
            viewed = bound[maker]
            maker = viewed.args[0] if op_name(viewed) else viewed
        if maker in taken:
            copied.append(i)
        taken.add(maker)
    return copied


def _outputs(function: Expr, bound: dict[Expr, Expr]) -> list[Expr]:
    result = function.body.body
    while result in bound and not op_name(bound[result]):
        result = bound[result]
    return list(result.fields) if isinstance(result, relax.Tuple) else [result]


__all__ = ["CopyOutputs"]
