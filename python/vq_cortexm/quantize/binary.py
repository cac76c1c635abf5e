"""A binary net whose other layers are float → QONNX: 8 bits for all that is not binary.

Signs stay right behind their layer, where the compiler decides them exactly, batch norm included.
What else a layer, a pool or a sum reads gets a Quant (`binary_points`), and so do the weights of
layers that are not binary. A batch norm or factor that stands behind no layer gets one, a depthwise
convolution by 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper

from .._version import __version__
from ..errors import ModelError, first_line
from ..frontend.larq import channel_axis, is_float_binary, with_bipolar_quants
from ..frontend.qonnx import qonnx_to_qdq
from ..frontend.qonnx_graph import DOMAINS, SourceGraph, attributes, where, with_domains
from ..frontend.qonnx_target import TargetGraph
from .activation_scales import SOFTMAX, fitted_scale
from .binary_points import LAYERS, find_points
from .graph import FloatArray, FloatGraph, LayerSummary, Scale
from .late_moves import with_late_moves
from .qonnx_run import run_qonnx
from .rounding import nearest_rows, uniform_levels

SAMPLES = 64
"""Of the data that a binary net is run on, at most: the reference evaluator is slow."""
_LEVELS = 256
_LANE_STEP = np.float32(1 / 64)
"""Of the weights 1 in front of a batch norm, whose offset is rounded to steps of it."""


@dataclass(frozen=True, eq=False)
class BinaryNet:
    """A file's float model with BipolarQuants, its moves as late as can be."""

    name: str
    proto: ModelProto

    @property
    def graph(self) -> FloatGraph:
        """Its input and outputs alone."""
        source = SourceGraph(self.proto)
        (name,) = (value.name for value in source.inputs)
        reader = source.only_reader(name)
        axes = attributes(reader).get("perm", []) if reader is not None else []
        channels_last = len(axes) == 4 and axes[1] == 3
        shape = source.shapes[name][1:]
        outputs = tuple(source.outputs)
        return FloatGraph(name, shape, len(shape) - 1 if channels_last else 0, (), outputs)


def is_binary(data: bytes) -> bool:
    """Whether an ONNX file holds a binary net whose other layers are float."""
    try:
        return is_float_binary(onnx.load_model_from_string(data))
    except Exception:  # protobuf's own type; the readers say what is wrong
        return False


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Errors of what is done inside become one line that names the file."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from None
    except Exception as error:  # ONNX raises many types on graphs that are wrong
        raise ModelError(f"{name}: damaged or not supported: {first_line(error)}") from error


def read_binary(data: bytes, name: str) -> BinaryNet:
    """The net of a file with one input; ModelError, naming it, otherwise."""
    with _naming(name):
        proto = with_domains(onnx.load_model_from_string(data))
        onnx.checker.check_model(proto)
        source = SourceGraph(proto)
        if len(source.inputs) != 1:
            raise ModelError(f"has {len(source.inputs)} inputs; one works")
        (given,) = source.inputs
        if len(source.shapes[given.name]) < 2 or 0 in source.shapes[given.name]:
            raise ModelError(f"input {given.name!r} needs a batch and static sizes behind it")
        return BinaryNet(name, with_late_moves(with_bipolar_quants(proto)))


@dataclass(frozen=True, eq=False)
class QuantizedBinary:
    """The QONNX model, its layers, and what the float net and it make of the data."""

    proto: ModelProto
    layers: tuple[LayerSummary, ...]
    float_output: FloatArray
    output: FloatArray


def quantize_binary(
    net: BinaryNet, x: FloatArray, input_scale: Scale, watch: Callable[[str], None]
) -> QuantizedBinary:
    """The QONNX model, whose activations have the scales that x (N, ...) asks for.

    ModelError names the file and the node for what the compiler would refuse.
    """
    with _naming(net.name):
        source = SourceGraph(net.proto)
        points = find_points(source)
        (given,), first = (value.name for value in source.inputs), source.outputs[0]
        inner = [name for name in points.tensors if name != given]
        *values, float_output = run_qonnx(net.proto, x, [*inner, first], watch)
        scales = {
            name: _scale(name, value, source) for name, value in zip(inner, values, strict=True)
        }
        writer = _Writer(source, {given: input_scale, **scales}, points.loose)
        proto = writer.run()
        qonnx_to_qdq(proto)
        (output,) = run_qonnx(proto, x, [first], watch)
        return QuantizedBinary(proto, tuple(writer.layers), float_output, output)


