"""Where a binary net is quantized to 8 bits: at what signs do not decide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import ModelError
from ..frontend.qonnx_graph import SourceGraph, where
from .late_moves import AFFINE, MOVES

LAYERS = ("Conv", "Gemm", "MatMul")
_POOLS = ("AveragePool", "GlobalAveragePool", "ReduceMean")


@dataclass(frozen=True)
class Points:
    """`tensors` get a Quant; the nodes that give `loose` tensors are affine for each channel and
    stand behind no layer."""

    tensors: tuple[str, ...]
    loose: frozenset[str]


def find_points(source: SourceGraph) -> Points:
    """The points of a float net with BipolarQuants, its moves behind its signs; ModelError names
    the node that is not supported."""
    return _Finder(source).run()


class _Finder:
    """One walk over the nodes. A tensor is on a grid (`grids`: signs, and what is quantized), or a
    float: an `open` one is a layer's, which a batch norm or a sign behind it joins."""

    def __init__(self, source: SourceGraph) -> None:
        self.source = source
        self.points: list[str] = []
        self.loose: set[str] = set()
        self.grids: set[str] = set()
        self.open: set[str] = set()

    def run(self) -> Points:
        for value in self.source.inputs:
            self._quantized(value.name)
        for node in self.source.proto.graph.node:
            if node.op_type not in _RULES:
                known = ", ".join(sorted(_RULES))
                raise ModelError(f"{where(node)}: is not supported in a binary net; {known} are")
            _RULES[node.op_type](self, node)
        for name in self.source.outputs:
            self._quantized(name)
        return Points(tuple(self.points), frozenset(self.loose))

    def _quantized(self, name: str) -> None:
        """Says that a tensor must be on a grid."""
        if name not in self.grids and name not in self.source.constants:
            self.points.append(name)
            self.grids.add(name)

    def _is_open(self, name: str) -> bool:
        return name in self.open and self.source.only_reader(name) is not None

    def _layer(self, node: Any) -> None:
        self._quantized(node.input[0])
        self.open.add(node.output[0])

    def _sign(self, node: Any) -> None:
        if not self._is_open(node.input[0]):
            self._quantized(node.input[0])
        self.grids.add(node.output[0])

    def _affine(self, node: Any) -> None:
        """Joins the layer before it, or becomes one."""
        x, *others = self._tensors(node)
        if others:
            raise ModelError(f"{where(node)}: is of two tensors; a tensor and a constant work")
        if not self._is_open(x):
            if len(self.source.shapes.get(x, ())) != 4:
                raise ModelError(
                    f"{where(node)}: works right behind {', '.join(LAYERS)}, or on maps of channels"
                )
            self._quantized(x)
            self.loose.add(node.output[0])
        self.open.add(node.output[0])

    def _add(self, node: Any) -> None:
        tensors = self._tensors(node)
        if len(tensors) == 1:
            self._affine(node)
        else:
            self._float(node)

    def _tensors(self, node: Any) -> list[str]:
        return [name for name in node.input if name and name not in self.source.constants]

    def _float(self, node: Any) -> None:
        """Quantized inputs, and a float output."""
        for name in self._tensors(node):
            self._quantized(name)

    def _move(self, node: Any) -> None:
        """A grid as it is; values move or are chosen among."""
        self._float(node)
        self.grids.add(node.output[0])

    def _max_pool(self, node: Any) -> None:
        if self._is_open(node.input[0]) and self._leads_to_sign(node.output[0]):
            self.open.add(node.output[0])
        else:
            self._move(node)

    def _leads_to_sign(self, name: str) -> bool:
        """Whether only batch norms and factors are between a tensor and the sign that reads it."""
        reader = self.source.only_reader(name)
        if reader is None or reader.op_type == "BipolarQuant":
            return reader is not None
        is_affine = reader.op_type == "BatchNormalization" or (
            reader.op_type in AFFINE and len(self._tensors(reader)) == 1
        )
        return is_affine and self._leads_to_sign(reader.output[0])

    def _activation(self, node: Any) -> None:
        """Stays behind a float that nothing else reads."""
        x = node.input[0]
        if x in self.grids or self.source.only_reader(x) is None:
            self._quantized(x)


_RULES: dict[str, Callable[[_Finder, Any], None]] = {
    **dict.fromkeys(LAYERS, _Finder._layer),
    **dict.fromkeys((*_POOLS, "Concat", "Softmax"), _Finder._float),
    **dict.fromkeys((*MOVES, "Identity", "Pad"), _Finder._move),
    **dict.fromkeys(("BatchNormalization", "Div", "Mul", "Sub"), _Finder._affine),
    **dict.fromkeys(("Clip", "Relu"), _Finder._activation),
    "Add": _Finder._add,
    "BipolarQuant": _Finder._sign,
    "MaxPool": _Finder._max_pool,
}
