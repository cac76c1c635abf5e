"""Moves as late as they can be: transposes and reshapes go behind what does not mind them.

A converter puts a transpose on both sides of each convolution of a net with its channels last, and
a flattening in front of a sign. Behind signs, activations, sums and what acts on each channel they
meet their inverse, or a layer that needs them, and each layer has its sign right behind it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..frontend.qonnx_graph import SourceGraph, attributes, with_domains
from ..frontend.qonnx_target import TargetGraph

Move = tuple[str, tuple[int, ...]]
"""("Transpose", axes) or ("Reshape", the whole shape)."""
Moves = tuple[Move, ...]

MOVES = ("Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
_SAME = ("Dropout", "Identity")
_POINTWISE = ("BipolarQuant", "Clip", "Relu")
AFFINE = ("Add", "Div", "Mul", "Sub")
"""Operators that may act on each channel, with a constant."""


def with_late_moves(proto: Any) -> Any:
    """The model, for a batch of 1, with the same outputs; constants are folded, and nodes that
    change nothing left out."""
    return _Mover(SourceGraph(proto)).run()


class _Mover:
    """One walk over the nodes. A tensor in `moved` is another one with moves that are still to be
    made; `made` has those that were."""

    def __init__(self, source: SourceGraph) -> None:
        self.source = source
        nodes = source.proto.graph.node
        taken = {name for node in nodes for name in (*node.input, *node.output)}
        self.nodes = [node for node in nodes if not source.fold(node)]
        self.target = TargetGraph(taken | set(source.constants))
        self.moved: dict[str, tuple[str, Moves]] = {}
        self.made: dict[tuple[str, Moves], str] = {}

    def run(self) -> Any:
        for node in self.nodes:
            self._visit(node)
        for name in self.source.outputs:
            made = self._made(name)
            if made != name:
                self.target.node("Identity", [made], "", name)
        self.target.keep(self.source.constants)
        return with_domains(self.target.model(self.source))

    def _visit(self, node: Any) -> None:
        x, y = node.input[0], node.output[0]
        source, moves = self._origin(x)
        if node.op_type in _SAME:
            self.moved[y] = source, moves
        elif node.op_type in MOVES:
            self.moved[y] = source, self._then(source, moves, self._move(node))
        elif node.op_type in _POINTWISE:
            self._write(node, [source, *node.input[1:]], moves)
        elif node.op_type in AFFINE:
            self._sum_or_affine(node)
        else:
            self._write(node, [self._made(name) for name in node.input], ())

    def _origin(self, name: str) -> tuple[str, Moves]:
        return self.moved.get(name, (name, ()))

    def _write(self, node: Any, inputs: list[str], moves: Moves) -> None:
        """The node on other inputs, whose result is then moved."""
        y = node.output[0]
        written = self.target.copy(node, inputs, "" if moves else y)
        if moves:
            like = next(name for name in inputs if name in self.source.shapes)
            self.source.shapes[written] = self.source.shapes[like]
            self.moved[y] = written, moves

    def _sum_or_affine(self, node: Any) -> None:
        """Two tensors with the same transposes, or one and a constant of each channel."""
        constants, shapes = self.source.constants, self.source.shapes
        tensors = [name for name in node.input if name not in constants]
        moves, *others = [self._origin(name)[1] for name in tensors]
        numbers = [constants[name].size for name in node.input if name in constants] == [1]
        turned = all(kind == "Transpose" for kind, _ in moves) and all(m == moves for m in others)
        if (turned or numbers) and all(shapes[n] == shapes[node.output[0]] for n in tensors):
            inputs = [
                self._before(constants[name], moves) if name in constants else self._origin(name)[0]
                for name in node.input
            ]
            self._write(node, inputs, moves)
        else:
            self._write(node, [self._made(name) for name in node.input], ())

    def _before(self, value: Any, moves: Moves) -> str:
        """A constant that is added to, or multiplied with, a tensor before its transposes."""
        if value.size == 1:
            return self.target.constant(value.reshape(()), "number")
        for _, axes in moves:
            along = value.reshape([1] * (len(axes) - value.ndim) + list(value.shape))
            value = along.transpose(np.argsort(axes))
        return self.target.constant(value, "channels")

    def _move(self, node: Any) -> Move:
        x, y = node.input[0], node.output[0]
        if node.op_type != "Transpose":
            return "Reshape", self.source.shapes[y]
        rank = len(self.source.shapes[x])
        return "Transpose", tuple(attributes(node).get("perm", range(rank)[::-1]))

    def _then(self, source: str, moves: Moves, move: Move) -> Moves:
        """Another move after some; two of a kind are one, or none."""
        kind, numbers = move
        if moves and moves[-1][0] == kind:
            if kind == "Transpose":
                numbers = tuple(moves[-1][1][axis] for axis in numbers)
            moves = moves[:-1]
        nothing = tuple(range(len(numbers))) if kind == "Transpose" else self._shape(source, moves)
        return moves if numbers == nothing else (*moves, (kind, numbers))

    def _shape(self, source: str, moves: Moves) -> tuple[int, ...]:
        shape = self.source.shapes[source]
        for kind, numbers in moves:
            shape = tuple(shape[axis] for axis in numbers) if kind == "Transpose" else numbers
        return shape

    def _made(self, name: str) -> str:
        """A tensor with its moves."""
        source, moves = self._origin(name)
        made = source
        for count in range(1, len(moves) + 1):
            key = source, moves[:count]
            if key not in self.made:
                self.made[key] = self._make(made, *moves[count - 1])
            made = self.made[key]
        return made

    def _make(self, name: str, kind: str, numbers: tuple[int, ...]) -> str:
        if kind == "Transpose":
            return self.target.node(kind, [name], "transposed", perm=numbers)
        shape = self.target.constant(np.array(numbers, np.int64), "shape")
        return self.target.node(kind, [name, shape], "reshaped")
