"""TFLite → float network: float models, and int8 ones with their weights as real numbers.

TFLite's activations have their channels last, the network's second. Each tensor may be known in
both layouts; the one that lacks is made by a transpose when an operator asks for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import tflite as schema

from ..c_names import unique_identifiers
from ..errors import ModelError, first_line
from ..frontend.tflite import short_name
from ..frontend.tflite_context import same_or_valid, where
from ..frontend.tflite_file import (
    TfliteGraph,
    TfliteOperator,
    TfliteTensor,
    parse_options,
    read_graph,
)
from .graph import FloatArray, FloatGraph, Node, Scale, Window, simplify

_ACTIVATIONS = {
    schema.ActivationFunctionType.NONE: (-math.inf, math.inf),
    schema.ActivationFunctionType.RELU: (0.0, math.inf),
    schema.ActivationFunctionType.RELU6: (0.0, 6.0),
    schema.ActivationFunctionType.RELU_N1_TO_1: (-1.0, 1.0),
}


def read_tflite(data: bytes, name: str) -> FloatGraph:
    """The network of a float32 or int8 file with one input; ModelError, naming it, otherwise."""
    graph = read_graph(data, name)
    try:
        return _Reader(graph).run()
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from None
    except Exception as error:  # options are read where they are needed: damage shows here
        raise ModelError(f"{name}: damaged or not supported: {first_line(error)}") from error


class _Reader:
    """Walks the operators; a tensor has its own name as the file has it, and `<name>_first` with
    channels first."""

    def __init__(self, graph: TfliteGraph) -> None:
        self.graph = graph
        self.names = unique_identifiers([short_name(t.name) for t in graph.tensors])
        self.nodes: list[Node] = []
        self.made: set[str] = set()
        self.scales: dict[str, Scale] = {}

    def run(self) -> FloatGraph:
        if len(self.graph.inputs) != 1:
            raise ModelError(f"has {len(self.graph.inputs)} inputs; one works")
        shape = self.graph.tensors[self.graph.inputs[0]].shape
        if len(shape) < 2 or shape[0] != 1:
            raise ModelError(f"its input {shape} needs a batch of 1 in front")
        self.write(self.graph.inputs[0], last=True)
        for operator in self.graph.operators:
            if operator.name not in _CONVERTERS:
                known = ", ".join(sorted(_CONVERTERS))
                raise ModelError(f"{self.where(operator)} is not supported; supported: {known}")
            _CONVERTERS[operator.name](self, operator)
        outputs = tuple(self.read(i, last=True) for i in self.graph.outputs)  # adds transposes
        graph = FloatGraph(
            self.names[self.graph.inputs[0]],
            shape[1:],
            len(shape) - 2,
            tuple(self.nodes),
            outputs,
            self.scales,
        )
        return simplify(graph)

    where = staticmethod(where)

    def tensor(self, operator: TfliteOperator, position: int) -> TfliteTensor | None:
        """The operator's input; None where it is left out."""
        if position >= len(operator.inputs) or operator.inputs[position] < 0:
            return None
        return self.graph.tensors[operator.inputs[position]]

    def constant(self, operator: TfliteOperator, position: int) -> FloatArray:
        """A constant input as real numbers (integers without a scale: as they are)."""
        tensor = self.tensor(operator, position)
        if tensor is None or tensor.data is None:
            raise ModelError(f"{self.where(operator)}: input {position} must be a constant")
        if tensor.quantization is None:
            return tensor.data.astype(np.float32)
        along = [1] * tensor.data.ndim
        if tensor.quantization.scale.size > 1:
            along[tensor.quantization.axis] = -1
        scale, zero_point = tensor.quantization.scale, tensor.quantization.zero_point
        centred = tensor.data.astype(np.float64) - zero_point.reshape(along)
        return np.asarray(centred * scale.reshape(along), np.float32)

    def read(self, index: int, last: bool) -> str:
        """The name of an activation in the wanted layout."""
        wanted = self.name(index, last)
        if wanted not in self.made:
            other = self.name(index, not last)
            if other not in self.made:
                raise ModelError(f"tensor {self.names[index]!r} is read before it is written")
            axes = (0, 2, 3, 1) if last else (0, 3, 1, 2)
            self.nodes.append(Node("", "transpose", (other,), wanted, numbers=axes))
            self.note(wanted, index)
        return wanted

    def emit(
        self,
        operator: TfliteOperator,
        op: str,
        last: bool,
        activation: int = schema.ActivationFunctionType.NONE,
        inputs: int = 1,
        **fields: Any,
    ) -> None:
        """Appends a node that reads the operator's first inputs and writes its only output."""
        if len(operator.outputs) != 1:
            raise ModelError(f"{self.where(operator)}: has {len(operator.outputs)} outputs")
        if activation not in _ACTIVATIONS:
            raise ModelError(f"{self.where(operator)}: unsupported fused activation {activation}")
        low, high = _ACTIVATIONS[activation]
        names = tuple(self.read(i, last) for i in operator.inputs[:inputs])
        output = self.write(operator.outputs[0], last)
        name = f"{operator.name.lower()}_{operator.index}"
        node = Node(name, op, names, output, low=low, high=high)
        self.nodes.append(replace(node, **fields))

    def write(self, index: int, last: bool) -> str:
        """The name of an operator's result in the layout it is made in."""
        return self.note(self.name(index, last), index)

    def name(self, index: int, last: bool) -> str:
        """A tensor's name in a layout; only 4-D tensors have two."""
        has_two = len(self.graph.tensors[index].shape) == 4
        return self.names[index] + ("_first" if has_two and not last else "")

    def note(self, name: str, index: int) -> str:
        """Says that `name` holds the tensor's values; returns it."""
        self.made.add(name)
        quantization = self.graph.tensors[index].quantization
        if quantization is not None:
            if self.graph.tensors[index].dtype != "int8" or quantization.scale.size != 1:
                raise ModelError("has quantized activations that are not int8 per tensor")
            scale, zero_point = quantization.scale[0], quantization.zero_point[0]
            self.scales[name] = Scale(float(scale), int(zero_point))
        return name


