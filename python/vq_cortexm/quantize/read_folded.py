"""Quantized ONNX (QDQ, QONNX) → float network: its weights as real numbers, its scales kept.

The model is imported and folded as a build does it, so layers have the names that reports have.
Folded layers have their channels last, the network's second: each tensor may be known in both
layouts, and the one that lacks is made by a transpose.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

from ..compat import Expr, constant_value, op_name, shape_of
from ..errors import ModelError, first_line
from ..frontend import from_onnx
from ..op.registry import attributes
from ..transform.pipeline import fold_pipeline
from ..transform.rewriting import bindings_of
from .graph import FloatGraph, Node, Scale, Window, simplify

_LAST, _FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


def is_quantized(data: bytes) -> bool:
    """Whether an ONNX file has nodes that quantize."""
    try:
        nodes = onnx.load_model_from_string(data).graph.node
        return any("Quant" in node.op_type or "QLinear" in node.op_type for node in nodes)
    except Exception:  # protobuf's own type, or names that are no text; readers say what is wrong
        return False


def read_folded(data: bytes, name: str) -> FloatGraph:
    """The network of an int8 file with one input; ModelError, naming it, otherwise."""
    module = from_onnx(data, name)
    try:
        return _Reader(fold_pipeline()(module)["main"]).run()
    except (ModelError, ValueError, ArithmeticError) as error:
        raise ModelError(f"{name}: {first_line(error)}") from None


class _Reader:
    """Walks the layers; a tensor has its variable's name as it is stored, and `<name>.first` with
    channels first."""

    def __init__(self, function: Expr) -> None:
        self.function = function
        self.nodes: list[Node] = []
        self.names: dict[Expr, str] = {}
        self.made: set[str] = set()
        self.scales: dict[str, Scale] = {}

    def run(self) -> FloatGraph:
        if len(self.function.params) != 1:
            raise ModelError(f"has {len(self.function.params)} inputs; one works")
        (parameter,) = self.function.params
        (given,) = self.function.attrs["vq.quantization"]["inputs"]
        if not given:
            raise ModelError("its input has no scale")
        scale = Scale(float(given["scale"]), int(given["zero_point"]))
        start = self.write(parameter, scale)
        for var, value in bindings_of(self.function):
            if op_name(value) in _CONVERTERS:
                _CONVERTERS[op_name(value)](self, var, value, attributes(value))
            elif value in self.names:
                self.names[var] = self.names[value]
            elif op_name(value).startswith("vq.binary"):
                raise ModelError("has binary layers, whose levels are 2 already; others work")
            else:
                raise ModelError(f"{op_name(value) or 'a tuple of outputs'} is not supported")
        outputs = (self.read(self.function.body.body),)
        shape = shape_of(parameter)[1:]
        return simplify(FloatGraph(start, shape, 0, tuple(self.nodes), outputs, self.scales))

    def read(self, expr: Expr, first: bool = False) -> str:
        """The name of a tensor in the wanted layout."""
        wanted = self.label(expr, first)
        if wanted not in self.made:
            other, axes = self.label(expr, not first), _FIRST if first else _LAST
            self.nodes.append(Node("", "transpose", (other,), wanted, numbers=axes))
            self.note(wanted, self.scales[other])
        return wanted

    def write(self, var: Expr, scale: Scale, first: bool = False) -> str:
        """The name of a result in the layout it is made in."""
        self.names[var] = str(var.name)
        return self.note(self.label(var, first), scale)

    def label(self, expr: Expr, first: bool) -> str:
        """A tensor's name in a layout; only 4-D tensors have two."""
        return self.names[expr] + (".first" if first and len(shape_of(expr)) == 4 else "")

    def note(self, name: str, scale: Scale) -> str:
        """Says that `name` is there; returns it."""
        self.made.add(name)
        self.scales[name] = scale
        return name

    def emit(
        self, var: Expr, call: Expr, op: str, attrs: Any, inputs: int = 1, **fields: Any
    ) -> None:
        """A node with the layer's name and clamp, channels first where there are four axes."""
        if attrs.y_dtype != "int8":
            raise ModelError(f"layer {var.name}: its output is {attrs.y_dtype}; int8 works")
        names = tuple(self.read(x, first=True) for x in call.args[:inputs])
        scale = Scale(float(attrs.y_scale), int(attrs.y_zero_point))
        low, high = ((n - scale.zero_point) * scale.scale for n in (attrs.y_min, attrs.y_max))
        low = -math.inf if attrs.y_min == -128 else low
        high = math.inf if attrs.y_max == 127 else high
        output = self.write(var, scale, first=True)
        self.nodes.append(Node(str(var.name), op, names, output, low=low, high=high, **fields))

    def move(self, var: Expr, call: Expr, op: str, numbers: tuple[int, ...]) -> None:
        """A node that only moves values, as they are stored."""
        name = self.read(call.args[0])
        output = self.write(var, self.scales[name])
        self.nodes.append(Node("", op, (name,), output, numbers=numbers))