def _scale(name: str, value: FloatArray, source: SourceGraph) -> Scale:
    """Of a tensor whose numbers are `value`. One that a sign reads has the zero point 0, for then
    the integers have the signs."""
    nodes = source.proto.graph.node
    if any(node.op_type == "Softmax" and name == node.output[0] for node in nodes):
        return SOFTMAX
    signed = any(node.op_type == "BipolarQuant" and name == node.input[0] for node in nodes)
    return fitted_scale(value, symmetric=signed)


class _Writer:
    """One walk over the nodes. A quantized tensor has its name, and the float before another."""

    def __init__(
        self, source: SourceGraph, scales: Mapping[str, Scale], loose: frozenset[str]
    ) -> None:
        self.source, self.scales, self.loose = source, scales, loose
        nodes = source.proto.graph.node
        taken = {name for node in nodes for name in (*node.input, *node.output)}
        self.target = TargetGraph(taken | set(source.constants))
        self.signs = {node.output[0] for node in nodes if node.op_type == "BipolarQuant"}
        self.renamed: dict[str, str] = {}
        self.layers: list[LayerSummary] = []

    def run(self) -> ModelProto:
        (given,) = self.source.inputs
        self.renamed[given.name] = self._activation(given.name, given.name, "")
        for node in self.source.proto.graph.node:
            self._write(node)
        self.target.keep(self.source.constants)
        return self._model()

    def _write(self, node: Any) -> None:
        inputs, y = [self.renamed.get(name, name) for name in node.input], node.output[0]
        if node.op_type in LAYERS:
            inputs[1] = self._weights(node)
        elif y in self.loose:
            inputs = [
                name if name in self.source.constants else self._lane(name) for name in inputs
            ]
        made = self.target.fresh(f"{y}_float") if y in self.scales else y
        self.target.copy(node, inputs, made)
        if y in self.scales:
            self._activation(made, y, y)

    def _activation(self, x: str, name: str, y: str) -> str:
        """The 8 bits of the tensor `name`, which `x` has as floats."""
        scale = self.scales[name]
        return self._quant(x, np.float32(scale.scale), scale.zero_point, y)

    def _quant(self, x: str, scale: Any, zero_point: int, y: str = "", narrow: int = 0) -> str:
        numbers = (scale, np.float32(zero_point), np.float32(8))
        inputs = [x, *(self.target.constant(n, "quant") for n in numbers)]
        how = {"signed": 1, "narrow": narrow, "rounding_mode": "ROUND"}
        return self.target.node("Quant", inputs, "quantized", y, domain=DOMAINS[0], **how)

    def _weights(self, node: Any) -> str:
        """A layer's weights, with a scale for each output channel if they are not binary."""
        name, label = str(node.input[1]), node.name or node.output[0]
        op = "conv" if node.op_type == "Conv" else "dense"
        if name in self.signs:
            count = int(np.prod(self.source.shapes[name]))
            self.layers.append(LayerSummary(label, op, count, 2))
            return name
        if name not in self.source.constants:
            raise ModelError(f"{where(node)}: its weights {name!r} must be constants")
        value = self.source.constants[name]
        axis = channel_axis(node, value.ndim)
        rows = np.moveaxis(value, axis, 0).reshape(value.shape[axis], -1)
        fitted = nearest_rows(rows.astype(np.float64), uniform_levels(_LEVELS))
        levels = len(np.unique(fitted.values))
        self.layers.append(LayerSummary(label, op, value.size, levels))
        along = [1] * value.ndim
        along[axis] = len(rows)
        return self._quant(name, fitted.scale.astype(np.float32).reshape(along), 0, narrow=1)

    def _lane(self, x: str) -> str:
        """A layer that changes nothing, for a batch norm or factor to join."""
        channels = self.source.shapes[x][1]
        ones = self.target.constant(np.ones((channels, 1, 1, 1), np.float32), "ones")
        weight = self._quant(ones, _LANE_STEP, 0, narrow=1)
        return self.target.node("Conv", [x, weight], "lane", group=channels, kernel_shape=[1, 1])

    def _model(self) -> ModelProto:
        """The checked model, of batch 1."""
        proto = with_domains(self.target.model(self.source))
        graph = proto.graph
        ends = [
            [
                helper.make_tensor_value_info(v.name, TensorProto.FLOAT, self.source.shapes[v.name])
                for v in values
            ]
            for values in (graph.input, graph.output)
        ]
        del graph.input[:], graph.output[:]
        graph.input.extend(ends[0])
        graph.output.extend(ends[1])
        proto.producer_name, proto.producer_version = "vq-cortexm", __version__
        onnx.checker.check_model(proto)
        return proto
