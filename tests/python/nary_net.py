"""A net of one layer of each kind whose weights hold as many levels as asked for, stored as asked
for. Channels and inputs are no multiples of four."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray
from vq_models import ModelBuilder

from vq_cortexm.compat import IRModule, constant
from vq_cortexm.nary.encoding import Realisation
from vq_cortexm.op.conv2d import Conv2dAttrs
from vq_cortexm.op.dense import DenseAttrs
from vq_cortexm.op.depthwise_conv2d import DepthwiseConv2dAttrs
from vq_cortexm.op.reshape import ReshapeAttrs
from vq_cortexm.op.rounding import Rounding
from vq_cortexm.transform.vq_config import VirtualQuantizeConfig

LAYERS = ("spatial", "pointwise", "depthwise", "connected")
OPS = ("vq.conv2d", "vq.conv2d", "vq.depthwise_conv2d", "vq.dense")
SCALE, ZERO_POINT = 0.05, -3


def levels_of(levels: int, codebook: bool, seed: int) -> NDArray[np.int8]:
    """Ascending: neighbouring numbers around zero, or drawn ones."""
    if not codebook:
        return (np.arange(levels) - levels // 2).astype(np.int8)
    drawn = np.random.default_rng(seed).permutation(np.arange(-128, 128))[:levels]
    return np.sort(drawn).astype(np.int8)


class _Net(ModelBuilder):
    def drawn(self, shape: tuple[int, ...], axis: int, values: NDArray[np.int8]) -> list[Any]:
        """Constants: every level occurs, outputs spread over most of int8."""
        channels, count = shape[axis], int(np.prod(shape))
        w = self.rng.permutation(np.resize(values, count)).reshape(shape)
        inputs = count // channels
        mean, deviation = float(np.mean(values)), float(np.std(values))
        spread = 60 * deviation * np.sqrt(inputs) + 8 * abs(mean) * inputs
        scale = self.rng.uniform(30, 50, channels) / spread
        bias = self.rng.integers(-50, 50, channels).astype(np.int32)
        return [constant(w), constant(bias), constant(scale.astype(np.float32))]


def nary_net(
    values: NDArray[np.int8], realisation: Realisation, rounding: Rounding = "single"
) -> IRModule:
    """All layers' weights hold `values` and are stored as `realisation`."""
    net = _Net((1, 7, 7, 5), len(values), rounding)
    around: dict[str, Any] = {
        "x_scale": SCALE,
        "x_zero_point": ZERO_POINT,
        "y_scale": SCALE,
        "y_zero_point": ZERO_POINT,
        "y_min": -128,
        "y_max": 127,
        "rounding": rounding,
    }
    conv: dict[str, Any] = {"strides": (1, 1), "dilation": (1, 1), "groups": 1, **around}
    attrs = (
        Conv2dAttrs(padding=(1, 1, 1, 1), **conv),
        Conv2dAttrs(padding=(0, 0, 0, 0), **conv),
        DepthwiseConv2dAttrs(strides=(2, 2), padding=(1, 1, 1, 1), dilation=(1, 1), **around),
        DenseAttrs(**around),
    )
    shapes = ((11, 3, 3, 5), (30, 1, 1, 11), (3, 3, 30), (6, 4 * 4 * 30))
    axes = (0, 0, 2, 0)

    def layers(net: ModelBuilder, x: Any) -> Any:
        for name, op, shape, axis, own in zip(LAYERS, OPS, shapes, axes, attrs, strict=True):
            if op == "vq.dense":
                x = net.emit("vq.reshape", [x], ReshapeAttrs((1, shape[1])), "flat")
            x = net.emit(op, [x, *net.drawn(shape, axis, values)], own, name)
        return x

    module = net.build(layers)
    asked = json.dumps(VirtualQuantizeConfig(realisation=realisation).to_json())
    module["main"] = module["main"].with_attrs({"vq.virtual_quantization": asked})
    return module
