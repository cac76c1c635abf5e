"""What the rules of the QDQ fold share: quantization parameters, a layer's context, the folder."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..compat import Expr, constant_value, dtype_of, is_constant, op_name
from ..errors import ModelError
from ..op.quantization import dtype_range, quantize_bound
from ..op.rounding import Rounding

SOURCE = "vq.source"
"""The attribute of `main` that says which kind of file it comes from: "tflite" or nothing."""

TENSORS = "vq.tensors"
"""The attribute of an imported `main` that has the name in the file of what a variable is, by the
variable's name."""

REALS = "vq.reals"
"""The same of integers that the file has as real numbers alone: [name, scale, zero point] of
these."""

ACTIVATIONS = {"relax.nn.relu", "relax.clip", "relax.nn.relu6"}

FLOAT_HINT = "quantize it, or --allow-float computes it in float32"
"""What messages say of a layer without integer form."""


@dataclass(frozen=True)
class QuantParams:
    """real = scale * (q - zero_point), per tensor, q of `dtype`."""

    scale: float
    zero_point: int
    dtype: str


def read_quant_params(call: Expr, where: str) -> QuantParams:
    """The per-tensor parameters of a quantize or dequantize call."""
    scale, zero_point = read_scales(call, where)
    if scale.size != 1:
        raise ModelError(f"{where}: per-channel activations are not supported")
    dtype = dtype_of(call.args[0])
    if op_name(call) == "relax.quantize":
        dtype = str(call.attrs.out_dtype)
    if dtype not in ("int8", "uint8", "int16", "int32"):
        raise ModelError(f"{where}: {dtype} tensors are not supported; int8, uint8 and int16 are")
    if dtype == "int16" and np.any(zero_point != 0):
        raise ModelError(f"{where}: int16 with a zero point; quantize it symmetrically, to 0")
    lowest, highest = dtype_range(dtype)
    if np.any((zero_point < lowest) | (zero_point > highest)):
        raise ModelError(
            f"{where}: its zero point is not one of {dtype}: {lowest} to {highest} work"
        )
    return QuantParams(float(scale.reshape(-1)[0]), int(zero_point.reshape(-1)[0]), dtype)


def activation_range(
    y: QuantParams, low: float, high: float, rounding: Rounding
) -> tuple[int, int]:
    """The clamp in the quantized domain of an activation's real bounds (infinite: none)."""
    lowest, highest = dtype_range(y.dtype)
    if y.dtype == "int16" and rounding == "float":
        rounding = "double"  # LiteRT's kernels of int16 are TensorFlow Lite's own
    bounds = (low, lowest), (high, highest)
    y_min, y_max = (
        limit
        if math.isinf(real)
        else quantize_bound(real, y.scale, y.zero_point, y.dtype, rounding)
        for real, limit in bounds
    )
    return y_min, y_max


def intersect(call: Expr, low: float, high: float) -> tuple[float, float]:
    """The real bounds low and high within those of an activation."""
    if op_name(call) == "relax.clip":
        bounds = [number(a) for a in call.args[1:3]]
    else:
        bounds = [0.0, 6.0 if op_name(call) == "relax.nn.relu6" else float("inf")]
    return max(low, bounds[0]), min(high, bounds[1])


def read_scales(call: Expr, where: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """The float32 scales and the zero points of a quantize or dequantize call."""
    if not (is_constant(call.args[1]) and is_constant(call.args[2])):
        raise ModelError(f"{where}: its scale and zero point must be constants")
    scale = np.asarray(constant_value(call.args[1]), np.float32)
    if not np.all(np.isfinite(scale)) or np.any(scale <= 0):
        raise ModelError(f"{where}: a scale is not a positive number")
    return scale, constant_value(call.args[2])


def number(expr: Expr) -> float:
    """A scalar of an operator: a constant, or a value that TVM keeps as an attribute does."""
    if is_constant(expr):
        return float(constant_value(expr))
    return float(expr.value.value if hasattr(expr.value, "value") else expr.value)


@dataclass(frozen=True)
class LayerContext:
    """What a rule sees of the layer it folds: name for messages, output parameters and clamp."""

    name: str
    y: QuantParams
    y_min: int
    y_max: int
    rounding: Rounding

    @property
    def changes_nothing(self) -> bool:
        """Whether the clamp is the output type's whole range."""
        return (self.y_min, self.y_max) == dtype_range(self.y.dtype)


def input_attrs(params: QuantParams) -> dict[str, Any]:
    """The attributes of an operator's input."""
    return {"x_scale": params.scale, "x_zero_point": params.zero_point}


def output_attrs(context: LayerContext) -> dict[str, Any]:
    """The attributes of an operator's output."""
    return {
        "y_scale": context.y.scale,
        "y_zero_point": context.y.zero_point,
        "y_min": context.y_min,
        "y_max": context.y_max,
        "y_dtype": context.y.dtype,
        "rounding": context.rounding,
    }


class Folder(Protocol):
    """What a rule asks of the pass."""

    def resolve(self, expr: Expr) -> Expr:
        """The call that computed a variable, through plain re-bindings."""

    def dequantized(self, expr: Expr, context: LayerContext) -> tuple[Expr, QuantParams]:
        """The folded integer tensor (or constant) behind a float input and its parameters."""

    def integer(self, expr: Expr) -> Expr:
        """The folded counterpart of an integer variable or constant."""

    def emit(self, call: Expr, name: str = "") -> Expr:
        """Binds `call`; named after its layer where `name` is given."""
