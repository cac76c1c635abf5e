"""TFLite → Relax QDQ: every quantized operator as dequantize → float operator → quantize.

Layouts stay TFLite's own (NHWC activations, OHWI weights), so nothing is transposed. Operators
that only move integers (reshape, pad) are emitted on the integers where TFLite demands equal
parameters on both sides.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tflite as schema
from tvm import relax

from ..c_names import unique_identifiers
from ..compat import Expr, IRModule, constant, dtype_of, main_function, tensor_type
from ..errors import ModelError, first_line
from .tflite_file import (
    Quantization,
    TfliteGraph,
    TfliteOperator,
    TfliteTensor,
    parse_options,
    read_graph,
)

_ACTIVATION = schema.ActivationFunctionType


def from_tflite(model: str | Path | bytes | Any, name: str | None = None) -> IRModule:
    """Relax module (one function, `main`) of an int8 or uint8 TFLite model.

    `model` is a path, the file's bytes, or a parsed `tflite.Model`. Raises ModelError for a file
    that cannot be read or an operator that is not supported, naming it.
    """
    if isinstance(model, (str, Path)):
        name = name or Path(model).name
        try:
            data = Path(model).read_bytes()
        except OSError as error:
            raise ModelError(f"{name}: {error.strerror}") from None
        return from_tflite(data, name)
    graph = read_graph(model, name or "TFLite model")
    try:
        return _Importer(graph).run()
    except ModelError as error:
        raise ModelError(f"{name or 'TFLite model'}: {error}") from None
    except Exception as error:  # TVM's shape rules refuse what a damaged file asks for
        raise ModelError(
            f"{name or 'TFLite model'}: damaged or not supported: {first_line(error)}"
        ) from error


class _Importer:
    """Walks the operators once; `values` maps tensor indices to Relax expressions."""

    def __init__(self, graph: TfliteGraph) -> None:
        self.graph = graph
        self.builder = relax.BlockBuilder()
        self.values: dict[int, Expr] = {}

    def run(self) -> IRModule:
        names = unique_identifiers(
            [short_name(self.graph.tensors[i].name) for i in self.graph.inputs]
        )
        parameters = []
        for index, name in zip(self.graph.inputs, names, strict=True):
            tensor = self.graph.tensors[index]
            var = relax.Var(name, tensor_type(tensor.shape, tensor.dtype))
            self.values[index] = var
            parameters.append(var)
        with main_function(self.builder, parameters) as finish:
            for operator in self.graph.operators:
                self._emit(operator)
            results = [self._value(i, "the graph's output") for i in self.graph.outputs]
            finish(results[0] if len(results) == 1 else relax.Tuple(results))
        output_names = unique_identifiers(
            [short_name(self.graph.tensors[i].name) for i in self.graph.outputs]
        )
        module = self.builder.get()
        module["main"] = module["main"].with_attr("vq.output_names", output_names)
        return module

    def tensor(self, operator: TfliteOperator, position: int) -> TfliteTensor:
        """The operator's input number `position`."""
        if position >= len(operator.inputs) or operator.inputs[position] < 0:
            raise ModelError(f"{_where(operator)}: lacks its input {position}")
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
        value = self._value(index, _where(operator))
        if tensor.quantization is None:
            if tensor.dtype == "float32":
                return value
            raise ModelError(f"{_where(operator)}: input {tensor.name!r} has no scale")
        return self.builder.emit(_dequantize(value, tensor.quantization))

    def integer(self, operator: TfliteOperator, position: int) -> Expr:
        """The input as it is stored."""
        return self._value(operator.inputs[position], _where(operator))

    def constant_ints(self, operator: TfliteOperator, position: int) -> list[Any]:
        """A constant integer input (axes, paddings, shapes)."""
        data = self.tensor(operator, position).data
        if data is None:
            raise ModelError(f"{_where(operator)}: input {position} must be a constant")
        return list(data.tolist()) if data.ndim else [int(data)]

    def _value(self, index: int, where: str) -> Expr:
        if index not in self.values:
            tensor = self.graph.tensors[index]
            if tensor.data is None:
                raise ModelError(f"{where}: tensor {tensor.name!r} is read before it is written")
            self.values[index] = constant(tensor.data)
        return self.values[index]

    def _emit(self, operator: TfliteOperator) -> None:
        if operator.name not in _CONVERTERS:
            raise ModelError(
                f"{_where(operator)} is not supported; supported: {', '.join(sorted(_CONVERTERS))}"
            )
        if len(operator.outputs) != 1:
            raise ModelError(f"{_where(operator)}: has {len(operator.outputs)} outputs; one works")
        value = self.builder.normalize(_CONVERTERS[operator.name](self, operator))
        tensor = self.result(operator)
        hint = f"{operator.name.lower()}_{operator.index}"
        if dtype_of(value) != tensor.dtype:
            if tensor.quantization is None:
                raise ModelError(f"{_where(operator)}: its output has no scale")
            value = _quantize(value, tensor.quantization, tensor.dtype)
        self.values[operator.outputs[0]] = self.builder.emit(value, name_hint=hint)


