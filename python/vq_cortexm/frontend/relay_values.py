"""What Relay expressions are while a module is converted, and what the converters share.

A Relay tensor of 8 bits or of floats is a Relax tensor. Relay's int32 tensors exist only between
two operators of a quantized layer, and stay records until the layer is complete: `Sums` of a
convolution or dense layer wait for their bias and requantization, `Wide` ones are an 8-bit tensor
that was cast. A `Layer` is complete, but may still take a clip into its clamp.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tvm import relax

from ..compat import Expr, constant, dtype_of, shape_of
from ..errors import ModelError
from ..op.quantization import dtype_range
from ..op.registry import make_call
from ..op.requantize import RequantizeAttrs
from ..op.rounding import Rounding
from .relay_graph import RelayCall, RelayConstant, RelayExpr, RelayFunction

ACTIVATIONS = ("int8", "uint8")
NCHW_TO_NHWC, NHWC_TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)
ROUNDING: Rounding = "single"
"""Relay's UPWARD rounding of a 64-bit product is this."""
_MOST_BYTES = 1 << 31


@dataclass(frozen=True)
class Scale:
    """real = scale * (q - zero_point)."""

    scale: float
    zero_point: int

    @property
    def described(self) -> dict[str, Any]:
        """As metadata says it."""
        return {"scale": self.scale, "zero_point": self.zero_point}


