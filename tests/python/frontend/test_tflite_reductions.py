"""MEAN, SUM, REDUCE_MAX and REDUCE_MIN over any axes equal the interpreters, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tflite_builder import TfliteBuilder
from tflite_layers import LITERT, TFLM, check_against

SHAPE = (2, 5, 3, 4)
AXES = [(1, 2), (1,), (2,), (3,), (0,), (1, 3), (2, 3), (0, 2), (1, 2, 3), (0, 1, 2, 3)]
BACK_ENDS = pytest.mark.parametrize("back_end", [TFLM, LITERT], ids=["tflm", "litert"])


def reductions(operator: str, rescaled: bool, seed: int) -> bytes:
    """One reduction for each set of axes, side by side."""
    rng = np.random.default_rng(seed)
    builder = TfliteBuilder()
    x_scale, x_zero_point = float(np.float32(rng.uniform(0.02, 0.5))), int(rng.integers(-128, 128))
    x = builder.tensor(SHAPE, x_scale, x_zero_point)
    outputs = []
    for i, axes in enumerate(AXES):
        ends = (x_scale, x_zero_point)
        if rescaled:
            count = np.prod([SHAPE[axis] for axis in axes]) if operator == "SUM" else 1
            factor = count**0.5 * rng.uniform(0.5, 2)
            ends = (float(np.float32(x_scale * factor)), int(rng.integers(-128, 128)))
        shape = np.zeros(SHAPE).sum(axis=axes, keepdims=bool(i % 2)).shape
        outputs.append(builder.tensor(shape, *ends))
        given = builder.constant(np.array(axes, np.int32))
        builder.add(operator, [x, given], [outputs[-1]], KeepDims=bool(i % 2))
    return builder.build([x], outputs)


@pytest.mark.parametrize("rescaled", [False, True])
@pytest.mark.parametrize("operator", ["MEAN", "SUM"])
@BACK_ENDS
def test_means_and_sums(operator: str, rescaled: bool, back_end: Any) -> None:
    check_against(reductions(operator, rescaled, seed=rescaled), back_end, SHAPE)


@BACK_ENDS
def test_extremes(back_end: Any) -> None:
    check_against(reductions("REDUCE_MAX", False, seed=0), back_end, SHAPE)
    if back_end is LITERT:  # the other interpreter has no minimum
        check_against(reductions("REDUCE_MIN", False, seed=0), back_end, SHAPE)
