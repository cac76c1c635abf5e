"""A TFLite model under construction, with what its drawers share."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
from tflite_builder import TfliteBuilder

from . import draws
from .draws import Tensor

ACTIVATIONS = ("NONE", "NONE", "RELU", "RELU6", "RELU_N1_TO_1")


class TfliteNet(TfliteBuilder):
    """Layers one after another; drawers add them."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self.random = random
        self.rng = np.random.default_rng(random.getrandbits(32))
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []
        """Those beside the last layer's."""

    def make(self, shape: Sequence[int], scale: float, zero_point: int, dtype: str) -> Tensor:
        """A new activation."""
        sizes = tuple(int(n) for n in shape)
        name = super().tensor(sizes, scale, zero_point, dtype)
        return Tensor(name, sizes, scale, zero_point, dtype)

    def like(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """A new activation with the quantization of `x`."""
        return self.make(shape, x.scale, x.zero_point, x.dtype)

    def near(self, x: Tensor, shape: Sequence[int], octaves: float = 2.0) -> Tensor:
        """A new activation with a scale around that of `x`."""
        scale = draws.draw_scale(self.random, x.scale, octaves)
        return self.make(shape, scale, draws.draw_zero_point(self.random, x.dtype), x.dtype)

    def input(self, shape: Sequence[int], dtype: str = "int8") -> Tensor:
        """An input of the model, with a drawn quantization."""
        zero_point = draws.draw_zero_point(self.random, dtype)
        about = 0.03 if dtype != "int16" else 0.03 / 256
        self.inputs.append(
            self.make(shape, draws.draw_scale(self.random, about), zero_point, dtype)
        )
        return self.inputs[-1]

    def input_like(self, x: Tensor, shape: Sequence[int] | None = None) -> Tensor:
        """Another input of the model, with the quantization of `x`."""
        self.inputs.append(self.like(x, x.shape if shape is None else shape))
        return self.inputs[-1]

    def activation(self) -> dict[str, Any]:
        """A drawn fused activation."""
        return {"FusedActivationFunction": self.random.choice(ACTIVATIONS)}

    def ints(self, values: Any) -> int:
        """A constant of int32: axes, paddings, shapes."""
        return self.constant(np.array(values, np.int32))

    def product(
        self,
        x: Tensor,
        shape: tuple[int, ...],
        axis: int,
        per_channel: bool,
        has_bias: bool = True,
    ) -> tuple[list[int], float]:
        """Constants for weights and a bias; the scale of the outputs."""
        drawn = draws.draw_product(self.random, self.rng, x, shape, axis, per_channel)
        constants = [self.constant(drawn.weights, drawn.weight_scales, axis)]
        if has_bias:
            constants.append(self.constant(drawn.bias, drawn.bias_scales))
        return constants, drawn.y_scale

    def output(self, x: Tensor, shape: Sequence[int], scale: float) -> Tensor:
        """A new activation of a scale, with a drawn zero point."""
        return self.make(shape, scale, draws.draw_zero_point(self.random, x.dtype), x.dtype)

    def finish(self, y: Tensor) -> bytes:
        """The file of a model whose last layer gives `y`."""
        return self.build([x.name for x in self.inputs], [t.name for t in (y, *self.outputs)])
