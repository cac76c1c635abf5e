"""However weights are stored, the result keeps every bit: levels x kinds of layers x cores."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from nary_net import LAYERS, levels_of, nary_net
from one_layer import one_layer_module

from vq_cortexm.build import build_folded
from vq_cortexm.nary.encoding import possible_realisations
from vq_cortexm.op.conv2d import Conv2dAttrs
from vq_cortexm.op.dense import DenseAttrs
from vq_cortexm.op.depthwise_conv2d import DepthwiseConv2dAttrs
from vq_cortexm.samples import random_samples
from vq_cortexm.transform.vq_config import VirtualQuantizeConfig

ENDS: dict[str, Any] = {
    "x_scale": 0.05,
    "x_zero_point": 0,
    "y_scale": 0.05,
    "y_zero_point": 0,
    "y_min": -128,
    "y_max": 127,
}
DENSE = DenseAttrs(**ENDS)
CONV = Conv2dAttrs((1, 1), (0, 0, 0, 0), (1, 1), 1, **ENDS)
DEPTHWISE = DepthwiseConv2dAttrs((1, 1), (0, 0, 0, 0), (1, 1), **ENDS)
# 20: its last tile of dense weights starts inside a group of fractions
SAMPLE = (2, 3, 5, 11, 16, 20, 21, 100, 128, 200)
ALL = range(2, 257)
OTHER_CORES = {"mps2-an385": "vq-cortexm/cortex-m3", "microbit": "vq-cortexm/cortex-m0"}


def check(values: Any, realisation: Any, *boards: str, target: str = "vq-cortexm") -> None:
    compiled = build_folded(nary_net(values, realisation), target, name="net")
    stored = {step.layer: step.realisation for step in compiled.program.steps}
    assert stored == dict.fromkeys(LAYERS, realisation)
    samples = random_samples(compiled.program.inputs, 1, seed=len(values))
    for board in boards:
        result = compiled.run(samples, board, check=True)
        assert result.bit_exact
        # a test of the test: outputs differ
        assert len(set(result.outputs[0][0].reshape(-1).tolist())) > 2


def realisations_of(values: Any) -> list[Any]:
    """All but `nested`, which a kernel may not have."""
    return [name for name in possible_realisations(values) if name != "nested"] or ["plain"]


def check_levels(levels: int, *boards: str, target: str = "vq-cortexm") -> None:
    uniform, drawn = (levels_of(levels, codebook, seed=levels) for codebook in (False, True))
    for realisation in realisations_of(uniform):
        check(uniform, realisation, *boards, target=target)
    # two drawn levels are uniform, with a step
    check(drawn, realisations_of(drawn)[-1], *boards, target=target)


@pytest.mark.parametrize("levels", SAMPLE)
def test_levels_on_cortex_m4_and_host(levels: int) -> None:
    check_levels(levels, "mps2-an386", "host")


@pytest.mark.parametrize("board", OTHER_CORES)
@pytest.mark.parametrize("levels", [3, 5, 6, 32, 200])
def test_levels_on_other_cores(levels: int, board: str) -> None:
    check_levels(levels, board, target=OTHER_CORES[board])


@pytest.mark.slow
@pytest.mark.parametrize("levels", ALL)
def test_all_levels(levels: int) -> None:
    check_levels(levels, "mps2-an386")


@pytest.mark.parametrize("rounding", ["double", "float"])
@pytest.mark.parametrize("realisation", ["radix", "bitfield"])
def test_roundings(rounding: Any, realisation: Any) -> None:
    module = nary_net(levels_of(7, False, 0), realisation, rounding)
    compiled = build_folded(module, name="net")
    samples = random_samples(compiled.program.inputs, 1, seed=1)
    assert compiled.run(samples, "mps2-an386", check=True).bit_exact


@pytest.mark.parametrize("realisation", ["radix", "bitfield", "hybrid", "codebook"])
def test_poisoned_memory_changes_nothing(realisation: Any) -> None:
    levels = 21 if realisation == "hybrid" else 11
    module = nary_net(levels_of(levels, realisation == "codebook", 1), realisation)
    compiled = build_folded(module, name="net")
    samples = random_samples(compiled.program.inputs, 2, seed=1)
    assert compiled.run(samples, "host", check=True, poison=True).bit_exact


@pytest.mark.parametrize("board", ["mps2-an386", "mps2-an385", "host"])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
@pytest.mark.parametrize("kernel", [(3, 3), (5, 1), (1, 5), (2, 4), (5, 5), (15, 1)])
def test_depthwise_kernels(kernel: tuple[int, int], strides: tuple[int, int], board: str) -> None:
    """Every order of taps that the routines want."""
    rng = np.random.default_rng(sum(kernel))
    values = levels_of(7, False, 0)
    constants = [
        rng.choice(values, (*kernel, 13)),
        rng.integers(-200, 200, 13).astype(np.int32),
        rng.uniform(0.05, 0.2, 13).astype(np.float32),
    ]
    attrs = replace(DEPTHWISE, strides=strides)
    module = one_layer_module("depthwise_conv2d", (1, 17, 6, 13), "int8", constants, attrs)
    asked = VirtualQuantizeConfig(realisation="radix")
    module["main"] = module["main"].with_attr(
        "vq.virtual_quantization", json.dumps(asked.to_json())
    )
    target = OTHER_CORES.get(board, "vq-cortexm")
    compiled = build_folded(module, target, name="net")
    samples = random_samples(compiled.program.inputs, 1, seed=1)
    assert compiled.run(samples, board, check=True).bit_exact


def test_binary_weights_keep_their_one_bit() -> None:
    values = np.array([-1, 1], np.int8)
    compiled = build_folded(nary_net(values, "bitfield"), name="net")
    layers = {step.layer: step for step in compiled.program.steps}
    # the convolutions' windows have gaps, whose weights are zeros
    assert layers["connected"].weight_bytes == 6 * 4 * 4 * 30 // 8
    samples = random_samples(compiled.program.inputs, 1, seed=1)
    assert compiled.run(samples, "mps2-an386", check=True).bit_exact


@pytest.mark.parametrize("levels", [2, 3, 4, 5, 7, 8, 16, 21, 27, 32, 41, 64, 100, 128, 200])
@pytest.mark.parametrize("shape", [(128, 256), (64, 1, 1, 320), (64, 3, 3, 30), (5, 5, 660)])
def test_stored_bits(shape: tuple[int, ...], levels: int) -> None:
    """Of a tensor over 16 KB: log2 of the levels and one percent, or four. (Odd input channels of
    a 3 x 3 convolution have a gap beside each pixel's.)"""
    rng = np.random.default_rng(levels)
    weight = rng.permutation(np.resize(levels_of(levels, False, 0), math.prod(shape)))
    op, x_shape, channels, attrs = {
        2: ("dense", (1, shape[-1]), shape[0], DENSE),
        3: ("depthwise_conv2d", (1, 6, 6, shape[-1]), shape[-1], DEPTHWISE),
        4: ("conv2d", (1, 6, 6, shape[-1]), shape[0], CONV),
    }[len(shape)]
    constants = [
        weight.reshape(shape),
        np.zeros(channels, np.int32),
        np.full(channels, 1e-3, np.float32),
    ]
    module = one_layer_module(op, x_shape, "int8", constants, attrs)
    asked = VirtualQuantizeConfig(realisation=realisations_of(weight)[-1])
    module["main"] = module["main"].with_attr(
        "vq.virtual_quantization", json.dumps(asked.to_json())
    )
    compiled = build_folded(module, name="net")
    (step,) = compiled.program.steps
    limit = 1.01 if math.log2(levels).is_integer() else 1.04
    assert 8 * step.weight_bytes <= limit * math.log2(levels) * weight.size