def _window(
    reader: _Reader, operator: TfliteOperator, options: Any, size: tuple[int, int]
) -> Window:
    x = reader.graph.tensors[operator.inputs[0]]
    if len(x.shape) != 4:
        raise ModelError(f"{reader.where(operator)}: needs a 4-D input")
    strides, dilation = (options.StrideH(), options.StrideW()), (1, 1)
    if hasattr(options, "DilationHFactor"):
        dilation = (options.DilationHFactor(), options.DilationWFactor())
    extent = (x.shape[1], x.shape[2])
    top, left, bottom, right = same_or_valid(options.Padding(), extent, size, strides, dilation)
    return Window(size, strides, (top, left, bottom, right), dilation)


def _bias(reader: _Reader, operator: TfliteOperator) -> FloatArray | None:
    return None if reader.tensor(operator, 2) is None else reader.constant(operator, 2)


def _conv(reader: _Reader, operator: TfliteOperator) -> None:
    depthwise = operator.name == "DEPTHWISE_CONV_2D"
    options = parse_options(
        operator, schema.DepthwiseConv2DOptions if depthwise else schema.Conv2DOptions
    )
    weight = reader.constant(operator, 1)
    if weight.ndim != 4:
        raise ModelError(f"{reader.where(operator)}: needs 4-D weights")
    window = _window(reader, operator, options, (weight.shape[1], weight.shape[2]))
    channels = reader.graph.tensors[operator.inputs[0]].shape[3]
    if depthwise:  # (1, KH, KW, C * multiplier): one input channel for each output channel
        weight = weight.transpose(3, 1, 2, 0)
    reader.emit(
        operator,
        "conv",
        False,
        options.FusedActivationFunction(),
        weight=weight,
        bias=_bias(reader, operator),
        window=window,
        groups=channels // weight.shape[3],
    )


def _dense(reader: _Reader, operator: TfliteOperator) -> None:
    options = parse_options(operator, schema.FullyConnectedOptions)
    weight, x = reader.constant(operator, 1), reader.graph.tensors[operator.inputs[0]]
    y = reader.graph.tensors[operator.outputs[0]]
    if len(y.shape) != 2 or x.shape[0] != 1 or weight.shape[1] != np.prod(x.shape):
        raise ModelError(f"{reader.where(operator)}: input {x.shape} for weights {weight.shape}")
    fields: dict[str, Any] = {"weight": weight, "bias": _bias(reader, operator)}
    reader.emit(operator, "dense", True, options.FusedActivationFunction(), **fields)
    if len(x.shape) != 2:
        source, flat = reader.nodes[-1].inputs[0], f"{reader.nodes[-1].inputs[0]}_flat"
        reader.nodes[-1] = replace(reader.nodes[-1], inputs=(flat,))
        shape = (weight.shape[1],)
        reader.nodes.insert(-1, Node("", "reshape", (source,), flat, numbers=shape))


