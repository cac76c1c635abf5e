"""A convolution or dense layer as an export sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..nary.quantize import Weights


@dataclass(frozen=True, eq=False)
class Product:
    """Name, `vq.*` operator, its constants and the scale of its input."""

    layer: str
    op: str
    weights: Weights
    x_scale: np.float32

    @property
    def bias_scale(self) -> NDArray[np.float32]:
        """Of each output channel's bias."""
        return np.asarray(self.x_scale * self.weights.w_scale, np.float32)

    @property
    def ohwi(self) -> NDArray[np.int8]:
        """A convolution's weights, (O, KH, KW, I); a depthwise one's with I = 1."""
        weight = self.weights.weight
        if self.op == "vq.depthwise_conv2d":
            return weight.transpose(2, 0, 1)[..., np.newaxis]
        return weight

    def equals(self, other: Product) -> bool:
        """Whether the constants are the same, bit for bit."""
        mine, its = self.weights, other.weights
        return (
            np.array_equal(mine.weight, its.weight)
            and np.array_equal(mine.bias, its.bias)
            and np.array_equal(mine.w_scale, its.w_scale)
        )
