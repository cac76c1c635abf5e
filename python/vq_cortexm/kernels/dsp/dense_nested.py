"""`vq.dense` of one row from weights of four bits, where they lie (`fours`), by four outputs.

Activations stay int8 and are unpacked for each four outputs. The stream has the layer's constant of
`finish`, then the tiles of `pack_fours`. Eight times the sum of all activations, which the digits'
offset adds, is computed once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...op.dense import DenseAttrs, constants
from ...op.rounding import Int64Array
from ..layer import Kernel, Layer, StoredWeights
from ..micro_kernel import MicroKernel
from ..tir import FunctionBuilder, at, call
from .finish import finish
from .fours import LARGEST_LAYER, fits_fours, pack_fours
from .pairs import TILE, arrange, in_fours

_UNROLLED = (8, 5, 4, 3, 2, 1)
"""Steps of four inputs in straight code: the first that divides them."""


def dense_nested(
    layer: Layer, bias: NDArray[np.int32], bounds: tuple[Int64Array, Int64Array]
) -> Kernel | None:
    """Realisation of a `vq.dense` layer with whole fours of inputs; `bias` has the input's zero
    point in it, sums lie in `bounds`, two (O,)."""
    attrs: DenseAttrs = layer.attrs
    weight, _, w_scale = layer.constants
    outputs, inputs = weight.shape
    clamp = (attrs.y_zero_point, attrs.y_min, attrs.y_max, attrs.y_dtype)
    end = finish(constants(w_scale, attrs), *clamp, bounds, scalable=True)
    if end is None or inputs % 4 or not fits_fours(weight, *bounds):
        return None
    if abs(end.layer) >= LARGEST_LAYER:
        return None
    steps = inputs // 4
    unroll = next(n for n in _UNROLLED if steps % n == 0)
    arranged = arrange(weight, in_fours(inputs))
    words = pack_fours(arranged, bias, end.constants, np.zeros(inputs, np.bool_))
    stream = np.concatenate([np.array([end.layer], np.int32), words])
    micro = MicroKernel(
        "dense_nested",
        {
            "unroll": unroll,
            "full": outputs >= TILE,
            "rest": outputs % TILE,
            "unsigned_x": layer.inputs[0].dtype == "uint8",
            **end.parameters,
        },
    )
    with FunctionBuilder("dense") as builder:
        x = builder.parameter("x", (inputs,), layer.inputs[0].dtype)
        w = builder.parameter("w", stream.shape, "int32")
        y = builder.parameter("y", (outputs,), layer.output.dtype)
        arguments = (steps // unroll, outputs // TILE)
        call(micro.symbol, at(y, 0), at(x, 0), at(w, 0), *arguments)
    weight_bytes = -(-outputs // TILE) * TILE * inputs // 2
    stored = StoredWeights("nested", weight_bytes)
    return Kernel(builder.function, (stream,), micro=(micro,), weights=stored)