def _where(operator: TfliteOperator) -> str:
    return f"{operator.name} (operator {operator.index})"


def short_name(name: str) -> str:
    """What a fused tensor is called last, without its output number."""
    return name.split(";")[-1].split(":")[0]


def _parameters(quantization: Quantization) -> tuple[Expr, Expr, int]:
    per_tensor = quantization.scale.size == 1
    scale, zero_point = quantization.scale, quantization.zero_point.astype(np.int32)
    if per_tensor:
        return constant(scale.reshape(())), constant(zero_point.reshape(())), -1
    return constant(scale), constant(zero_point), quantization.axis


def _dequantize(value: Expr, quantization: Quantization) -> Expr:
    scale, zero_point, axis = _parameters(quantization)
    return relax.op.dequantize(value, scale, zero_point, axis=axis)


def _quantize(value: Expr, quantization: Quantization, dtype: str) -> Expr:
    scale, zero_point, axis = _parameters(quantization)
    return relax.op.quantize(value, scale, zero_point, axis=axis, out_dtype=dtype)


def _activate(importer: _Importer, value: Expr, operator: TfliteOperator, activation: int) -> Expr:
    value = importer.builder.emit(value)
    if activation == _ACTIVATION.NONE:
        return value
    if activation == _ACTIVATION.RELU:
        return importer.builder.emit(relax.op.nn.relu(value))
    if activation == _ACTIVATION.RELU6:
        return importer.builder.emit(relax.op.clip(value, 0.0, 6.0))
    if activation == _ACTIVATION.RELU_N1_TO_1:
        return importer.builder.emit(relax.op.clip(value, -1.0, 1.0))
    raise ModelError(f"{_where(operator)}: unsupported fused activation number {activation}")


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


def _conv(importer: _Importer, operator: TfliteOperator, depthwise: bool) -> Expr:
    options = parse_options(
        operator, schema.DepthwiseConv2DOptions if depthwise else schema.Conv2DOptions
    )
    x, weight = importer.tensor(operator, 0), importer.tensor(operator, 1)
    if len(x.shape) != 4 or len(weight.shape) != 4 or weight.data is None:
        raise ModelError(f"{_where(operator)}: needs a 4-D input and constant 4-D weights")
    stride = (options.StrideH(), options.StrideW())
    dilation = (options.DilationHFactor(), options.DilationWFactor())
    kernel_size = (weight.shape[1], weight.shape[2])
    padding = same_or_valid(options.Padding(), x.shape[1:3], kernel_size, stride, dilation)
    if depthwise:
        # (1, KH, KW, C * multiplier) → one input channel per output channel, OHWI
        data = weight.data.reshape(*kernel_size, -1).transpose(2, 0, 1)[..., None]
        quantization = weight.quantization
        if quantization is not None and quantization.scale.size > 1:
            quantization = Quantization(quantization.scale, quantization.zero_point, 0)
        groups = x.shape[3]
    else:
        data, quantization, groups = weight.data, weight.quantization, 1
        if x.shape[3] % weight.shape[3]:
            raise ModelError(
                f"{_where(operator)}: {x.shape[3]} input channels do not divide into groups of "
                f"{weight.shape[3]}"
            )
        groups = x.shape[3] // weight.shape[3]
    if quantization is None:
        raise ModelError(f"{_where(operator)}: its weights have no scale; quantize the model")
    kernel = importer.builder.emit(_dequantize(constant(data), quantization))
    value = relax.op.nn.conv2d(
        importer.real(operator, 0),
        kernel,
        strides=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        data_layout="NHWC",
        kernel_layout="OHWI",
    )
    value = _add_bias(importer, operator, value)
    return _activate(importer, value, operator, options.FusedActivationFunction())


def _add_bias(importer: _Importer, operator: TfliteOperator, value: Expr) -> Expr:
    if not importer.has_input(operator, 2):
        return value
    value = importer.builder.emit(value)
    return relax.op.add(value, importer.real(operator, 2))


