"""QONNX → ONNX QDQ: n-bit quantizers, as Brevitas exports them, become what `from_onnx` reads.

Weights are evaluated to whole numbers at compile time, exactly as QONNX defines it, and stay whole
numbers of their few levels in int8, with a scale per channel. Activations keep their n-bit clip in
8 bits. Operators that only move or select values are put between equal quantizers; a quantizer
further down is brought forward through them, which changes nothing.

With rounding `float`, a layer equals QONNX's own execution where its float32 arithmetic has no
rounding: scales that are powers of two, biases that are multiples of x_scale * w_scale. Elsewhere a
layer is within one step of its output, and few values differ, next to a tie:

  - QONNX rounds on its way to a layer's output, and we do not;
  - a bias off the grid, as batch norm leaves it, is rounded to whole steps of x_scale * w_scale:
    felt where weights and inputs have 1 to 3 bits, and the output's step is few of these;
  - ties at an odd zero point, as QONNX rounds after adding it;
  - ties of a Trunc that rounds the mean of a window of 2**n elements, smaller than the map.

A Trunc that rounds down, and a BipolarQuant, are exact in every rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import ModelError, first_line
from ..op.quantization import dtype_range
from .qonnx_constants import LAYOUTS, Constants
from .qonnx_graph import QUANTIZERS, SourceGraph, attributes, is_custom, where
from .qonnx_layers import (
    Layer,
    channels_of,
    integer_layer,
    own_affine,
    sign_layer,
)
from .qonnx_signs import layer_ending, sign_format, write_pooled_signs, write_sign, write_sign_of
from .qonnx_target import Activation, TargetGraph
from .qonnx_trunc import Mean, truncate
from .qonnx_values import Format, QuantizedConstant, activation_format

_KEPT = ("Dropout", "Identity", "Relu")
"""Operators that stay behind a float."""

MOVES = (*LAYOUTS, "Concat", "Dropout", "MaxPool", "Pad", "Relu")
"""Operators that a quantizer may be brought forward through, and whose outputs are quantized as
their inputs are."""

_LAYERS = ("Conv", "Gemm", "MatMul")
_POOLS = ("AveragePool", "GlobalAveragePool")
_FLOAT = ("Add", "Clip", "ReduceMean", "Softmax")
"""Operators on quantized inputs whose output a quantizer must end, as it must those of pools."""


def qonnx_to_qdq(proto: Any) -> Any:
    """The ONNX QDQ model of a QONNX model, both `onnx.ModelProto`, with its inputs and outputs.

    Raises ModelError that names the node for what has no integer meaning.
    """
    try:
        return _Importer(SourceGraph(proto)).run()
    except ModelError:
        raise
    except Exception as error:  # ONNX raises many types on graphs that are wrong
        raise ModelError(f"damaged or not supported: {first_line(error)}") from error


class _Importer:
    """One walk over the nodes. A tensor is a constant, an activation, or a float that a quantizer
    must end (`floats`: by whom it is made)."""

    def __init__(self, source: SourceGraph) -> None:
        self.source = source
        self.constants = Constants(source)
        self.inputs = [value.name for value in source.inputs]
        nodes = source.proto.graph.node
        taken = {name for node in nodes for name in (*node.input, *node.output)}
        self.target = TargetGraph({*taken, *self.inputs})
        self.activations: dict[str, Activation] = {}
        self.floats = dict.fromkeys(self.inputs, "the model's user")
        self.means: dict[str, Mean] = {}
        self.done = self.constants.nodes

    def run(self) -> Any:
        for node in self.source.proto.graph.node:
            if node.output[0] not in self.done:
                self._rule(node)(node)
        for name in self.source.outputs:
            if name not in self.activations:
                raise ModelError(
                    f"output {name!r}, made by {self.floats.get(name, 'constants')}, is not "
                    "quantized; a Quant node (Brevitas: QuantIdentity) after it works"
                )
        return self.target.model(self.source)

    def _rule(self, node: Any) -> Callable[[Any], None]:
        rules: dict[str, Callable[[Any], None]] = {
            **dict.fromkeys(_LAYERS, self._layer),
            **dict.fromkeys(MOVES, self._move),
            **dict.fromkeys((*_FLOAT, *_POOLS), self._float),
            "Mul": self._scaled_mean,
        }
        if is_custom(node):
            rules = {**dict.fromkeys(QUANTIZERS, self._quant), "Trunc": self._trunc}
        if node.op_type in ("BatchNormalization", "Sub", "Div"):
            raise ModelError(
                f"{where(node)}: works only right behind {', '.join(_LAYERS)}, with constants"
            )
        if node.op_type not in rules:
            raise ModelError(f"{where(node)}: is not supported; {', '.join(sorted(rules))} are")
        return rules[node.op_type]

    # ------------------------------------------------------------------ quantizers

    def _quant(self, node: Any) -> None:
        x, y = node.input[0], node.output[0]
        if self.constants.quantizer(node).is_bipolar and x in self.activations:
            format = self._sign_format(node)
            self.activations[y] = write_sign_of(self.target, self.activations[x], format, y)
        else:
            self.activations[y] = self._quantized(x, self._format(node), y)

    def _sign_format(self, node: Any) -> Format:
        format = sign_format(self.constants.quantizer(node))
        if format is None:
            raise ModelError(f"{where(node)}: one bit with several scales; one scale works")
        return format

    def _format(self, node: Any) -> Format:
        quantizer = self.constants.quantizer(node)
        if quantizer.is_bipolar:
            raise ModelError(
                f"{where(node)}: works only right behind {', '.join(_LAYERS)}, or on what is "
                "quantized"
            )
        try:
            return activation_format(quantizer)
        except ValueError as error:
            raise ModelError(f"{where(node)}: {error}") from None

    def _quantized(self, name: str, format: Format, output: str = "") -> Activation:
        """A float or an activation in another format."""
        if name in self.activations:
            known = self.activations[name]
            same = replace(known.format, low=format.low, high=format.high) == format
            inside = format.low <= known.format.low and known.format.high <= format.high
            written = format.unclipped if same and inside else format
            return self.target.quantize(known.real, format, output, written)
        if name in self.inputs and format.is_clipped:
            # the compiled model takes any 8 bits, and clips those beyond the range
            name = self.target.quantize(name, format.unclipped).real
        return self.target.quantize(name, format, output)

    def _activation(self, node: Any, name: str) -> Activation:
        """A quantized input of a node."""
        if name in self.activations:
            return self.activations[name]
        raise ModelError(
            f"{where(node)}: its input {name!r}, made by {self.floats.get(name, 'constants')}, is "
            "not quantized; a Quant node between them works"
        )

    def _trunc(self, node: Any) -> None:
        x, y = node.input[0], node.output[0]
        mean = self.means.get(x) or Mean(None, self._activation(node, x))
        self.activations[y] = truncate(self.target, self.constants, node, mean)

    # ------------------------------------------------------------------ operators

    def _float(self, node: Any) -> None:
        """Stays as it is, on quantized inputs; a Clip also behind another float."""
        x, y = node.input[0], node.output[0]
        self.floats[y] = where(node)
        reader = self.source.only_reader(y)
        if node.op_type in _POOLS and reader is not None and reader.op_type in ("Trunc", "Mul"):
            source = self._activation(node, x)
            self.means[y] = Mean(node, source, self.source.shapes.get(x, ()))
        elif node.op_type == "Clip" and x in self.floats:
            self.target.copy(node, [x, *self._rest(node, 1)], y)
        else:
            count = 2 if node.op_type == "Add" else 1
            reals = [self._activation(node, name).real for name in node.input[:count]]
            self.target.copy(node, [*reals, *self._rest(node, count)], y)

    def _scaled_mean(self, node: Any) -> None:
        """A factor between an average pool and its Trunc, as Brevitas exported it before 0.11."""
        names = sorted(node.input, key=lambda name: name not in self.means)
        factor = self.constants.value(names[1])
        reader = self.source.only_reader(node.output[0])
        cut = reader is not None and reader.op_type == "Trunc"
        if not cut or names[0] not in self.means or factor is None or factor.size != 1:
            raise ModelError(
                f"{where(node)}: works only right behind {', '.join(_LAYERS)}, with constants"
            )
        mean = self.means[names[0]]
        self.means[node.output[0]] = replace(mean, factor=float(factor.reshape(())))

    def _move(self, node: Any) -> None:
        x, y = node.input[0], node.output[0]
        if x in self.floats and x not in self.inputs and node.op_type in _KEPT:
            self.floats[y] = where(node)
            self._copy(node, [x], y)
            return
        names = list(node.input) if node.op_type == "Concat" else [x]
        parts = [self._brought_forward(node, name) for name in names]
        reals = [*(part.real for part in parts), *self._rest(node, len(parts))]
        first = parts[0].format
        low, high = min(p.format.low for p in parts), max(p.format.high for p in parts)
        if any(replace(p.format, low=first.low, high=first.high) != first for p in parts):
            self.floats[y] = where(node)
            self._copy(node, reals, y)
            return
        if node.op_type == "Relu":
            low, high = (max(end, first.zero_point) for end in (low, high))
        if node.op_type == "Pad":
            border = self._border(node, first)
            low, high = min(low, border), max(high, border)
        moved = self.target.quantize(self._copy(node, reals), first.unclipped, y)
        self.activations[y] = replace(moved, format=replace(first, low=low, high=high))

    def _border(self, node: Any, format: Format) -> int:
        """The integer that a Pad writes."""
        value = self.constants.value(node.input[2]) if len(node.input) > 2 and node.input[2] else 0
        if attributes(node).get("mode", "constant") != "constant" or value is None:
            raise ModelError(f"{where(node)}: pads with something else than a constant; 0 works")
        real = float(np.reshape(value, ()))
        steps = real / format.scale + format.zero_point
        lowest, highest = dtype_range(format.dtype)
        if steps != round(steps) or not lowest <= steps <= highest:
            raise ModelError(
                f"{where(node)}: pads with {real:g}, which is no multiple of its input's scale "
                f"{format.scale:g} within {format.dtype}; 0 works"
            )
        return int(steps)

    def _brought_forward(self, node: Any, name: str) -> Activation:
        """An input of a moving operator; a float by the quantizer that follows further down."""
        reader = node
        while name in self.floats and reader is not None:
            if is_custom(reader) and reader.op_type != "Trunc":
                return self._quantized(name, self._format(reader))
            if reader.op_type not in MOVES:
                break
            reader = self.source.only_reader(reader.output[0])
        return self._activation(node, name)

    def _layer(self, node: Any) -> None:
        x, weights = self._activation(node, node.input[0]), self._weights(node)
        rank = 4 if node.op_type == "Conv" else 2
        affine = own_affine(node, self.constants.value, channels_of(node, weights))
        ending = layer_ending(self.source, self.constants, node.output[0], affine, rank)
        self.done.update(ending.joined)
        if ending.sign is None:
            layer = integer_layer(node, weights, x.format, ending.affine)
            self._write_layer(node, x, layer, ending.value)
            self.floats[ending.value] = where(node)
            return
        layer = sign_layer(node, weights, x.format, ending.affine)
        unscaled = self.target.dequantize(x.integer, replace(x.format, scale=1.0))
        real = self._write_layer(node, unscaled, layer)
        format, y = self._sign_format(ending.sign), ending.sign.output[0]
        if ending.pool is None or ending.least is None:
            self.activations[y] = write_sign(self.target, real, format, y)
        else:
            signs = write_sign(self.target, real, format)
            pooled = write_pooled_signs(self.target, signs, ending.pool, ending.least, y)
            self.activations[y] = pooled
        self.done.add(y)

    def _weights(self, node: Any) -> QuantizedConstant:
        known = self.constants.quantized.get(node.input[1])
        if known is None:
            raise ModelError(
                f"{where(node)}: its weights {node.input[1]!r} are not quantized constants; a "
                "Quant node on them works"
            )
        if node.op_type != "Conv":
            rank = len(self.source.shapes.get(node.input[0], (0, 0)))
            if rank != 2 or attributes(node).get("transA", 0):
                raise ModelError(f"{where(node)}: works on (batch, features); Flatten before it")
        return known

    def _write_layer(self, node: Any, x: Activation, layer: Layer, output: str = "") -> str:
        """Conv, or Gemm, on dequantized constants; returns its output."""
        b_scale = np.asarray(np.float32(x.format.scale) * layer.w_scale, np.float32)
        inputs = [
            x.real,
            self.target.dequantized_constant(layer.weight, layer.w_scale, "weight"),
            self.target.dequantized_constant(layer.bias, b_scale, "bias"),
        ]
        if node.op_type == "Conv":
            return self.target.copy(node, inputs, output)
        return self.target.node("Gemm", inputs, "product", output, transB=1)

    def _rest(self, node: Any, start: int) -> list[str]:
        """A node's further inputs, which must be constants, in the written graph."""
        values = [self.constants.value(name) for name in node.input[start:]]
        for name, value in zip(node.input[start:], values, strict=True):
            if name and value is None:
                raise ModelError(f"{where(node)}: its input {name!r} must be a constant")
        return ["" if value is None else self.target.constant(value, "extra") for value in values]

    def _copy(self, node: Any, inputs: list[str], output: str = "") -> str:
        if node.op_type == "Dropout":
            return self.target.node("Identity", inputs, "kept", output)
        return self.target.copy(node, inputs, output)
