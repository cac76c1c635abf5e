"""Float ONNX → float network. Batch normalization and constant factors join the layer before."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..c_names import unique_identifiers
from ..errors import ModelError, first_line
from .graph import FloatArray, FloatGraph, Node, Window, simplify
from .onnx_graph import OnnxGraph, OnnxOperator, read_onnx_graph


def read_onnx(data: bytes, name: str) -> FloatGraph:
    """The network of a float file with one input; ModelError, naming it, otherwise."""
    try:
        return _Reader(read_onnx_graph(data)).run()
    except (ModelError, ValueError, ArithmeticError, TypeError, LookupError) as error:
        raise ModelError(f"{name}: {first_line(error)}") from None


class _Reader:
    """Walks the operators; tensors keep their names."""

    def __init__(self, graph: OnnxGraph) -> None:
        self.graph = graph
        self.nodes: list[Node] = []
        self.users = Counter(name for o in graph.operators for name in o.inputs)
        self.users.update(graph.outputs)

    def run(self) -> FloatGraph:
        for operator in self.graph.operators:
            if operator.type not in _CONVERTERS:
                known = ", ".join(sorted(_CONVERTERS))
                raise ModelError(f"{operator.label} is not supported; supported: {known}")
            _CONVERTERS[operator.type](self, operator)
        shape = self.graph.shapes[self.graph.input]
        nodes = self._with_names()
        graph = FloatGraph(self.graph.input, shape[1:], 0, nodes, self.graph.outputs)
        return simplify(graph)

    def shape(self, name: str) -> tuple[int, ...]:
        """A tensor's shape, with the batch of 1 in front."""
        if name not in self.graph.shapes or self.graph.shapes[name][:1] != (1,):
            raise ModelError(f"tensor {name!r} has no static shape with the batch in front")
        return self.graph.shapes[name]

    def constant(self, operator: OnnxOperator, position: int) -> NDArray[Any] | None:
        """A constant input, None where it is left out."""
        if position >= len(operator.inputs) or not operator.inputs[position]:
            return None
        if operator.inputs[position] not in self.graph.constants:
            raise ModelError(f"{operator.label}: input {position} must be a constant")
        return self.graph.constants[operator.inputs[position]]

    def required(self, operator: OnnxOperator, position: int) -> FloatArray:
        """A constant input of real numbers."""
        value = self.constant(operator, position)
        if value is None:
            raise ModelError(f"{operator.label}: lacks its input {position}")
        return value.astype(np.float32)

    def emit(self, operator: OnnxOperator, op: str, inputs: int = 1, **fields: Any) -> None:
        """Appends a node that reads the operator's first inputs."""
        names = operator.inputs[:inputs]
        for name in names:
            if name in self.graph.constants:
                raise ModelError(f"{operator.label}: {name!r} must not be a constant")
            self.shape(name)
        label = operator.label.partition("(node ")[2].rstrip(")")
        name = f"{operator.type.lower()}_{label}" if label.isdigit() else label
        self.nodes.append(replace(Node(name, op, names, operator.outputs[0]), **fields))

    def scale_channels(
        self, operator: OnnxOperator, x: str, factor: FloatArray, shift: FloatArray
    ) -> None:
        """x * factor + shift for each channel: in the layer before, or as a 1x1 convolution."""
        before = self.nodes[-1] if self.nodes else None
        if before and before.is_product and before.output == x and self.users[x] == 1:
            assert before.weight is not None
            along = (-1, *[1] * (before.weight.ndim - 1))
            bias = shift if before.bias is None else before.bias * factor + shift
            self.nodes[-1] = replace(
                before,
                weight=before.weight * factor.reshape(along),
                bias=bias,
                output=operator.outputs[0],
            )
            return
        if len(self.shape(x)) != 4:
            raise ModelError(f"{operator.label}: no convolution or dense layer is before it")
        self.emit(
            replace(operator, inputs=(x,)),
            "conv",
            weight=factor.reshape(-1, 1, 1, 1),
            bias=shift,
            window=Window((1, 1)),
            groups=len(factor),
        )

    def _with_names(self) -> tuple[Node, ...]:
        names = unique_identifiers([node.name for node in self.nodes], "layer")
        return tuple(replace(n, name=name) for n, name in zip(self.nodes, names, strict=True))


