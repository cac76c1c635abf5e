"""CancelTransposes: layout changes that neighbouring operators undo disappear.

The fold puts every NCHW operator between two transposes. This pass moves transposes forward over
operators that work in any layout, merges neighbours, turns those that only move axes of
length one into reshapes, and lets a dense layer take its weights in the order in which a flattened
NHWC tensor arrives. What stays (mostly a many-channel NCHW input) is a real operator.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import tvm
from tvm import relax

from ..compat import (
    Expr,
    IRModule,
    constant,
    constant_value,
    is_constant,
    kept_attrs,
    main_function,
    op_name,
    shape_of,
)
from ..op.concat import ConcatAttrs
from ..op.pad import PadAttrs
from ..op.registry import attributes, make_call
from ..op.reshape import ReshapeAttrs
from ..op.slice import SliceAttrs
from ..op.transpose import TransposeAttrs
from .channels import ELEMENTWISE

_MOVABLE = {"vq.concat", "vq.lookup", "vq.pad", "vq.requantize", "vq.slice", *ELEMENTWISE}


@tvm.transform.module_pass(opt_level=0, name="vq.CancelTransposes")
class CancelTransposes:
    """Pass on folded modules; never changes a value of the result."""

    def transform_module(self, module: IRModule, _context: Any) -> IRModule:
        """The module with `main` rebuilt; unused transposes are gone."""
        result = tvm.IRModule(dict(module.functions.items()))
        result["main"] = _Rebuilder(module["main"]).run()
        return relax.transform.DeadCodeElimination()(result)


class _Rebuilder:
    """Rebuilds `main` binding by binding; `values` maps old variables to new expressions."""

    def __init__(self, function: Expr) -> None:
        self.function = function
        self.builder = relax.BlockBuilder()
        self.values: dict[Expr, Expr] = {}
        self.bound: dict[Expr, Expr] = {}

    def run(self) -> Expr:
        function = self.function
        for parameter in function.params:
            self.values[parameter] = parameter
        with main_function(self.builder, function.params) as finish:
            for block in function.body.blocks:
                for binding in block.bindings:
                    self.values[binding.var] = self._rebuild(binding.var, binding.value)
            finish(self._new(function.body.body))
        return self.builder.get()["main"].with_attrs(kept_attrs(function))

    def _new(self, expr: Expr) -> Expr:
        if isinstance(expr, relax.Tuple):
            return relax.Tuple([self._new(field) for field in expr.fields])
        return self.values.get(expr, expr)

    def _rebuild(self, var: Expr, value: Expr) -> Expr:
        if isinstance(value, relax.Tuple) or is_constant(value) or value in self.values:
            return self._new(value)
        args = [self._new(arg) for arg in value.args]
        name, attrs = op_name(value), attributes(value)
        if name == "vq.transpose":
            return self._transpose(args[0], attrs.axes)
        if name == "vq.reshape":
            return self._reshape(args[0], attrs.shape)
        if name in _MOVABLE:
            moved = self._move_forward(name, args, attrs, var.name)
            if moved is not None:
                return moved
        if name == "vq.dense":
            args = self._absorb_into_weights(args)
        return self._emit(make_call(name, args, attrs), var.name)

    def _emit(self, call: Expr, hint: str = "") -> Expr:
        var = self.builder.emit(call, name_hint=hint)
        self.bound[var] = call
        return var

    def _source(self, var: Expr, name: str) -> Expr | None:
        """The call behind `var` if it is one of operator `name`."""
        call = self.bound.get(var)
        return call if call is not None and op_name(call) == name else None

    def _transpose(self, x: Expr, axes: tuple[int, ...]) -> Expr:
        before = self._source(x, "vq.transpose")
        if before is not None:
            inner = attributes(before).axes
            return self._transpose(before.args[0], tuple(inner[a] for a in axes))
        if axes == tuple(range(len(axes))):
            return x
        shape = shape_of(x)
        if _keeps_order(shape, axes):
            return self._reshape(x, tuple(shape[a] for a in axes))
        return self._emit(make_call("vq.transpose", [x], TransposeAttrs(axes)))

    def _reshape(self, x: Expr, shape: tuple[int, ...]) -> Expr:
        before = self._source(x, "vq.reshape")
        x = before.args[0] if before is not None else x
        if shape_of(x) == shape:
            return x
        return self._emit(make_call("vq.reshape", [x], ReshapeAttrs(shape)))

    def _move_forward(self, name: str, args: list[Expr], attrs: Any, hint: str) -> Expr | None:
        """op(transpose(a), …) → transpose(op(a, …)); None where an input is neither transposed, nor
        a constant, nor the same bytes in either order, or is of another rank."""
        transposed = [self._source(arg, "vq.transpose") for arg in args]
        first = next((call for call in transposed if call is not None), None)
        if first is None:
            return None
        axes = attributes(first).axes
        inverse = tuple(int(a) for a in np.argsort(axes))
        operands = args[:1] if name == "vq.lookup" else args
        if any(len(shape_of(arg)) != len(axes) for arg in operands):
            # broadcasting lines up last axes, which the transpose moves
            return None
        if not all(
            call is not None or is_constant(arg) or _keeps_order(shape_of(arg), inverse)
            for call, arg in zip(transposed, operands, strict=False)
        ):
            return None
        moved = [self._moved(arg, inverse) for arg in operands] + args[len(operands) :]
        call = make_call(name, moved, _before_transpose(attrs, axes))
        return self._transpose(self._emit(call, hint), axes)

    def _moved(self, arg: Expr, axes: tuple[int, ...]) -> Expr:
        if is_constant(arg):
            return constant(constant_value(arg).transpose(axes))
        return self._transpose(arg, axes)

    def _absorb_into_weights(self, args: list[Expr]) -> list[Expr]:
        """dense(reshape(transpose(x))) → dense(reshape(x)) with its weights' columns permuted."""
        flat = self._source(args[0], "vq.reshape")
        moved = self._source(flat.args[0], "vq.transpose") if flat is not None else None
        if moved is None or not is_constant(args[1]):
            return args
        axes, source = attributes(moved).axes, moved.args[0]
        if axes[0] != 0 or shape_of(args[0])[0] != shape_of(source)[0]:
            return args
        weight = constant_value(args[1])
        moved_shape = [shape_of(source)[a] for a in axes[1:]]
        order = [0, *(1 + axes[1:].index(a) for a in range(1, len(axes)))]
        columns = weight.reshape(weight.shape[0], *moved_shape).transpose(order)
        x = self._reshape(source, shape_of(args[0]))
        return [x, constant(columns.reshape(weight.shape)), *args[2:]]


def _keeps_order(shape: tuple[int, ...], axes: tuple[int, ...]) -> bool:
    """Whether a transpose moves only axes of length one, and so no bytes."""
    long_axes = [a for a in axes if shape[a] > 1]
    return long_axes == sorted(long_axes)


def _before_transpose(attrs: Any, axes: tuple[int, ...]) -> Any:
    """The attributes of an operator that moves in front of a transpose: what it does along axis i
    it then does along axes[i]."""
    if isinstance(attrs, ConcatAttrs):
        return replace(attrs, axis=axes[attrs.axis])
    order = [axes.index(axis) for axis in range(len(axes))]
    if isinstance(attrs, SliceAttrs):
        each = (attrs.begin, attrs.strides, attrs.size)
        return SliceAttrs(*(tuple(values[i] for i in order) for values in each))
    if isinstance(attrs, PadAttrs):
        widths = (attrs.pad_width[2 * i : 2 * i + 2] for i in order)
        return replace(attrs, pad_width=tuple(n for pair in widths for n in pair))
    return attrs