def _pool(reader: _Reader, operator: TfliteOperator) -> None:
    options = parse_options(operator, schema.Pool2DOptions)
    size = (options.FilterHeight(), options.FilterWidth())
    op = "max_pool" if operator.name == "MAX_POOL_2D" else "avg_pool"
    window = _window(reader, operator, options, size)
    reader.emit(operator, op, False, options.FusedActivationFunction(), window=window)


def _mean(reader: _Reader, operator: TfliteOperator) -> None:
    x, y = (reader.graph.tensors[i] for i in (operator.inputs[0], operator.outputs[0]))
    axes = sorted(int(a) % len(x.shape) for a in reader.constant(operator, 1).reshape(-1))
    if len(x.shape) != 4 or axes != [1, 2]:
        raise ModelError(f"{reader.where(operator)}: a mean over axes {axes} of {len(x.shape)}")
    if len(y.shape) == 4:
        reader.emit(operator, "mean", False)
        return
    pooled = f"{reader.names[operator.outputs[0]]}_pooled"
    names = (reader.read(operator.inputs[0], last=False),)
    reader.nodes.append(Node(f"mean_{operator.index}", "mean", names, pooled))
    reader.note(pooled, operator.outputs[0])
    output = reader.write(operator.outputs[0], last=True)
    reader.nodes.append(Node("", "reshape", (pooled,), output, numbers=y.shape[1:]))


def _add(reader: _Reader, operator: TfliteOperator) -> None:
    a, b = (reader.graph.tensors[i] for i in operator.inputs[:2])
    if a.shape != b.shape or a.data is not None or b.data is not None:
        raise ModelError(f"{reader.where(operator)}: adds a constant or broadcasts")
    activation = parse_options(operator, schema.AddOptions).FusedActivationFunction()
    reader.emit(operator, "add", False, activation, inputs=2)


def _concatenation(reader: _Reader, operator: TfliteOperator) -> None:
    options = parse_options(operator, schema.ConcatenationOptions)
    rank = len(reader.graph.tensors[operator.outputs[0]].shape)
    if rank not in (2, 4) or options.Axis() % rank != rank - 1:
        raise ModelError(f"{reader.where(operator)}: joins another axis than the channels")
    fields = {"activation": options.FusedActivationFunction(), "inputs": len(operator.inputs)}
    reader.emit(operator, "concat", False, **fields)


def _softmax(reader: _Reader, operator: TfliteOperator) -> None:
    if parse_options(operator, schema.SoftmaxOptions).Beta() != 1.0:
        raise ModelError(f"{reader.where(operator)}: its beta is not 1")
    reader.emit(operator, "softmax", True)


def _reshape(reader: _Reader, operator: TfliteOperator) -> None:
    shape = reader.graph.tensors[operator.outputs[0]].shape
    if not shape or shape[0] != 1:
        raise ModelError(f"{reader.where(operator)}: a reshape to {shape} moves the batch")
    reader.emit(operator, "reshape", True, numbers=shape[1:])


def _pad(reader: _Reader, operator: TfliteOperator) -> None:
    widths = reader.constant(operator, 1).astype(np.int64)
    if widths.shape != (4, 2) or widths[[0, 3]].any():
        raise ModelError(f"{reader.where(operator)}: pads other axes than rows and columns")
    (top, bottom), (left, right) = widths[1:3].tolist()
    reader.emit(operator, "pad", False, numbers=(top, left, bottom, right))


def _identity(reader: _Reader, operator: TfliteOperator) -> None:
    kinds = schema.ActivationFunctionType
    reader.emit(operator, "identity", False, getattr(kinds, operator.name, kinds.NONE))


_CONVERTERS: dict[str, Callable[[_Reader, TfliteOperator], None]] = {
    "ADD": _add,
    "AVERAGE_POOL_2D": _pool,
    "CONCATENATION": _concatenation,
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _conv,
    "DEQUANTIZE": _identity,
    "FULLY_CONNECTED": _dense,
    "MAX_POOL_2D": _pool,
    "MEAN": _mean,
    "PAD": _pad,
    "QUANTIZE": _identity,
    "RELU": _identity,
    "RELU6": _identity,
    "RELU_N1_TO_1": _identity,
    "RESHAPE": _reshape,
    "SOFTMAX": _softmax,
}
