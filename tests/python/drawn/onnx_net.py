"""An ONNX QDQ model under construction, with what its drawers share: NCHW, opset 17."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from . import draws
from .draws import Tensor


class OnnxNet:
    """Layers one after another; a tensor is named by its float form, behind DequantizeLinear."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.rng = np.random.default_rng(random.getrandbits(32))
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []
        """Those beside the last layer's."""
        self._nodes: list[Any] = []
        self._initializers: list[Any] = []
        self._borders: list[Any] = []
        self._integers: dict[str, str] = {}

    def node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Adds a node; returns its output."""
        return self.nodes(operator, inputs, 1, **attributes)[0]

    def nodes(
        self, operator: str, inputs: Sequence[str], count: int, **attributes: Any
    ) -> list[str]:
        """The same of so many outputs."""
        outputs = [f"{operator.lower()}_{len(self._nodes)}_{i}" for i in range(count)]
        self._nodes.append(helper.make_node(operator, list(inputs), outputs, **attributes))
        return outputs

    def constant(self, value: Any) -> str:
        """An initializer."""
        name = f"constant_{len(self._initializers)}"
        self._initializers.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def ints(self, values: Any) -> str:
        """An initializer of int64: axes, widths, shapes."""
        return self.constant(np.array(values, np.int64))

    def quantized(
        self, value: str, shape: Sequence[int], scale: float, zero_point: int, dtype: str
    ) -> Tensor:
        """A float value behind QuantizeLinear and DequantizeLinear."""
        ends = [self.constant(np.float32(scale)), self.constant(np.dtype(dtype).type(zero_point))]
        integer = self.node("QuantizeLinear", [value, *ends])
        name = self.node("DequantizeLinear", [integer, *ends])
        self._integers[name] = integer
        return Tensor(name, tuple(int(n) for n in shape), scale, zero_point, dtype)

    def like(self, x: Tensor, value: str, shape: Sequence[int]) -> Tensor:
        """A value with the quantization of `x`."""
        return self.quantized(value, shape, x.scale, x.zero_point, x.dtype)

    def near(self, x: Tensor, value: str, shape: Sequence[int]) -> Tensor:
        """A value with a scale around that of `x`."""
        scale = draws.draw_scale(self.random, x.scale)
        return self.quantized(value, shape, scale, self.zero_point(x), x.dtype)

    def zero_point(self, x: Tensor) -> int:
        """A drawn one for the type of `x`."""
        return draws.draw_zero_point(self.random, x.dtype)

    def input(self, shape: Sequence[int], dtype: str) -> Tensor:
        """An input of the model, with a drawn quantization."""
        zero_point = draws.draw_zero_point(self.random, dtype)
        return self._input(shape, draws.draw_scale(self.random), zero_point, dtype)

    def input_like(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """Another input, with the quantization of `x`."""
        return self._input(shape, x.scale, x.zero_point, x.dtype)

    def product(
        self, x: Tensor, shape: tuple[int, ...], axis: int, per_channel: bool
    ) -> tuple[list[str], float]:
        """Weights and (mostly) a bias behind DequantizeLinear; the scale of the outputs."""
        drawn = draws.draw_product(self.random, self.rng, x, shape, axis, per_channel)
        names = [self._dequantized(drawn.weights, drawn.weight_scales, axis)]
        if draws.chance(self.random, 0.85):
            names.append(self._dequantized(drawn.bias, drawn.bias_scales, 0))
        return names, drawn.y_scale

    def finish(self, y: Tensor) -> bytes:
        """The file of a model whose last layer gives `y`, as integers."""
        outputs = (y, *self.outputs)
        integers = [self._integers[t.name] for t in outputs]
        unused = {t.name for t in outputs}
        used = {name for node in self._nodes for name in node.input}
        nodes = [n for n in self._nodes if n.output[0] not in unused - used]
        results = [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(np.dtype(t.dtype)), t.shape
            )
            for name, t in zip(integers, outputs, strict=True)
        ]
        graph = helper.make_graph(nodes, "drawn", self._borders, results, self._initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        model = onnx.shape_inference.infer_shapes(model)
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())

    def _input(self, shape: Sequence[int], scale: float, zero_point: int, dtype: str) -> Tensor:
        name = f"x{len(self.inputs)}"
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self._borders.append(helper.make_tensor_value_info(name, kind, shape))
        ends = [self.constant(np.float32(scale)), self.constant(np.dtype(dtype).type(zero_point))]
        real = self.node("DequantizeLinear", [name, *ends])
        self.inputs.append(Tensor(real, tuple(shape), scale, zero_point, dtype))
        return self.inputs[-1]

    def _dequantized(self, value: Any, scales: Any, axis: int) -> str:
        zeros = np.zeros(scales.shape, value.dtype)
        if scales.size == 1:
            ends = [self.constant(scales[0]), self.constant(zeros[0])]
            return self.node("DequantizeLinear", [self.constant(value), *ends])
        ends = [self.constant(scales), self.constant(zeros)]
        return self.node("DequantizeLinear", [self.constant(value), *ends], axis=axis)