def _window(reader: _Reader, operator: OnnxOperator, size: tuple[int, ...]) -> Window:
    given = operator.attributes
    extent = reader.shape(operator.inputs[0])[2:]
    if len(extent) != 2 or len(size) != 2:
        raise ModelError(f"{operator.label}: needs two spatial axes")
    strides, dilation = (tuple(given.get(k, (1, 1))) for k in ("strides", "dilations"))
    padding = tuple(given.get("pads", (0, 0, 0, 0)))
    automatic = given.get("auto_pad", b"NOTSET").decode()
    if automatic.startswith("SAME"):
        totals = [
            max(0, (-(-n // s) - 1) * s + (k - 1) * d + 1 - n)
            for n, k, s, d in zip(extent, size, strides, dilation, strict=True)
        ]
        less, more = [t // 2 for t in totals], [t - t // 2 for t in totals]
        padding = (*less, *more) if automatic == "SAME_UPPER" else (*more, *less)
    if given.get("ceil_mode", 0):
        raise ModelError(f"{operator.label}: ceil_mode is not supported")
    return Window((size[0], size[1]), strides, padding, dilation)


def _conv(reader: _Reader, operator: OnnxOperator) -> None:
    weight, bias = reader.required(operator, 1), reader.constant(operator, 2)
    window = _window(reader, operator, weight.shape[2:])
    groups = int(operator.attributes.get("group", 1))
    weight = np.ascontiguousarray(weight.transpose(0, 2, 3, 1))
    reader.emit(operator, "conv", weight=weight, bias=bias, window=window, groups=groups)


def _gemm(reader: _Reader, operator: OnnxOperator) -> None:
    given = operator.attributes
    weight, bias = reader.required(operator, 1), reader.constant(operator, 2)
    if given.get("transA", 0):
        raise ModelError(f"{operator.label}: transA is not supported")
    weight = weight if given.get("transB", 0) else weight.T
    if bias is not None:
        bias = np.broadcast_to(bias.reshape(-1) * np.float32(given.get("beta", 1.0)), len(weight))
    reader.emit(operator, "dense", weight=weight * np.float32(given.get("alpha", 1.0)), bias=bias)


def _matmul(reader: _Reader, operator: OnnxOperator) -> None:
    weight = reader.required(operator, 1)
    if weight.ndim != 2 or len(reader.shape(operator.inputs[0])) != 2:
        raise ModelError(f"{operator.label}: needs a 2-D input and 2-D weights")
    reader.emit(operator, "dense", weight=np.ascontiguousarray(weight.T))


def _batch_norm(reader: _Reader, operator: OnnxOperator) -> None:
    gamma, beta, mean, variance = (reader.required(operator, i) for i in range(1, 5))
    factor = gamma / np.sqrt(variance + np.float32(operator.attributes.get("epsilon", 1e-5)))
    reader.scale_channels(operator, operator.inputs[0], factor, beta - mean * factor)


def _add(reader: _Reader, operator: OnnxOperator) -> None:
    constants = [name for name in operator.inputs if name in reader.graph.constants]
    if constants:
        _affine(reader, operator, constants[0], is_factor=False)
        return
    if reader.shape(operator.inputs[0]) != reader.shape(operator.inputs[1]):
        raise ModelError(f"{operator.label}: broadcasts")
    reader.emit(operator, "add", inputs=2)


def _mul(reader: _Reader, operator: OnnxOperator) -> None:
    constants = [name for name in operator.inputs if name in reader.graph.constants]
    if not constants:
        raise ModelError(f"{operator.label}: multiplies two tensors; a constant works")
    _affine(reader, operator, constants[0], is_factor=True)


def _affine(reader: _Reader, operator: OnnxOperator, constant: str, is_factor: bool) -> None:
    x = operator.inputs[1 if operator.inputs[0] == constant else 0]
    shape = reader.shape(x)
    value = reader.graph.constants[constant].astype(np.float32)
    along = value.reshape((1,) * (len(shape) - value.ndim) + value.shape)
    if along.shape not in ((1,) * len(shape), (1, shape[1], *[1] * (len(shape) - 2))):
        raise ModelError(f"{operator.label}: its constant differs within a channel")
    per_channel = np.broadcast_to(value.reshape(-1), (shape[1],)).astype(np.float32)
    zero, one = np.zeros_like(per_channel), np.ones_like(per_channel)
    factor, shift = (per_channel, zero) if is_factor else (one, per_channel)
    reader.scale_channels(operator, x, factor, shift)


def _clip(reader: _Reader, operator: OnnxOperator) -> None:
    bounds = []
    for position, (key, default) in enumerate((("min", -math.inf), ("max", math.inf)), start=1):
        value = reader.constant(operator, position)
        given = operator.attributes.get(key, default) if value is None else value
        bounds.append(float(np.asarray(given).reshape(-1)[0]))
    reader.emit(operator, "identity", low=bounds[0], high=bounds[1])


def _pool(reader: _Reader, operator: OnnxOperator) -> None:
    window = _window(reader, operator, tuple(operator.attributes["kernel_shape"]))
    op = "max_pool" if operator.type == "MaxPool" else "avg_pool"
    counts = any(window.padding) and operator.attributes.get("count_include_pad", 0)
    if counts or (op == "avg_pool" and window.dilation != (1, 1)):
        raise ModelError(f"{operator.label}: counts its padding (count_include_pad) or is dilated")
    reader.emit(operator, op, window=window)


def _mean(reader: _Reader, operator: OnnxOperator) -> None:
    given = reader.constant(operator, 1)
    axes = operator.attributes.get("axes", ()) if given is None else given.reshape(-1).tolist()
    shape = reader.shape(operator.inputs[0])
    if len(shape) != 4 or sorted(a % 4 for a in axes) != [2, 3]:
        raise ModelError(f"{operator.label}: a mean over axes {list(axes)} of {len(shape)}")
    if operator.attributes.get("keepdims", 1):
        reader.emit(operator, "mean")
        return
    pooled = f"{operator.outputs[0]}_pooled"
    reader.emit(replace(operator, outputs=(pooled,)), "mean")
    node = Node("reshape", "reshape", (pooled,), operator.outputs[0], numbers=(shape[1],))
    reader.nodes.append(node)


def _reshape(reader: _Reader, operator: OnnxOperator) -> None:
    reader.emit(operator, "reshape", numbers=reader.shape(operator.outputs[0])[1:])


def _transpose(reader: _Reader, operator: OnnxOperator) -> None:
    rank = len(reader.shape(operator.inputs[0]))
    axes = tuple(operator.attributes.get("perm", range(rank)[::-1]))
    if axes[0] != 0:
        raise ModelError(f"{operator.label}: moves the batch")
    reader.emit(operator, "transpose", numbers=axes)


def _softmax(reader: _Reader, operator: OnnxOperator) -> None:
    shape = reader.shape(operator.inputs[0])
    is_old = reader.graph.opset < 13  # it is over all axes from `axis` on
    axis = operator.attributes.get("axis", 1 if is_old else -1) % len(shape)
    is_last = axis == len(shape) - 1
    if not is_last and not (is_old and axis and math.prod(shape[axis:]) == shape[-1]):
        raise ModelError(f"{operator.label}: is over an axis that is not the last")
    reader.emit(operator, "softmax")


def _concat(reader: _Reader, operator: OnnxOperator) -> None:
    if operator.attributes["axis"] % len(reader.shape(operator.inputs[0])) != 1:
        raise ModelError(f"{operator.label}: joins another axis than the channels")
    reader.emit(operator, "concat", inputs=len(operator.inputs))


def _pad(reader: _Reader, operator: OnnxOperator) -> None:
    given, value = reader.constant(operator, 1), reader.constant(operator, 2)
    widths = operator.attributes.get("pads", ()) if given is None else given.tolist()
    is_zero = value is None or not value.any()
    is_zero = is_zero and operator.attributes.get("mode", b"constant") == b"constant"
    if len(widths) != 8 or any((*widths[:2], *widths[4:6])) or min(widths) < 0 or not is_zero:
        raise ModelError(f"{operator.label}: zeros around rows and columns work, nothing else")
    reader.emit(operator, "pad", numbers=(*widths[2:4], *widths[6:8]))


def _identity(reader: _Reader, operator: OnnxOperator) -> None:
    low = 0.0 if operator.type == "Relu" else -math.inf
    reader.emit(operator, "identity", low=low)


_CONVERTERS: dict[str, Callable[[_Reader, OnnxOperator], None]] = {
    "Add": _add,
    "AveragePool": _pool,
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "Dropout": _identity,
    "Flatten": _reshape,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda reader, operator: reader.emit(operator, "mean"),
    "Identity": _identity,
    "MatMul": _matmul,
    "MaxPool": _pool,
    "Mul": _mul,
    "Pad": _pad,
    "ReduceMean": _mean,
    "Relu": _identity,
    "Reshape": _reshape,
    "Softmax": _softmax,
    "Squeeze": _reshape,
    "Transpose": _transpose,
    "Unsqueeze": _reshape,
}
