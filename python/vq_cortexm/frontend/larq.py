"""Binary nets in float ONNX, as converters write Larq's: signs become QONNX's BipolarQuant.

    Sign(Add(Sign(x), c)) with 0 < c < 1              Larq's sign, which is never 0
    Where(GreaterOrEqual(x, 0), a, -a), Where(Less(x, 0), -a, a)
    the constant of a layer that is -a or +a, with one a for each output channel

A BipolarQuant equals each of them for every number: +a where x >= 0, else -a.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ModelError, first_line
from .qonnx_graph import DOMAINS, SourceGraph, attributes, where, with_domains
from .qonnx_target import TargetGraph

FLOAT_REST = (
    "a binary net whose other layers are float; "
    "`vq-cortexm quantize MODEL --data D.npz -o OUT.onnx` makes them 8-bit"
)
"""What is said of a model that `is_float_binary`."""

_SWAPPED = {
    "GreaterOrEqual": "LessOrEqual",
    "LessOrEqual": "GreaterOrEqual",
    "Greater": "Less",
    "Less": "Greater",
}
"""Comparisons, and the same of exchanged sides."""
_OPPOSITE = {
    "GreaterOrEqual": "Less",
    "Less": "GreaterOrEqual",
    "Greater": "LessOrEqual",
    "LessOrEqual": "Greater",
}
_LAYERS = ("Conv", "Gemm", "MatMul")


def is_float_binary(proto: Any) -> bool:
    """Whether a model has signs and nothing else that is quantized."""
    names = {node.op_type for node in proto.graph.node}
    quantized = any("Quant" in name or "QLinear" in name for name in names - {"BipolarQuant"})
    return not quantized and ("BipolarQuant" in names or _has_signs(proto))


def with_bipolar_quants(proto: Any) -> Any:
    """The model with a BipolarQuant in place of each sign; the same where it has none.

    Constants are folded, and what no output needs is left out. Raises ModelError for a Sign that
    leaves 0 as it is.
    """
    if not _has_signs(proto):
        return proto
    try:
        return _Rewriter(SourceGraph(proto)).run()
    except ModelError:
        raise
    except Exception as error:  # ONNX raises many types on graphs that are wrong
        raise ModelError(f"damaged or not supported: {first_line(error)}") from error


def channel_axis(node: Any, rank: int) -> int:
    """The axis of the output channels in the weights of a Conv, Gemm or MatMul."""
    is_first = node.op_type == "Conv" or bool(attributes(node).get("transB", 0))
    return 0 if is_first else rank - 1


def _has_signs(proto: Any) -> bool:
    compared = {
        name
        for node in proto.graph.node
        if node.op_type in (*_SWAPPED, "Not")
        for name in node.output
    }
    return any(
        node.op_type == "Sign" or (node.op_type == "Where" and node.input[0] in compared)
        for node in proto.graph.node
    )


class _Rewriter:
    """One walk over the nodes that are no constants."""

    def __init__(self, source: SourceGraph) -> None:
        self.source = source
        nodes = source.proto.graph.node
        taken = {name for node in nodes for name in (*node.input, *node.output)}
        self.nodes = [node for node in nodes if not source.fold(node)]
        self.makers = {name: node for node in self.nodes for name in node.output}
        self.target = TargetGraph(taken | set(source.constants))

    def run(self) -> Any:
        for node in self.nodes:
            y = node.output[0]
            x, reach = self._larq_sign(node) or self._selected_sign(node) or ("", 0)
            if x and self.source.shapes.get(x) == self.source.shapes.get(y):
                self._bipolar(x, np.float32(reach), y, node.name)
            elif node.op_type in _LAYERS and node.input[1] in self.source.constants:
                self._layer(node)
            else:
                self.target.nodes.append(node)
        self.target.nodes = self._needed()
        for node in self.target.nodes:
            if node.op_type == "Sign":
                raise ModelError(
                    f"{where(node)}: leaves 0 as it is, and a binary net has no 0; Larq's "
                    "Sign(Add(Sign(x), 0.1)) and Where(GreaterOrEqual(x, 0), 1, -1) work"
                )
        self.target.keep(self.source.constants)
        return with_domains(self.target.model(self.source))

    def _needed(self) -> list[Any]:
        wanted, kept = set(self.source.outputs), []
        for node in reversed(self.target.nodes):
            if wanted & set(node.output):
                wanted |= set(node.input)
                kept.append(node)
        return kept[::-1]

    def _bipolar(self, x: str, scale: Any, y: str = "", name: str = "") -> str:
        inputs = [x, self.target.constant(scale, "scale")]
        return self.target.node("BipolarQuant", inputs, "signs", y, domain=DOMAINS[0], name=name)

    # ------------------------------------------------------------------ signs of activations

    def _larq_sign(self, node: Any) -> tuple[str, float] | None:
        """What Sign(Add(Sign(x), c)) reads."""
        total = self.makers.get(node.input[0]) if node.op_type == "Sign" else None
        if total is None or total.op_type != "Add":
            return None
        for x, constant in (total.input, list(total.input)[::-1]):
            inner, number = self.makers.get(x), self._number(constant)
            if inner is not None and inner.op_type == "Sign" and number and 0 < number < 1:
                return inner.input[0], 1.0
        return None

    def _selected_sign(self, node: Any) -> tuple[str, float] | None:
        """What Where(GreaterOrEqual(x, 0), a, -a) reads, and a."""
        if node.op_type != "Where":
            return None
        chosen, other = (self._number(name) for name in node.input[1:])
        compared = self._comparison(node.input[0])
        if compared is None or not chosen or other != -chosen:
            return None
        x, comparison = compared
        if chosen < 0:
            comparison = _OPPOSITE[comparison]
        if comparison != "GreaterOrEqual":
            raise ModelError(
                f"{where(node)}: is negative where x is 0 or above; "
                "Where(GreaterOrEqual(x, 0), 1, -1) works"
            )
        return x, abs(chosen)

    def _comparison(self, name: str) -> tuple[str, str] | None:
        """What is compared with 0, and how; None of any other condition."""
        node = self.makers.get(name)
        if node is not None and node.op_type == "Not":
            found = self._comparison(node.input[0])
            return None if found is None else (found[0], _OPPOSITE[found[1]])
        if node is None or node.op_type not in _SWAPPED:
            return None
        first, second = node.input
        if self._number(second) == 0:
            return first, node.op_type
        return (second, _SWAPPED[node.op_type]) if self._number(first) == 0 else None

    def _number(self, name: str) -> float | None:
        """A constant that is one number, however often; None of anything else."""
        value = self.source.constants.get(name)
        if value is None or value.size == 0 or np.any(value != value.flat[0]):
            return None
        return float(value.flat[0])

    # ------------------------------------------------------------------ weights

    def _layer(self, node: Any) -> None:
        """A layer, with its weights behind a BipolarQuant where they are signs."""
        weight = np.asarray(self.source.constants[node.input[1]])
        axis = channel_axis(node, weight.ndim)
        others = tuple(i for i in range(weight.ndim) if i != axis)
        reach = np.abs(weight).max(axis=others, keepdims=True) if weight.size else weight
        if not weight.size or np.any(np.abs(weight) != reach) or not np.all(reach > 0):
            self.target.nodes.append(node)
            return
        signs = self._bipolar(node.input[1], reach.astype(np.float32))
        self.target.copy(node, [node.input[0], signs, *node.input[2:]], node.output[0])
