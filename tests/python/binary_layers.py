"""Modules of one `vq.binary_conv2d` layer, drawn, and inputs for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from one_layer import one_layer_module

from vq_cortexm.op.binary_conv2d import BinaryConv2dAttrs
from vq_cortexm.op.bits import pack, words


@dataclass(frozen=True)
class BinaryLayer:
    """Square windows on (N, *plane, channels); `y_dtype` int32 gives signs. Bytes are clamped to
    `clamp`, and have drawn scales unless each sum is multiplied by `ratio`."""

    plane: tuple[int, int]
    channels: int
    outputs: int
    size: int
    stride: int = 1
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    pad_value: int = -1
    y_dtype: str = "int32"
    rounding: str = "single"
    batch: int = 1
    clamp: tuple[int, int] | None = None
    ratio: float | None = None

    def module(self, seed: int = 0) -> Any:
        """With drawn weights; thresholds and scales that both signs and most values occur."""
        rng = np.random.default_rng(seed)
        inputs = self.size**2 * self.channels
        spread = int(2 * inputs**0.5) + 2
        w = pack(rng.integers(0, 2, (self.outputs, self.size, self.size, self.channels)))
        constants = [w, rng.integers(-spread, spread, self.outputs).astype(np.int32)]
        grid: dict[str, Any] = {}
        if self.y_dtype != "int32":
            low = 0 if self.y_dtype == "uint8" else -128
            grid = {"x_scale": 0.5, "y_scale": spread / 90, "y_zero_point": low + 100}
            y_min, y_max = self.clamp or (low + 3, low + 250)
            grid |= {"y_min": y_min, "y_max": y_max, "rounding": self.rounding}
            constants.append(rng.uniform(0.5, 1.5, self.outputs).astype(np.float32))
            if self.ratio:
                grid |= {"x_scale": 1.0, "y_scale": 1.0}
                constants[2][:] = self.ratio
        else:
            # never, always, and exactly reached
            constants[1][: min(3, self.outputs)] = [inputs + 1, -inputs, inputs][: self.outputs]
        attrs = BinaryConv2dAttrs(
            self.channels,
            (self.stride, self.stride),
            self.padding,
            self.pad_value,
            self.y_dtype,
            **grid,
        )
        shape = (self.batch, *self.plane, words(self.channels))
        return one_layer_module("binary_conv2d", shape, "int32", constants, attrs)

    def samples(self, count: int) -> list[list[Any]]:
        """Packed inputs; the first are all -1 and all +1."""
        rng = np.random.default_rng(9)
        shape = (self.batch, *self.plane, self.channels)
        drawn = [rng.integers(0, 2, shape) for _ in range(count - 2)]
        return [[pack(x)] for x in (np.zeros(shape), np.ones(shape), *drawn)]
