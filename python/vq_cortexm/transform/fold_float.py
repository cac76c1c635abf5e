"""FoldWithFloat: the fold of QDQ graphs that keeps some float32 on the device.

With `Floats.io` inputs and outputs that the file has in float32 stay so: `vq.quantize` follows such
an input, `vq.dequantize` precedes such an output. With `Floats.layers` every layer that `FoldQDQ`
refuses is computed in float32, by TVM's own loops, between `vq.dequantize` and `vq.quantize`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm
from tvm import relax

from ..compat import (
    Expr,
    IRModule,
    constant,
    constant_value,
    dtype_of,
    is_constant,
    op_name,
    shape_of,
)
from ..errors import ModelError
from ..op.dequantize import DequantizeAttrs
from ..op.quantization import ACTIVATION_DTYPES
from ..op.quantize import QuantizeAttrs
from ..op.registry import make_call
from ..op.reshape import ReshapeAttrs
from ..op.rounding import Rounding
from .float_loops import emit_float
from .fold_qdq import QdqFolder, fold_by
from .qdq_context import (
    ACTIVATIONS,
    QuantParams,
    activation_range,
    intersect,
    read_quant_params,
    read_scales,
)

_RESHAPES = {"relax.expand_dims", "relax.flatten", "relax.reshape", "relax.squeeze"}


@dataclass(frozen=True)
class Floats:
    """What of a model stays in float32: its own float inputs and outputs, and layers that have no
    form in integers."""

    io: bool = False
    layers: bool = False


@tvm.transform.module_pass(opt_level=0, name="vq.FoldWithFloat")
class FoldWithFloat:
    """Pass: QDQ → `vq.*`, as `FoldQDQ`, with float32 where that is wanted."""

    def __init__(self, rounding: Rounding, floats: Floats) -> None:
        self.rounding = rounding
        self.floats = floats

    def transform_module(self, module: IRModule, _context: Any) -> IRModule:
        """The folded module; only `main` is rewritten."""
        return fold_by(folder_of(module, self.rounding, self.floats), module)


def folder_of(module: IRModule, rounding: Rounding, floats: Floats) -> QdqFolder:
    """The fold of `main`, not yet run."""
    if floats == Floats():
        return QdqFolder(module["main"], rounding)
    return _FloatFolder(module["main"], rounding, floats)


class _FloatFolder(QdqFolder):
    """`reals` maps original float expressions to what computes them on the device."""

    def __init__(self, function: Expr, rounding: Rounding, floats: Floats) -> None:
        super().__init__(function, rounding)
        self.floats = floats
        self.reals: dict[Expr, Expr] = {}

    def parameter(self, parameter: Expr, bindings: list[tuple[Expr, Expr]]) -> Expr:
        """A float input stays one with `Floats.io`, or where something else than a quantize reads
        it."""
        if dtype_of(parameter) == "float32" and self.floats.io:
            self.reals[parameter] = parameter
            return parameter
        try:
            return super().parameter(parameter, bindings)
        except ModelError:
            if not self.floats.layers:
                raise
            self.reals[parameter] = parameter
            return parameter

    def fold_layer(self, var: Expr, quantize: Expr) -> Expr:
        """A layer on integers, or one that ends in `vq.quantize`."""
        source, low, high = self.resolve(quantize.args[0]), float("-inf"), float("inf")
        while op_name(source) in ACTIVATIONS:
            low, high = intersect(source, low, high)
            source = self.resolve(source.args[0])
        if source in self.function.params and source in self.reals:
            name = f"quantize_{source.name}"
            return self._quantized(self.reals[source], quantize, name, low, high)
        try:
            return super().fold_layer(var, quantize)
        except (ModelError, ValueError):
            if not self.floats.layers:
                raise
        real = self._real(quantize.args[0], str(var.name))
        return self._quantized(real, quantize, str(var.name))

    def output(self, expr: Expr) -> tuple[Expr, QuantParams | None]:
        """An output as integers with their parameters, or as real numbers without."""
        call = self.resolve(expr)
        if op_name(call) == "relax.dequantize":
            is_wanted = self.floats.io and dtype_of(call.args[0]) in ACTIVATION_DTYPES
            return (self._real(expr, "output"), None) if is_wanted else super().output(expr)
        try:
            return super().output(expr)
        except ModelError:
            if not self.floats.layers:
                raise
        return self._real(expr, "output"), None

    def _quantized(
        self,
        real: Expr,
        quantize: Expr,
        name: str,
        low: float = float("-inf"),
        high: float = float("inf"),
    ) -> Expr:
        y = read_quant_params(quantize, f"layer {name}")
        ends = activation_range(y, low, high, self.rounding)
        attrs = QuantizeAttrs(y.scale, y.zero_point, *ends, self.rounding, y.dtype, self.is_tflite)
        return self.emit(make_call("vq.quantize", [real], attrs), name)

    def _real(self, expr: Expr, name: str) -> Expr:
        """What computes a float expression on the device."""
        call = self.resolve(expr)
        if call not in self.reals:
            self.reals[call] = self._computed(call, name)
        return self.reals[call]

    def _computed(self, call: Expr, name: str) -> Expr:
        if is_constant(call):
            return call
        if isinstance(call, relax.Tuple):
            return relax.Tuple([self._real(field, name) for field in call.fields])
        if op_name(call) == "relax.dequantize":
            return self._dequantized(call, name)
        if not op_name(call):
            return self.integer(call) if call in self.integers else call
        args = [self._real(arg, name) for arg in call.args]
        if op_name(call) in _RESHAPES:
            attrs = ReshapeAttrs(shape_of(call))
            return self.emit(make_call("vq.reshape", args[:1], attrs))
        if dtype_of(call) != "float32":
            what = op_name(call).removeprefix("relax.")
            raise ModelError(f"layer {name}: {what} of {dtype_of(call)} is not supported")
        return emit_float(self.builder, call, args, f"{name}_{op_name(call).rpartition('.')[2]}")

    def _dequantized(self, call: Expr, name: str) -> Expr:
        """Integers as real numbers; constants at once, with their scales along any axis."""
        x = self.integer(call.args[0])
        if is_constant(x):
            value = constant_value(x)
            scale, zero = (end.reshape(-1) for end in read_scales(call, f"layer {name}"))
            lines = [1] * value.ndim
            if scale.size > 1:
                lines[int(call.attrs.axis) % value.ndim] = scale.size
            centred = value.astype(np.int64) - np.broadcast_to(zero, scale.shape).reshape(lines)
            return constant(centred.astype(np.float32) * scale.reshape(lines))
        params = read_quant_params(call, f"layer {name}")
        attrs = DequantizeAttrs(params.scale, params.zero_point)
        return self.emit(make_call("vq.dequantize", [x], attrs), f"{name}_dequantize")