def _conv(reader: _Reader, var: Expr, call: Expr, attrs: Any) -> None:
    weight, bias, w_scale = (constant_value(arg) for arg in call.args[1:])
    groups = getattr(attrs, "groups", shape_of(call.args[0])[-1])
    if op_name(call) == "vq.depthwise_conv2d":
        weight = weight.transpose(2, 0, 1)[..., np.newaxis]
    size = (weight.shape[1], weight.shape[2])
    window = Window(size, tuple(attrs.strides), tuple(attrs.padding), tuple(attrs.dilation))
    fields = _real(weight, bias, w_scale, attrs)
    reader.emit(var, call, "conv", attrs, window=window, groups=groups, **fields)


def _dense(reader: _Reader, var: Expr, call: Expr, attrs: Any) -> None:
    weight, bias, w_scale = (constant_value(arg) for arg in call.args[1:])
    reader.emit(var, call, "dense", attrs, **_real(weight, bias, w_scale, attrs))


def _real(weight: Any, bias: Any, w_scale: Any, attrs: Any) -> dict[str, Any]:
    """Weights (O, ...) and biases as real numbers."""
    along = w_scale.reshape(-1, *[1] * (weight.ndim - 1))
    return {
        "weight": (weight * along).astype(np.float32),
        "bias": (bias * w_scale.astype(np.float64) * attrs.x_scale).astype(np.float32),
    }


def _pool(reader: _Reader, var: Expr, call: Expr, attrs: Any) -> None:
    op = "max_pool" if op_name(call) == "vq.max_pool2d" else "avg_pool"
    dilation = tuple(getattr(attrs, "dilation", (1, 1)))
    window = Window(tuple(attrs.pool_size), tuple(attrs.strides), tuple(attrs.padding), dilation)
    reader.emit(var, call, op, attrs, window=window)


def _softmax(reader: _Reader, var: Expr, call: Expr, attrs: Any) -> None:
    if attrs.beta != 1.0:
        raise ModelError(f"layer {var.name}: its beta is {attrs.beta}; 1 works")
    reader.emit(var, call, "softmax", attrs)


def _concat(reader: _Reader, var: Expr, call: Expr, attrs: Any) -> None:
    if attrs.axis != len(shape_of(call)) - 1:
        raise ModelError(f"layer {var.name}: joins another axis than the channels")
    if attrs.order:
        raise ModelError(f"layer {var.name}: joins constants")
    names = tuple(reader.read(x, first=True) for x in call.args)
    output = reader.write(var, reader.scales[names[0]], first=True)
    reader.nodes.append(Node(str(var.name), "concat", names, output))


def _pad(reader: _Reader, var: Expr, call: Expr, attrs: Any) -> None:
    widths = attrs.pad_width
    # the file's own layout, channels first, or that of folded layers
    is_first = len(widths) == 8 and not any(widths[:4])
    if not is_first and (len(widths) != 8 or any((*widths[:2], *widths[6:]))):
        raise ModelError(f"layer {var.name}: pads other axes than rows and columns")
    source = reader.read(call.args[0], first=not is_first)
    scale = reader.scales[source]
    if attrs.pad_value != scale.zero_point or attrs.mode != "constant":
        raise ModelError(f"layer {var.name}: pads with another number than zero")
    top, bottom, left, right = widths[4:] if is_first else widths[2:6]
    output = reader.write(var, scale, first=not is_first)
    numbers = (top, left, bottom, right)
    reader.nodes.append(Node(str(var.name), "pad", (source,), output, numbers=numbers))


_CONVERTERS: dict[str, Callable[[_Reader, Expr, Expr, Any], None]] = {
    "vq.add": lambda reader, var, call, attrs: reader.emit(var, call, "add", attrs, inputs=2),
    "vq.avg_pool2d": _pool,
    "vq.concat": _concat,
    "vq.conv2d": _conv,
    "vq.dense": _dense,
    "vq.depthwise_conv2d": _conv,
    "vq.max_pool2d": _pool,
    "vq.pad": _pad,
    "vq.requantize": lambda reader, var, call, attrs: reader.emit(var, call, "identity", attrs),
    "vq.reshape": lambda reader, var, call, _: reader.move(
        var, call, "reshape", shape_of(call)[1:]
    ),
    "vq.softmax": _softmax,
    "vq.transpose": lambda reader, var, call, attrs: reader.move(
        var, call, "transpose", tuple(attrs.axes)
    ),
}
