"""The constants of a QONNX graph: numbers, quantized weights, and the parameters of quantizers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ModelError
from .qonnx_graph import QUANTIZERS, SourceGraph, attributes, is_custom, where
from .qonnx_values import ROUNDINGS, FloatArray, QuantizedConstant, Quantizer

LAYOUTS = ("Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
"""What may lie between quantized weights and their layer."""


class Constants:
    """What depends on no input, evaluated; `nodes` are the outputs of the nodes that do not."""

    def __init__(self, source: SourceGraph) -> None:
        self.source = source
        self.quantized: dict[str, QuantizedConstant] = {}
        self.nodes = {n.output[0] for n in source.proto.graph.node if self._evaluate(n)}

    def value(self, name: str) -> Any:
        """The real numbers of a constant, quantized or not; None of any other tensor."""
        known = self.quantized.get(name)
        return self.source.constants.get(name) if known is None else known.value

    def parameter(self, node: Any, position: int, what: str) -> FloatArray:
        """A constant input of a quantizer, float32; a scale must be positive."""
        value = self.value(node.input[position]) if position < len(node.input) else None
        if value is None:
            raise ModelError(f"{where(node)}: its {what} must be a constant")
        if not np.all(np.isfinite(value)) or ("scale" in what and np.any(value <= 0)):
            raise ModelError(f"{where(node)}: its {what} is not a positive number")
        return np.asarray(value, np.float32)

    def quantizer(self, node: Any) -> Quantizer:
        """A Quant's or BipolarQuant's parameters."""
        if node.op_type not in QUANTIZERS:
            raise ModelError(f"{where(node)}: is not supported; {', '.join(QUANTIZERS)} are")
        scale, zero_point = self.parameter(node, 1, "scale"), np.zeros((), np.float32)
        if node.op_type == "BipolarQuant":
            return Quantizer(scale, zero_point, 1, True, False, "ROUND")
        given = attributes(node)
        zero_point, bits = (
            self.parameter(node, i, what) for i, what in ((2, "zero point"), (3, "bit width"))
        )
        if bits.size != 1 or float(bits.reshape(())) not in range(1, 33):
            raise ModelError(f"{where(node)}: a bit width of {bits}; one from 1 to 32 works")
        rounding = str(given.get("rounding_mode", "ROUND")).upper()
        if rounding not in ROUNDINGS:
            raise ModelError(
                f"{where(node)}: rounding mode {rounding}; {', '.join(ROUNDINGS)} work"
            )
        signed, narrow = bool(given.get("signed", 1)), bool(given.get("narrow", 1))
        return Quantizer(scale, zero_point, int(bits.reshape(())), signed, narrow, rounding)

    def _evaluate(self, node: Any) -> bool:
        """Whether the node's result is a constant, which then is known."""
        if self.source.fold(node):
            return True
        x, y = node.input[0] if node.input else "", node.output[0]
        value = self.value(x)
        if is_custom(node) and node.op_type != "Trunc" and value is not None:
            self.quantized[y] = self.quantizer(node).constant(value.astype(np.float32))
            return True
        if node.op_type in LAYOUTS and x in self.quantized:
            known = self.quantized[x]
            rest = [self.source.constants[name] for name in node.input[1:]]
            parts = (
                self.source.evaluate(node, [part, *rest])[0] for part in (known.steps, known.scale)
            )
            self.quantized[y] = QuantizedConstant(*parts)
            return True
        return False
