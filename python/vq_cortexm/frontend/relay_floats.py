"""What a Relay module computes in floats, between `qnn.dequantize` and `qnn.quantize`.

It becomes Relax in QDQ form, to which the fold gives the meaning that it has in every model. So an
operator that the fold does not know is refused there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import relax

from ..compat import Expr, constant, dtype_of, shape_of
from ..errors import ModelError
from .relay_graph import RelayCall
from .relay_products import scale_at, sides, spread
from .relay_values import ACTIVATIONS, Converter, Scale, Tensor, Value, Wide, where


def is_float(value: Value) -> bool:
    """Whether it is a tensor of floats."""
    return isinstance(value, Tensor) and dtype_of(value.expr) == "float32"


def _quantize(converter: Converter, call: RelayCall) -> Value:
    y, dtype = scale_at(converter, call, 1, 2), call.attrs.text("out_dtype", "int8")
    return _quantized(converter, call, converter.tensor(call, 0).expr, y, dtype)


def _quantized(
    converter: Converter, call: RelayCall, x: Expr, y: Scale, dtype: str, op: str = ""
) -> Value:
    if dtype not in ACTIVATIONS or dtype_of(x) != "float32":
        raise ModelError(f"{where(call)}: from {dtype_of(x)} to {dtype}; float32 to int8 works")
    emitted = relax.op.quantize(x, *_ends(y), out_dtype=dtype)
    return Tensor(converter.emit(emitted, op or _name_of(converter, x)), y)


def _name_of(converter: Converter, x: Expr) -> str:
    """What a layer is called that ends here: after the last operator."""
    found = converter.builder.lookup_binding(x)
    return str(found.op.name) if isinstance(found, relax.Call) else "quantize"


def _dequantize(converter: Converter, call: RelayCall) -> Value:
    """Of a tensor, or of constant weights, which may have a scale for each channel."""
    value = converter.value(call, 0)
    x = converter.emitted(value.source if isinstance(value, Wide) else value, call)
    if (given := converter.known(call.args[0])) is not None:
        scales = np.asarray(converter.array(call, 1), np.float32)
        zero_points = np.broadcast_to(converter.array(call, 2).astype(np.int32), scales.shape)
        axis = call.attrs.integer("axis", -1) % max(given.ndim, 1)
        ends = (constant(scales), constant(zero_points.copy()))
        return Tensor(converter.emit(relax.op.dequantize(x.expr, *ends, axis=axis)))
    scale = scale_at(converter, call, 1, 2)
    converter.learn(x, scale)
    return Tensor(converter.emit(_real(converter.integers(call, 0).expr, scale)))


def _real(x: Expr, scale: Scale) -> Expr:
    return relax.op.dequantize(x, *_ends(scale))


def _ends(scale: Scale) -> tuple[Expr, Expr]:
    """Scale and zero point as constants."""
    return constant(np.array(scale.scale, "float32")), constant(np.array(scale.zero_point, "int32"))


def _quantized_unary(converter: Converter, call: RelayCall) -> Value:
    """qnn.tanh and its like: dequantize, the function, quantize."""
    x = converter.integers(call, 0)
    given, y = scale_at(converter, call, 1, 2), scale_at(converter, call, 3, 4)
    converter.learn(x, given)
    make = _UNARY[call.op.removeprefix("qnn.")]
    real = converter.emit(make(converter.emit(_real(x.expr, given))))
    return _quantized(converter, call, real, y, dtype_of(x.expr), call.op)


def _unary(converter: Converter, call: RelayCall) -> Value:
    return Tensor(converter.emit(_UNARY[call.op](converter.tensor(call, 0).expr)))


def _binary(converter: Converter, call: RelayCall) -> Value:
    a, b = (converter.tensor(call, i).expr for i in (0, 1))
    return Tensor(converter.emit(_BINARY[call.op](a, b)))


def _clip(converter: Converter, call: RelayCall) -> Value:
    low, high = call.attrs.number("a_min"), call.attrs.number("a_max")
    return Tensor(converter.emit(relax.op.clip(converter.tensor(call, 0).expr, low, high)))


def _leaky_relu(converter: Converter, call: RelayCall) -> Value:
    x, alpha = converter.tensor(call, 0).expr, call.attrs.number("alpha")
    return Tensor(converter.emit(relax.op.nn.leakyrelu(x, alpha)))


def _softmax(converter: Converter, call: RelayCall) -> Value:
    x = converter.tensor(call, 0).expr
    return Tensor(converter.emit(relax.op.nn.softmax(x, call.attrs.integer("axis", -1))))


def _conv2d(converter: Converter, call: RelayCall) -> Value:
    """Weights move to the order that the fold knows."""
    attrs = call.attrs
    layout, kernel = attrs.text("data_layout", "NCHW"), attrs.text("kernel_layout", "OIHW")
    x, weight = (converter.tensor(call, i).expr for i in (0, 1))
    given: dict[str, Any] = {
        "strides": list(spread(attrs.integers("strides"), 2, 1)),
        "padding": list(sides(attrs.integers("padding"))),
        "dilation": list(spread(attrs.integers("dilation"), 2, 1)),
        "groups": attrs.integer("groups", 1),
    }
    if kernel not in ("OIHW", "OHWI"):
        raise ModelError(f"{where(call)}: float weights {kernel}; OIHW and OHWI work")
    y = relax.op.nn.conv2d(x, weight, **given, data_layout=layout, kernel_layout=kernel)
    return Tensor(converter.emit(y))


def _dense(converter: Converter, call: RelayCall) -> Value:
    x, weight = (converter.tensor(call, i).expr for i in (0, 1))
    return Tensor(converter.emit(relax.op.matmul(x, converter.emit(relax.op.permute_dims(weight)))))


def _bias_add(converter: Converter, call: RelayCall) -> Value:
    x, bias = (converter.tensor(call, i).expr for i in (0, 1))
    rank, axis = len(shape_of(x)), call.attrs.integer("axis", 1)
    after = rank - 1 - axis % rank
    if after:
        bias = converter.emit(relax.op.reshape(bias, (*shape_of(bias), *[1] * after)))
    return Tensor(converter.emit(relax.op.add(x, bias)))


_BINARY: dict[str, Callable[[Expr, Expr], Expr]] = {
    "add": relax.op.add,
    "divide": relax.op.divide,
    "maximum": relax.op.maximum,
    "minimum": relax.op.minimum,
    "multiply": relax.op.multiply,
    "subtract": relax.op.subtract,
}

_UNARY: dict[str, Callable[[Expr], Expr]] = {
    "abs": relax.op.abs,
    "erf": relax.op.erf,
    "exp": relax.op.exp,
    "log": relax.op.log,
    "nn.relu": relax.op.nn.relu,
    "rsqrt": relax.op.rsqrt,
    "sigmoid": relax.op.sigmoid,
    "sqrt": relax.op.sqrt,
    "tanh": relax.op.tanh,
}
_QUANTIZED_UNARY = ("abs", "erf", "exp", "log", "rsqrt", "sigmoid", "sqrt", "tanh")

BORDERS: dict[str, Callable[[Converter, RelayCall], Value]] = {
    "qnn.dequantize": _dequantize,
    "qnn.quantize": _quantize,
    **{f"qnn.{name}": _quantized_unary for name in _QUANTIZED_UNARY},
}
"""Relay operator between integers and floats → its converter."""

FLOATS: dict[str, Callable[[Converter, RelayCall], Value]] = {
    **dict.fromkeys(_BINARY, _binary),
    **dict.fromkeys(_UNARY, _unary),
    "clip": _clip,
    "nn.bias_add": _bias_add,
    "nn.conv2d": _conv2d,
    "nn.dense": _dense,
    "nn.leaky_relu": _leaky_relu,
    "nn.softmax": _softmax,
}
"""Relay operator of floats → its converter."""
