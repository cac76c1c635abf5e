"""What the converters of TFLite's operators share: their inputs, activations and paddings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tflite as schema
from tvm import relax

from ..compat import Expr, constant, dtype_of
from ..errors import ModelError
from .tflite_file import Quantization, TfliteGraph, TfliteOperator, TfliteTensor

_ACTIVATION = schema.ActivationFunctionType


class Importer:
    """What converters ask for; `values` maps tensor indices to Relax expressions."""

    def __init__(self, graph: TfliteGraph) -> None:
        self.graph = graph
        self.builder = relax.BlockBuilder()
        self.values: dict[int, Expr] = {}

    def tensor(self, operator: TfliteOperator, position: int) -> TfliteTensor:
        """The operator's input number `position`."""
        if position >= len(operator.inputs) or operator.inputs[position] < 0:
            raise ModelError(f"{where(operator)}: lacks its input {position}")
        return self.graph.tensors[operator.inputs[position]]

    def has_input(self, operator: TfliteOperator, position: int) -> bool:
        """Whether the optional input is there."""
        return position < len(operator.inputs) and operator.inputs[position] >= 0

    def result(self, operator: TfliteOperator) -> TfliteTensor:
        """The operator's only output."""
        return self.graph.tensors[operator.outputs[0]]

    def real(self, operator: TfliteOperator, position: int) -> Expr:
        """The input as float: dequantized where it is quantized."""
        index = operator.inputs[position]
        tensor = self.tensor(operator, position)
        value = self.value(index, where(operator))
        if tensor.quantization is None:
            if tensor.dtype == "float32":
                return value
            raise ModelError(f"{where(operator)}: input {tensor.name!r} has no scale")
        return self.builder.emit(dequantized(value, tensor.quantization))

    def integer(self, operator: TfliteOperator, position: int) -> Expr:
        """The input as it is stored."""
        return self.value(operator.inputs[position], where(operator))

    def constant_ints(self, operator: TfliteOperator, position: int) -> list[Any]:
        """A constant integer input (axes, paddings, shapes)."""
        data = self.tensor(operator, position).data
        if data is None:
            raise ModelError(f"{where(operator)}: input {position} must be a constant")
        return list(data.tolist()) if data.ndim else [int(data)]

    def value(self, index: int, where: str) -> Expr:
        """A tensor as it is stored; `where` is said if it is read before it is written."""
        if index not in self.values:
            tensor = self.graph.tensors[index]
            if tensor.data is None:
                raise ModelError(f"{where}: tensor {tensor.name!r} is read before it is written")
            self.values[index] = constant(tensor.data)
        return self.values[index]


Converter = Callable[[Importer, TfliteOperator], Expr | list[Expr]]
"""An operator's output, or one for each of its outputs."""


def where(operator: TfliteOperator) -> str:
    """An operator, for messages."""
    return f"{operator.name} (operator {operator.index})"


def _parameters(quantization: Quantization) -> tuple[Expr, Expr, int]:
    per_tensor = quantization.scale.size == 1
    scale, zero_point = quantization.scale, quantization.zero_point.astype(np.int32)
    if per_tensor:
        return constant(scale.reshape(())), constant(zero_point.reshape(())), -1
    return constant(scale), constant(zero_point), quantization.axis


def dequantized(value: Expr, quantization: Quantization) -> Expr:
    """As real numbers."""
    scale, zero_point, axis = _parameters(quantization)
    if dtype_of(value) == "int64":
        # biases beside int16 activations: `dequantize` takes no int64
        return relax.op.multiply(relax.op.astype(value, "float32"), scale)
    return relax.op.dequantize(value, scale, zero_point, axis=axis)


def quantized(value: Expr, quantization: Quantization, dtype: str) -> Expr:
    """As integers of `dtype`."""
    scale, zero_point, axis = _parameters(quantization)
    return relax.op.quantize(value, scale, zero_point, axis=axis, out_dtype=dtype)


def activate(importer: Importer, value: Expr, operator: TfliteOperator, activation: int) -> Expr:
    """`value` behind an activation that is fused into its operator."""
    value = importer.builder.emit(value)
    if activation == _ACTIVATION.NONE:
        return value
    if activation == _ACTIVATION.RELU:
        return importer.builder.emit(relax.op.nn.relu(value))
    if activation == _ACTIVATION.RELU6:
        return importer.builder.emit(relax.op.clip(value, 0.0, 6.0))
    if activation == _ACTIVATION.RELU_N1_TO_1:
        return importer.builder.emit(relax.op.clip(value, -1.0, 1.0))
    raise ModelError(f"{where(operator)}: unsupported fused activation number {activation}")


def same_or_valid(
    padding: int,
    in_size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> list[int]:
    """[top, left, bottom, right] of TFLite's SAME (odd pixel at the end) or VALID."""
    if padding == schema.Padding.VALID:
        return [0, 0, 0, 0]
    total = [
        max(0, (-(-n // s) - 1) * s + (k - 1) * d + 1 - n)
        for n, k, s, d in zip(in_size, kernel, stride, dilation, strict=True)
    ]
    before = [t // 2 for t in total]
    return [before[0], before[1], total[0] - before[0], total[1] - before[1]]