def _fully_connected(importer: _Importer, operator: TfliteOperator) -> Expr:
    options = parse_options(operator, schema.FullyConnectedOptions)
    weight = importer.tensor(operator, 1)
    if weight.data is None or len(weight.shape) != 2:
        raise ModelError(f"{_where(operator)}: needs constant 2-D weights")
    value = importer.real(operator, 0)
    shape = importer.tensor(operator, 0).shape
    if len(shape) != 2 and not options.KeepNumDims():
        value = importer.builder.emit(relax.op.reshape(value, (-1, weight.shape[1])))
    kernel = importer.builder.emit(relax.op.permute_dims(importer.real(operator, 1)))
    value = _add_bias(importer, operator, relax.op.matmul(value, kernel))
    return _activate(importer, value, operator, options.FusedActivationFunction())


def _pool(importer: _Importer, operator: TfliteOperator, average: bool) -> Expr:
    options = parse_options(operator, schema.Pool2DOptions)
    size = (options.FilterHeight(), options.FilterWidth())
    stride = (options.StrideH(), options.StrideW())
    shape = importer.tensor(operator, 0).shape
    padding = same_or_valid(options.Padding(), (shape[1], shape[2]), size, stride)
    pool = relax.op.nn.avg_pool2d if average else relax.op.nn.max_pool2d
    keywords = {"count_include_pad": False} if average else {}
    value = pool(
        importer.real(operator, 0), size, strides=stride, padding=padding, layout="NHWC", **keywords
    )
    return _activate(importer, value, operator, options.FusedActivationFunction())


def _add(importer: _Importer, operator: TfliteOperator) -> Expr:
    options = parse_options(operator, schema.AddOptions)
    value = relax.op.add(importer.real(operator, 0), importer.real(operator, 1))
    return _activate(importer, value, operator, options.FusedActivationFunction())


def _concatenation(importer: _Importer, operator: TfliteOperator) -> Expr:
    options = parse_options(operator, schema.ConcatenationOptions)
    parts = [importer.real(operator, i) for i in range(len(operator.inputs))]
    value = relax.op.concat(parts, axis=options.Axis())
    return _activate(importer, value, operator, options.FusedActivationFunction())


def _softmax(importer: _Importer, operator: TfliteOperator) -> Expr:
    beta = float(parse_options(operator, schema.SoftmaxOptions).Beta())
    value = importer.real(operator, 0)
    if beta != 1.0:
        scaled = relax.op.multiply(value, relax.const(beta, "float32"))
        value = importer.builder.emit(scaled)
    return relax.op.nn.softmax(value, axis=-1)


def _reshape(importer: _Importer, operator: TfliteOperator) -> Expr:
    return relax.op.reshape(importer.integer(operator, 0), importer.result(operator).shape)


def _pad(importer: _Importer, operator: TfliteOperator) -> Expr:
    pads = importer.constant_ints(operator, 1)
    quantization = importer.tensor(operator, 0).quantization
    fill = float(quantization.zero_point[0]) if quantization is not None else 0.0
    return relax.op.nn.pad(
        importer.integer(operator, 0), [int(n) for pair in pads for n in pair], pad_value=fill
    )


def _mean(importer: _Importer, operator: TfliteOperator) -> Expr:
    keep = bool(parse_options(operator, schema.ReducerOptions).KeepDims())
    axes = [int(a) for a in importer.constant_ints(operator, 1)]
    return relax.op.mean(importer.real(operator, 0), axis=axes, keepdims=keep)


def _relu(importer: _Importer, operator: TfliteOperator) -> Expr:
    value = importer.real(operator, 0)
    return relax.op.nn.relu(value) if operator.name == "RELU" else relax.op.clip(value, 0.0, 6.0)


def _requantize(importer: _Importer, operator: TfliteOperator) -> Expr:
    return importer.real(operator, 0)


_CONVERTERS: dict[str, Callable[[_Importer, TfliteOperator], Expr]] = {
    "ADD": _add,
    "AVERAGE_POOL_2D": lambda importer, operator: _pool(importer, operator, average=True),
    "CONCATENATION": _concatenation,
    "CONV_2D": lambda importer, operator: _conv(importer, operator, depthwise=False),
    "DEPTHWISE_CONV_2D": lambda importer, operator: _conv(importer, operator, depthwise=True),
    "FULLY_CONNECTED": _fully_connected,
    "MAX_POOL_2D": lambda importer, operator: _pool(importer, operator, average=False),
    "MEAN": _mean,
    "PAD": _pad,
    "QUANTIZE": _requantize,
    "RELU": _relu,
    "RELU6": _relu,
    "RESHAPE": _reshape,
    "SOFTMAX": _softmax,
}
