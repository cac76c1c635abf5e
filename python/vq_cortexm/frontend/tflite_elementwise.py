"""TFLite's operators on single elements, and softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tflite as schema
from tvm import relax

from ..compat import Expr, constant
from ..errors import ModelError
from .tflite_context import Converter, Importer, activate, dequantized, where
from .tflite_file import TfliteOperator, parse_options


def _binary(
    importer: Importer, operator: TfliteOperator, make: Callable[..., Expr], options: Any
) -> Expr:
    """With a fused activation, in a table of options `options`; None where there is none."""
    value = make(importer.real(operator, 0), importer.real(operator, 1))
    if options is None:
        return value
    fused = parse_options(operator, options).FusedActivationFunction()
    return activate(importer, value, operator, fused)


def _unary(importer: Importer, operator: TfliteOperator, make: Callable[[Expr], Expr]) -> Expr:
    return make(importer.real(operator, 0))


def _softmax(importer: Importer, operator: TfliteOperator) -> Expr:
    beta = float(parse_options(operator, schema.SoftmaxOptions).Beta())
    value = importer.real(operator, 0)
    if beta != 1.0:
        scaled = relax.op.multiply(value, relax.const(beta, "float32"))
        value = importer.builder.emit(scaled)
    return relax.op.nn.softmax(value, axis=-1)


def _leaky_relu(importer: Importer, operator: TfliteOperator) -> Expr:
    slope = float(parse_options(operator, schema.LeakyReluOptions).Alpha())
    return relax.op.nn.leakyrelu(importer.real(operator, 0), slope)


def _prelu(importer: Importer, operator: TfliteOperator) -> Expr:
    slope, shape = importer.tensor(operator, 1), importer.tensor(operator, 0).shape
    if slope.data is None or slope.quantization is None:
        raise ModelError(f"{where(operator)}: its slopes must be quantized constants")
    if slope.data.size not in (1, slope.shape[-1]):
        raise ModelError(f"{where(operator)}: slopes of shape {slope.shape}; one a channel works")
    values = dequantized(constant(slope.data.reshape(-1)), slope.quantization)
    value = importer.real(operator, 0)
    return relax.op.nn.prelu(value, importer.builder.emit(values), axis=len(shape) - 1)


def _hard_swish(importer: Importer, operator: TfliteOperator) -> Expr:
    value, emit = importer.real(operator, 0), importer.builder.emit
    gate = emit(relax.op.clip(emit(relax.op.add(value, _float(3.0))), 0.0, 6.0))
    return relax.op.divide(emit(relax.op.multiply(value, gate)), _float(6.0))


def _elu(importer: Importer, operator: TfliteOperator) -> Expr:
    value, emit = importer.real(operator, 0), importer.builder.emit
    below = emit(relax.op.minimum(value, _float(0.0)))
    curve = emit(relax.op.subtract(emit(relax.op.exp(below)), _float(1.0)))
    return relax.op.add(emit(relax.op.nn.relu(value)), curve)


def _gelu(importer: Importer, operator: TfliteOperator) -> Expr:
    approximate = parse_options(operator, schema.GeluOptions).Approximate()
    make = relax.op.nn.gelu_tanh if approximate else relax.op.nn.gelu
    return make(importer.real(operator, 0))


def _float(value: float) -> Expr:
    return relax.const(value, "float32")


_BINARY: dict[str, tuple[Callable[..., Expr], Any]] = {
    "ADD": (relax.op.add, schema.AddOptions),
    "MAXIMUM": (relax.op.maximum, None),
    "MINIMUM": (relax.op.minimum, None),
    "MUL": (relax.op.multiply, schema.MulOptions),
    "SUB": (relax.op.subtract, schema.SubOptions),
}

_UNARY: dict[str, Callable[[Expr], Expr]] = {
    "ABS": relax.op.abs,
    "DEQUANTIZE": lambda value: value,
    "EXP": relax.op.exp,
    "LOG": relax.op.log,
    "LOGISTIC": relax.op.sigmoid,
    "NEG": relax.op.negative,
    "QUANTIZE": lambda value: value,
    "RELU": relax.op.nn.relu,
    "RELU6": lambda value: relax.op.clip(value, 0.0, 6.0),
    "RELU_0_TO_1": lambda value: relax.op.clip(value, 0.0, 1.0),
    "RELU_N1_TO_1": lambda value: relax.op.clip(value, -1.0, 1.0),
    "SQRT": relax.op.sqrt,
    "TANH": relax.op.tanh,
}


def _converter(name: str) -> Converter:
    if name in _BINARY:
        return lambda importer, operator: _binary(importer, operator, *_BINARY[name])
    return lambda importer, operator: _unary(importer, operator, _UNARY[name])


ELEMENTWISE: dict[str, Converter] = {
    **{name: _converter(name) for name in (*_BINARY, *_UNARY)},
    "ELU": _elu,
    "GELU": _gelu,
    "HARD_SWISH": _hard_swish,
    "LEAKY_RELU": _leaky_relu,
    "PRELU": _prelu,
    "SOFTMAX": _softmax,
}
