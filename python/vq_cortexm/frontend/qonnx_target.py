"""The ONNX QDQ graph that the QONNX import writes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from .qonnx_graph import SourceGraph
from .qonnx_values import Format


@dataclass(frozen=True)
class Activation:
    """A quantized tensor of the written graph: its real numbers and its integers, by name."""

    real: str
    integer: str
    format: Format


class TargetGraph:
    """The ONNX graph that is written, node by node; names of its own do not clash."""

    def __init__(self, taken: set[str]) -> None:
        self.taken = taken
        self.nodes: list[Any] = []
        self.initializers: dict[str, Any] = {}

    def fresh(self, hint: str) -> str:
        """A name that nothing has yet."""
        number = 0
        while (name := f"{hint}_{number}") in self.taken:
            number += 1
        self.taken.add(name)
        return name

    def constant(self, value: NDArray[Any] | np.generic, hint: str) -> str:
        """An initializer; returns its name."""
        name = self.fresh(hint)
        self.initializers[name] = numpy_helper.from_array(np.asarray(value), name)
        return name

    def keep(self, constants: Mapping[str, NDArray[Any]]) -> None:
        """Those of the constants that a node reads, as initializers of their names."""
        read = {name for node in self.nodes for name in node.input}
        for name, value in constants.items():
            if name in read:
                self.initializers[name] = numpy_helper.from_array(np.asarray(value), name)

    def node(
        self, operator: str, inputs: Sequence[str], hint: str, output: str = "", **values: Any
    ) -> str:
        """A node of one output, called `output` where that is given; returns the output."""
        output = output or self.fresh(hint)
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **values))
        return output

    def copy(self, node: Any, inputs: Sequence[str], output: str = "") -> str:
        """The node of the read graph, with other inputs and its first output."""
        copied = onnx.NodeProto()
        copied.CopyFrom(node)
        del copied.input[:], copied.output[:]
        copied.input.extend(inputs)
        copied.output.append(output or self.fresh(node.output[0]))
        self.nodes.append(copied)
        return str(copied.output[0])

    def model(self, source: SourceGraph) -> Any:
        """The written model, with the inputs and outputs of the one that was read."""
        graph = helper.make_graph(
            self.nodes,
            source.proto.graph.name or "qonnx",
            source.inputs,
            list(source.proto.graph.output),
            list(self.initializers.values()),
        )
        opsets = [helper.make_opsetid("", source.opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=source.proto.ir_version)

    def quantize(
        self, real: str, format: Format, output: str = "", written: Format | None = None
    ) -> Activation:
        """Clip, where the range is not the dtype's, QuantizeLinear and DequantizeLinear.

        `written` is the format up to the integers, where `format` gives them another meaning from
        there on.
        """
        made = written or format
        if made.is_clipped:
            ends = ((end - made.zero_point) * made.scale for end in (made.low, made.high))
            bounds = [self.constant(np.float32(end), "bound") for end in ends]
            real = self.node("Clip", [real, *bounds], "clipped")
        integer = self.node("QuantizeLinear", [real, *self._grid(made)], "integer")
        return self.dequantize(integer, format, output)

    def dequantize(self, integer: str, format: Format, output: str = "") -> Activation:
        """Integers as real numbers."""
        real = self.node("DequantizeLinear", [integer, *self._grid(format)], "real", output)
        return Activation(real, integer, format)

    def dequantized_constant(
        self, value: NDArray[Any], scale: NDArray[np.float32], hint: str
    ) -> str:
        """Integers (O, …) with a scale per channel, (O,); returns the name of the real numbers."""
        inputs = [
            self.constant(value, hint),
            self.constant(scale, "scale"),
            self.constant(np.zeros(scale.shape, value.dtype), "zero_point"),
        ]
        return self.node("DequantizeLinear", inputs, "real", axis=0)

    def _grid(self, format: Format) -> list[str]:
        zero_point = np.dtype(format.dtype).type(format.zero_point)
        scale = self.constant(np.float32(format.scale), "scale")
        return [scale, self.constant(zero_point, "zero_point")]


def real_tensors(written: Any, own: Collection[str]) -> dict[str, list[Any]]:
    """Of each integer tensor of a written graph the one in `own`, the names of the read graph,
    whose real numbers it stands for: [name, scale, zero point]."""
    values = {t.name: numpy_helper.to_array(t) for t in written.graph.initializer}
    found: dict[str, list[Any]] = {}
    for node in written.graph.node:
        if node.op_type == "DequantizeLinear" and node.output[0] in own:
            integer, scale, zero_point = node.input
            found[integer] = [node.output[0], float(values[scale]), int(values[zero_point])]
    return found
