"""What the rewritings of quantized ONNX operators share: the constants of the model that is read,
the nodes that are written, and the scales of integer tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from ..errors import ModelError
from .qonnx_graph import where
from .qonnx_target import TargetGraph


class QdqWriter:
    """The nodes of a model, rewritten one by one into `target`."""

    def __init__(self, proto: Any) -> None:
        graph = proto.graph
        self.proto = proto
        self.constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        for node in graph.node:
            values = [a.t for a in node.attribute if a.name == "value"]
            if node.op_type == "Constant" and values:
                self.constants[node.output[0]] = numpy_helper.to_array(values[0])
        nodes = [*(n.output for n in graph.node), *(n.input for n in graph.node)]
        self.target = TargetGraph({*self.constants, *(name for names in nodes for name in names)})
        self.readers = {name: node for node in graph.node for name in node.input}

    @property
    def opset(self) -> int:
        """The version of ONNX's operators; 1 where none is given."""
        entries = [e for e in self.proto.opset_import if e.domain in ("", "ai.onnx")]
        return max([int(e.version) for e in entries], default=1)

    def constant(self, node: Any, name: str) -> NDArray[Any]:
        """A scale or zero point of `node`; ModelError if it is computed."""
        if name not in self.constants:
            raise ModelError(f"{where(node)}: its scale {name!r} must be a constant")
        return np.asarray(self.constants[name])

    def dequantize(
        self, integers: str, scale: NDArray[Any], zero: NDArray[Any], axis: int = 0
    ) -> str:
        """The name of the real numbers of a tensor, with one scale or several along `axis`."""
        inputs = [integers, *self._ends(scale, zero)]
        return self.target.node("DequantizeLinear", inputs, "real", axis=axis)

    def quantize(self, real: str, scale: NDArray[Any], zero: NDArray[Any], output: str = "") -> str:
        """The name of the integers of a tensor; the node that writes it has that name too."""
        inputs = [real, *self._ends(scale, zero)]
        return self.target.node("QuantizeLinear", inputs, "integer", output, name=output)

    def keep(self, node: Any) -> None:
        """Writes the node as it is."""
        self.target.nodes.append(node)

    def model(self) -> Any:
        """The written model: borders and constants are those that were read."""
        written = onnx.ModelProto()
        written.CopyFrom(self.proto)
        graph = written.graph
        del graph.node[:], graph.value_info[:]
        graph.node.extend(self.target.nodes)
        graph.initializer.extend(self.target.initializers.values())
        return written

    def _ends(self, scale: NDArray[Any], zero: NDArray[Any]) -> list[str]:
        """Single numbers as scalars, several as vectors."""
        values = (scale.astype(np.float32), zero)
        flat = [v.reshape(()) if v.size == 1 else v.reshape(-1) for v in values]
        return [self.target.constant(v, "end") for v in flat]
