"""TFLite's operators on single elements, and softmax."""

from __future__ import annotations

from collections.abc import Callable

import tflite as schema
from tvm import relax

from ..compat import Expr
from .tflite_context import Importer, activate
from .tflite_file import TfliteOperator, parse_options


def _add(importer: Importer, operator: TfliteOperator) -> Expr:
    options = parse_options(operator, schema.AddOptions)
    value = relax.op.add(importer.real(operator, 0), importer.real(operator, 1))
    return activate(importer, value, operator, options.FusedActivationFunction())


def _softmax(importer: Importer, operator: TfliteOperator) -> Expr:
    beta = float(parse_options(operator, schema.SoftmaxOptions).Beta())
    value = importer.real(operator, 0)
    if beta != 1.0:
        scaled = relax.op.multiply(value, relax.const(beta, "float32"))
        value = importer.builder.emit(scaled)
    return relax.op.nn.softmax(value, axis=-1)


def _relu(importer: Importer, operator: TfliteOperator) -> Expr:
    value = importer.real(operator, 0)
    return relax.op.nn.relu(value) if operator.name == "RELU" else relax.op.clip(value, 0.0, 6.0)


def _requantize(importer: Importer, operator: TfliteOperator) -> Expr:
    return importer.real(operator, 0)


ELEMENTWISE: dict[str, Callable[[Importer, TfliteOperator], Expr]] = {
    "ADD": _add,
    "QUANTIZE": _requantize,
    "RELU": _relu,
    "RELU6": _relu,
    "SOFTMAX": _softmax,
}
