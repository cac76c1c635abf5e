"""Layers whose channels have scales that lie far apart: a line for each channel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from one_layer import one_layer_module, routines

from vq_cortexm.build import build_folded
from vq_cortexm.kernels.dsp import finish
from vq_cortexm.kernels.line import Line, fit_line
from vq_cortexm.op.conv2d import Conv2dAttrs
from vq_cortexm.op.dense import DenseAttrs
from vq_cortexm.op.depthwise_conv2d import DepthwiseConv2dAttrs
from vq_cortexm.samples import random_samples

ENDS: dict[str, Any] = {
    "x_scale": 0.05,
    "x_zero_point": -9,
    "y_scale": 0.05,
    "y_zero_point": 4,
    "y_min": -128,
    "y_max": 110,
}
GEOMETRY: dict[str, Any] = {"strides": (1, 1), "padding": (1, 1, 1, 1), "dilation": (1, 1)}
DEPTHWISE = DepthwiseConv2dAttrs(**GEOMETRY, **ENDS)
LAYERS: dict[str, tuple[str, tuple[int, ...], tuple[int, ...], Any]] = {
    "spatial": ("conv2d", (1, 6, 7, 8), (14, 3, 3, 8), Conv2dAttrs(groups=1, **GEOMETRY, **ENDS)),
    "depthwise": ("depthwise_conv2d", (1, 8, 9, 14), (3, 3, 14), DEPTHWISE),
    "large": ("depthwise_conv2d", (1, 8, 9, 14), (2, 5, 14), DEPTHWISE),
    "connected": ("dense", (1, 90), (14, 90), DenseAttrs(**ENDS)),
}


def only_for_one_channel(*given: Any, **options: Any) -> Line | None:
    return fit_line(*given, **options) if len(given[4]) == 1 else None


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", LAYERS)
def test_far_apart(name: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if name in ("depthwise", "large"):
        # their sums are small: one line would do
        monkeypatch.setattr(finish, "fit_line", only_for_one_channel)
    op, x_shape, shape, attrs = LAYERS[name]
    rng = np.random.default_rng(seed)
    # seven thousand times as much, so that no one shift has room for all
    scales = np.geomspace(1e-5, 7e-2, 14)
    constants = [
        rng.integers(-127, 128, shape).astype(np.int8),
        rng.integers(-3000, 3000, 14).astype(np.int32),
        rng.permutation(scales).astype(np.float32),
    ]
    module = one_layer_module(op, x_shape, "int8", constants, attrs)
    compiled = build_folded(module, name="net")
    kernels = [kernel for each in compiled.program.micro_kernels.values() for kernel in each]
    assert "lines" in {kernel.parameters.get("rounding") for kernel in kernels}, routines(compiled)
    samples = random_samples(compiled.program.inputs, 3, seed)
    assert compiled.run(samples, "mps2-an386", check=True).bit_exact
    assert compiled.run(samples, "host", check=True, poison=True).bit_exact