UNIT = Scale(1.0, 0)
"""Where an operator neither knows nor needs a scale."""


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor that Relax holds; `scale` where the file says it."""

    expr: Expr
    scale: Scale | None = None


@dataclass(eq=False)
class Layer:
    """A `vq.*` operator with the clamp y_min, y_max among `attrs`, not emitted before it is used.
    With `nchw` its result is moved from NHWC to NCHW; a `shared` one is used more than once."""

    op: str
    args: list[Expr]
    attrs: Any
    scale: Scale | None = None
    nchw: bool = False
    shared: bool = False
    emitted: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Sums:
    """int32 sums of products, plus `bias` (O,) int64.

    x: NHWC or (..., I); weight: as the operator takes it; attrs: those of the operator but for
    scales and output; channel_axis: of the Relay tensor, which has `rank` axes; bound: (O,) what
    the products' magnitudes add up to at most. With `relu` negative sums are zero.
    """

    op: str
    x: Expr
    weight: NDArray[np.int8]
    bias: NDArray[np.int64]
    bound: NDArray[np.int64]
    attrs: dict[str, Any]
    channel_axis: int
    rank: int
    relu: bool = False


@dataclass(frozen=True, eq=False)
class Wide:
    """An 8-bit tensor whose numbers are held in more bits."""

    source: Tensor | Layer


Value: TypeAlias = Tensor | Layer | Sums | Wide | tuple["Value", ...]


@dataclass(eq=False)
class Converter:
    """What the converters ask for; `values` are what the expressions before have become."""

    function: RelayFunction
    builder: Any = field(default_factory=relax.BlockBuilder)
    values: dict[RelayExpr, Value] = field(default_factory=dict)
    bound: dict[RelayExpr, NDArray[Any]] = field(default_factory=dict)
    inputs: dict[Expr, Scale] = field(default_factory=dict)
    roots: dict[Expr, Expr] = field(default_factory=dict)
    layers: int = 0

    def __post_init__(self) -> None:
        parts = [part for e in self.function.expressions for part in _parts(e)]
        self.uses = Counter([*parts, self.function.expressions[-1]])

    def array(self, call: RelayCall, position: int) -> NDArray[Any]:
        """A constant argument, or a parameter that is bound to one."""
        found = self.known(argument(call, position))
        if found is None:
            raise ModelError(
                f"{where(call)}: its argument {position} is no constant; bind parameters by params"
            )
        return found

    def known(self, expr: RelayExpr) -> NDArray[Any] | None:
        """The array that an expression is; None where it is computed."""
        return expr.value if isinstance(expr, RelayConstant) else self.bound.get(expr)

    def value(self, call: RelayCall, position: int) -> Value:
        """What an argument has become."""
        expr = argument(call, position)
        found = self.known(expr)
        return Tensor(constant(found)) if found is not None else self.values[expr]

    def tensor(self, call: RelayCall, position: int) -> Tensor:
        """An argument as a tensor of 8 bits or floats; ModelError where it is neither."""
        return self.emitted(self.value(call, position), call)

    def integers(self, call: RelayCall, position: int) -> Tensor:
        """The same, of 8 bits."""
        found = self.tensor(call, position)
        if dtype_of(found.expr) not in ACTIVATIONS:
            raise ModelError(
                f"{where(call)}: works on {dtype_of(found.expr)}; int8 and uint8 work, so put a "
                "qnn.quantize before it"
            )
        return found

    def emitted(self, value: Value, call: RelayCall) -> Tensor:
        """A value as a tensor; a layer is emitted once."""
        if isinstance(value, Tensor):
            return value
        if not isinstance(value, Layer):
            kind = "several tensors" if isinstance(value, tuple) else "int32 numbers"
            raise ModelError(
                f"{where(call)}: takes {kind}; a tensor of int8 or uint8 works, so put a "
                "qnn.requantize before it"
            )
        return self.complete(value)

    def complete(self, layer: Layer) -> Tensor:
        """The tensor of a layer, which is emitted the first time."""
        if layer.emitted is None:
            y = self.emit(make_call(layer.op, layer.args, layer.attrs), layer.op)
            y = self.permuted(y, NHWC_TO_NCHW) if layer.nchw else y
            layer.emitted = Tensor(y, layer.scale)
        return layer.emitted

    def emit(self, expr: Expr, op: str = "") -> Expr:
        """Binds an expression; with `op` it is a layer and named after it."""
        name = ""
        if op:
            name = f"{op.rpartition('.')[2]}_{self.layers}"
            self.layers += 1
        var = self.builder.emit(expr, name_hint=name)
        if math.prod(shape_of(var)) * np.dtype(dtype_of(var)).itemsize >= _MOST_BYTES:
            raise ModelError(f"a tensor of shape {shape_of(var)} has 2 GB or more")
        return var

    def permuted(self, x: Expr, axes: tuple[int, ...]) -> Expr:
        """A tensor with its axes in another order."""
        return self.moved(x, relax.op.permute_dims(x, list(axes)))

    def moved(self, x: Expr, expr: Expr) -> Expr:
        """Binds an expression that only moves the numbers of x."""
        var = self.emit(expr)
        if x in self.roots:
            self.roots[var] = self.roots[x]
        return var

    def learn(self, tensor: Tensor, scale: Scale) -> None:
        """Notes the scale that an operator says of its input, where it is one of the model's."""
        if tensor.expr in self.roots:
            self.inputs.setdefault(self.roots[tensor.expr], scale)

    def clamped(self, call: RelayCall, low: float, high: float) -> Value:
        """The call's 8-bit argument between two of its own numbers."""
        value = self.value(call, 0)
        if isinstance(value, Wide):
            return Wide(self._clamped(value.source, call, low, high))
        return self._clamped(value, call, low, high)

    def _clamped(self, value: Value, call: RelayCall, low: float, high: float) -> Layer:
        if isinstance(value, Layer) and not value.shared and not value.emitted:
            layer = value
        else:
            x = self.emitted(value, call)
            layer = rescaled(x.expr, UNIT, UNIT, dtype_of(x.expr), x.scale)
        attrs = layer.attrs
        y_min = min(max(attrs.y_min, int(low)), attrs.y_max)
        y_max = max(min(attrs.y_max, int(high)), y_min)
        return replace(layer, attrs=replace(attrs, y_min=y_min, y_max=y_max))


def rescaled(x: Expr, given: Scale, wanted: Scale, dtype: str, known: Scale | None) -> Layer:
    """x, of 8 bits, with another scale."""
    low, high = dtype_range(dtype)
    attrs = RequantizeAttrs(
        given.scale,
        given.zero_point,
        wanted.scale,
        wanted.zero_point,
        low,
        high,
        ROUNDING,
        dtype,
    )
    return Layer("vq.requantize", [x], attrs, known)


def where(call: RelayCall) -> str:
    """An operator, for messages."""
    return f"{call.op} (node {call.number})"


def argument(call: RelayCall, position: int) -> RelayExpr:
    """One of the call's arguments; ModelError where it has fewer."""
    if position >= len(call.args):
        raise ModelError(f"{where(call)}: lacks its argument {position}")
    return call.args[position]


def _parts(expr: RelayExpr) -> tuple[RelayExpr, ...]:
    if isinstance(expr, RelayCall):
        return expr.args
    return getattr(expr, "fields", ()) or ((expr.source,) if hasattr(expr, "source") else ())
