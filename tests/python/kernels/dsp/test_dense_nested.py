"""Dense layers of four-bit weights, as they lie in flash."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from one_layer import one_layer_module, routines

from vq_cortexm.build import build_folded
from vq_cortexm.op.dense import DenseAttrs
from vq_cortexm.samples import random_samples
from vq_cortexm.transform.vq_config import VirtualQuantizeConfig


def compiled_layer(
    outputs: int, inputs: int, rounding: str = "single", scale: float = 0.02, **changes: Any
) -> Any:
    """A `nested` layer of all sixteen levels."""
    rng = np.random.default_rng(outputs + inputs)
    constants = [
        rng.permutation(np.resize(np.arange(-8, 8), outputs * inputs))
        .reshape(outputs, inputs)
        .astype(np.int8),
        rng.integers(-300, 300, outputs).astype(np.int32),
        rng.uniform(0.5, 1.0, outputs).astype(np.float32) * np.float32(scale),
    ]
    attrs: dict[str, Any] = {"x_zero_point": 7, "y_zero_point": -3, "y_min": -100, "y_max": 127}
    attrs |= {"x_scale": 0.05, "y_scale": 0.05, "rounding": rounding, **changes}
    x_dtype = attrs.pop("x_dtype", "int8")
    module = one_layer_module("dense", (1, inputs), x_dtype, constants, DenseAttrs(**attrs))
    asked = VirtualQuantizeConfig(realisation="nested").to_json()
    module["main"] = module["main"].with_attr("vq.virtual_quantization", json.dumps(asked))
    return build_folded(module, name="net")


def check(compiled: Any) -> None:
    samples = random_samples(compiled.program.inputs, 3, seed=1)
    assert compiled.run(samples, "mps2-an386", check=True).bit_exact
    assert compiled.run(samples, "host", check=True, poison=True).bit_exact


@pytest.mark.parametrize(
    ("outputs", "inputs"), [(1, 16), (3, 20), (4, 4), (5, 28), (8, 12), (10, 64), (15, 132)]
)
def test_shapes(outputs: int, inputs: int) -> None:
    compiled = compiled_layer(outputs, inputs)
    assert routines(compiled) == ["dense_nested"]
    (step,) = compiled.program.steps
    assert step.weight_bytes == -(-outputs // 4) * 4 * inputs // 2
    check(compiled)


@pytest.mark.parametrize("rounding", ["double", "float"])
def test_roundings(rounding: str) -> None:
    compiled = compiled_layer(10, 64, rounding)
    assert routines(compiled) == ["dense_nested"]
    check(compiled)


def test_scales_over_a_quarter() -> None:
    compiled = compiled_layer(9, 8, scale=0.6)
    assert routines(compiled) == ["dense_nested"]
    check(compiled)


def test_unsigned_activations() -> None:
    check(
        compiled_layer(6, 40, x_dtype="uint8", y_dtype="uint8", y_zero_point=3, y_min=0, y_max=200)
    )


def test_no_whole_fours_of_inputs_go_as_a_convolution() -> None:
    compiled = compiled_layer(6, 30)
    assert "conv_rows" in routines(compiled)
    check(compiled)
