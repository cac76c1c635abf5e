"""The portable depthwise kernel: how many rows of a channel are in scratch at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from one_layer import one_layer_module, routines

from vq_cortexm.build import build_folded
from vq_cortexm.op.depthwise_conv2d import DepthwiseConv2dAttrs
from vq_cortexm.samples import random_samples

ENDS: dict[str, Any] = {
    "x_scale": 0.02,
    "x_zero_point": 3,
    "y_scale": 0.1,
    "y_zero_point": 0,
    "y_min": -128,
    "y_max": 127,
}


@pytest.mark.parametrize(
    ("shape", "kernel", "padding", "dilation", "board"),
    [
        ((1, 1, 300, 3), (1, 3), (0, 0, 0, 0), 1, "mps2-an385"),
        ((1, 5, 60, 3), (5, 3), (0, 0, 0, 0), 1, "microbit"),
        ((2, 5, 60, 3), (5, 3), (0, 0, 0, 0), 1, "microbit"),
        ((1, 4, 60, 3), (3, 2), (1, 0, 0, 1), 2, "microbit"),
        ((1, 6, 60, 3), (5, 3), (0, 1, 0, 1), 1, "microbit"),
    ],
    ids=["row", "plane", "batch", "padding", "ring"],
)
def test_large_planes_that_the_kernel_sees_at_once(
    shape: tuple[int, int, int, int],
    kernel: tuple[int, int],
    padding: tuple[int, int, int, int],
    dilation: int,
    board: str,
) -> None:
    """And one, the last, that it sees at twice."""
    rng = np.random.default_rng(0)
    attrs = DepthwiseConv2dAttrs((1, 1), padding, (dilation, 1), **ENDS)
    constants = [
        rng.integers(-127, 128, (*kernel, 3)).astype(np.int8),
        rng.integers(-3000, 3000, 3).astype(np.int32),
        np.full(3, 0.01, np.float32),
    ]
    module = one_layer_module("depthwise_conv2d", shape, "int8", constants, attrs)
    compiled = build_folded(module, f"vq-cortexm/{board}", name="layer")
    assert routines(compiled) == []
    samples = random_samples(compiled.program.inputs, 2, 1)
    for where in ("host", board):
        assert compiled.run(samples, where, check=True, poison=True).bit_exact
