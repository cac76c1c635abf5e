"""TFLite's int4 weights equal its own interpreters', and keep their sixteen levels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from tflite_builder import TfliteBuilder, run_litert, run_tflm

import vq_cortexm
from vq_cortexm.errors import ModelError
from vq_cortexm.frontend import from_tflite
from vq_cortexm.samples import random_samples

INTERPRETERS: dict[str, Callable[..., Any]] = {"double": run_tflm, "float": run_litert}
LAYERS = {
    "CONV_2D": ((5, 3, 3, 3), 0, (1, 6, 7, 3), (1, 4, 5, 5)),
    "DEPTHWISE_CONV_2D": ((1, 3, 3, 5), 3, (1, 6, 7, 5), (1, 4, 5, 5)),
    "FULLY_CONNECTED": ((5, 9), 0, (1, 9), (1, 5)),
}


def _layer(operator: str) -> bytes:
    """One layer of int4 weights, an odd number of them, a scale per channel but for the last."""
    shape, axis, x_shape, y_shape = LAYERS[operator]
    rng = np.random.default_rng(4)
    scale = rng.uniform(0.05, 0.15, 5).astype(np.float32)
    net = TfliteBuilder()
    x, y = net.tensor(x_shape, 0.04, -3), net.tensor(y_shape, 0.1, 4)
    weights = rng.integers(-8, 8, shape).astype(ml_dtypes.int4)
    assert weights.size % 2
    if operator == "FULLY_CONNECTED":
        scale = scale[:1]
    w = net.constant(weights, scale, axis)
    b = net.constant(rng.integers(-99, 99, 5).astype(np.int32), np.float32(0.04) * scale)
    window = {"Padding": "VALID", "StrideH": 1, "StrideW": 1}
    if operator == "DEPTHWISE_CONV_2D":
        window["DepthMultiplier"] = 1
    net.add(operator, [x, w, b], [y], **({} if operator == "FULLY_CONNECTED" else window))
    return net.build([x], [y])


@pytest.mark.parametrize("rounding", INTERPRETERS)
@pytest.mark.parametrize("operator", LAYERS)
def test_int4_weights_equal_the_interpreter(operator: str, rounding: str) -> None:
    """LiteRT's default back end has no int4 kernel: it falls back to fixed-point ones of its own,
    whose rounding is neither that of `float` nor always that of `double`."""
    model = _layer(operator)
    compiled = vq_cortexm.build(from_tflite(model), rounding=rounding)
    samples = random_samples(compiled.program.inputs, 8, seed=1)
    result = compiled.run(samples, "host", check=True)
    assert result.bit_exact
    got = np.stack([outputs[0] for outputs in result.outputs])
    expected = np.stack([INTERPRETERS[rounding](model, *sample) for sample in samples])
    assert len(np.unique(got)) > 20
    assert np.abs(got.astype(int) - expected).max() <= (rounding == "float")
    (layer,) = result.layers
    assert layer.levels <= 16


def test_tensor_that_is_computed_in_int4_is_refused() -> None:
    net = TfliteBuilder()
    x, y = net.tensor((1, 4), 0.1, 0), net.tensor((1, 4), 0.1, 0, "int4")
    net.add("QUANTIZE", [x], [y])
    with pytest.raises(ModelError, match=r"'t1' is computed in int4; weights may be int4"):
        from_tflite(net.build([x], [y]))
