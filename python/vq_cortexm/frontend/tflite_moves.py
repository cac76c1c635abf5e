"""TFLite's operators that move values, and means of them."""

from __future__ import annotations

from collections.abc import Callable

import tflite as schema
from tvm import relax

from ..compat import Expr
from .tflite_context import Importer, activate
from .tflite_file import TfliteOperator, parse_options


def _concatenation(importer: Importer, operator: TfliteOperator) -> Expr:
    options = parse_options(operator, schema.ConcatenationOptions)
    parts = [importer.real(operator, i) for i in range(len(operator.inputs))]
    value = relax.op.concat(parts, axis=options.Axis())
    return activate(importer, value, operator, options.FusedActivationFunction())


def _reshape(importer: Importer, operator: TfliteOperator) -> Expr:
    return relax.op.reshape(importer.integer(operator, 0), importer.result(operator).shape)


def _pad(importer: Importer, operator: TfliteOperator) -> Expr:
    pads = importer.constant_ints(operator, 1)
    quantization = importer.tensor(operator, 0).quantization
    fill = float(quantization.zero_point[0]) if quantization is not None else 0.0
    return relax.op.nn.pad(
        importer.integer(operator, 0), [int(n) for pair in pads for n in pair], pad_value=fill
    )


def _mean(importer: Importer, operator: TfliteOperator) -> Expr:
    keep = bool(parse_options(operator, schema.ReducerOptions).KeepDims())
    axes = [int(a) for a in importer.constant_ints(operator, 1)]
    return relax.op.mean(importer.real(operator, 0), axis=axes, keepdims=keep)


MOVES: dict[str, Callable[[Importer, TfliteOperator], Expr]] = {
    "CONCATENATION": _concatenation,
    "MEAN": _mean,
    "PAD": _pad,
    "RESHAPE": _reshape,
}
