"""VirtualQuantize on folded modules: what changes, what stays, and what a build makes of it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import tvm
from vq_models import TINY_MODELS, ModelBuilder

from vq_cortexm.build import build_folded
from vq_cortexm.compat import load_module, op_name, save_module
from vq_cortexm.errors import UsageError
from vq_cortexm.nary import detect
from vq_cortexm.nary.quantize import quantize_codebook, quantize_uniform
from vq_cortexm.reference import run_reference
from vq_cortexm.samples import random_samples
from vq_cortexm.transform import (
    LayerLevels,
    RemoveConstantChannels,
    VirtualQuantize,
    VirtualQuantizeConfig,
)
from vq_cortexm.transform.rewriting import bindings_of
from vq_cortexm.transform.virtual_quantize import (
    CHANNEL_AXES,
    count_levels,
    layer_weights,
    virtual_quantization,
)

BOARDS = {"mps2-an386": "vq-cortexm", "mps2-an385": "vq-cortexm/cortex-m3", "host": "vq-cortexm"}


def every_kind() -> Any:
    """Convolution, depthwise, 1x1 and dense, each with more than 16 values."""

    def make(m: ModelBuilder, x: Any) -> Any:
        y = m.conv2d(x, 6, 3, "stem", pad=1)
        y = m.conv2d(m.depthwise(y, 3, "deep"), 5, 1, "point")
        return m.dense(m.flatten(m.avg_pool(y, 6, "pool"), "flat"), 7, "last")

    return ModelBuilder((1, 6, 6, 3), seed=7).build(make)


def apply(module: Any, *passes: Any) -> Any:
    return tvm.ir.transform.Sequential(list(passes))(module)


def calls(module: Any) -> dict[str, Any]:
    return {
        str(var.name): call
        for var, call in bindings_of(module["main"])
        if op_name(call) in CHANNEL_AXES
    }


def same(a: Any, b: Any) -> bool:
    pairs = zip(vars(layer_weights(a)).values(), vars(layer_weights(b)).values(), strict=True)
    return all(np.array_equal(left, right) for left, right in pairs)


@pytest.mark.parametrize("codebook", [False, True])
@pytest.mark.parametrize("levels", [2, 3, 5, 16, 100])
def test_all_layers_hold_at_most_that_many(levels: int, codebook: bool) -> None:
    module = every_kind()
    new = apply(module, VirtualQuantize(VirtualQuantizeConfig(levels, codebook)))
    before, after = calls(module), calls(new)
    assert list(after) == list(before) == ["stem", "deep", "point", "last"]
    quantize = quantize_codebook if codebook else quantize_uniform
    for name, call in after.items():
        given = before[name]
        axis = CHANNEL_AXES[op_name(given)]
        assert count_levels(call) <= levels
        if count_levels(given) <= levels:
            assert same(call, given)
            continue
        wanted = quantize(layer_weights(given), levels, axis)
        assert detect(layer_weights(call).weight) == detect(wanted.weight)
        np.testing.assert_array_equal(layer_weights(call).w_scale, wanted.w_scale)
        np.testing.assert_array_equal(layer_weights(call).bias, wanted.bias)
    others = [op_name(c) for _, c in bindings_of(new["main"])]
    assert others == [op_name(c) for _, c in bindings_of(module["main"])]


def test_outputs_come_nearer_with_more_levels() -> None:
    module = every_kind()
    samples = random_samples(build_folded(module).program.inputs, 20, seed=1)
    expected = np.stack([run_reference(module, sample)[0] for sample in samples]).astype(int)
    distances = []
    for levels in (3, 16, 128):
        new = apply(module, VirtualQuantize(VirtualQuantizeConfig(levels)))
        got = np.stack([run_reference(new, sample)[0] for sample in samples])
        distances.append(float(np.abs(got - expected).mean()))
    assert distances[0] > 2 * distances[1] > 0
    assert distances[1] > 2 * distances[2]


@pytest.mark.parametrize("config", [VirtualQuantizeConfig(), VirtualQuantizeConfig(256, True)])
def test_256_levels_change_nothing(config: VirtualQuantizeConfig) -> None:
    module = every_kind()
    new = apply(module, VirtualQuantize(config))
    assert save_module(new) == save_module(module)
    assert virtual_quantization(new) is None


def test_twice_is_once() -> None:
    once = apply(every_kind(), VirtualQuantize(VirtualQuantizeConfig(5)))
    again = apply(once, VirtualQuantize(VirtualQuantizeConfig(5)))
    assert all(same(a, b) for a, b in zip(calls(once).values(), calls(again).values(), strict=True))


def test_layers_by_name() -> None:
    layers = {"stem": LayerLevels(), "[dl]*": LayerLevels(3, codebook=True)}
    module = every_kind()
    new = apply(module, VirtualQuantize(VirtualQuantizeConfig(16, layers=layers)))
    before, after = calls(module), calls(new)
    assert same(before["stem"], after["stem"])
    assert [count_levels(after[name]) for name in ("deep", "last")] == [3, 3]
    assert 3 < count_levels(after["point"]) <= 16


def test_glob_that_matches_no_layer_names_all() -> None:
    config = VirtualQuantizeConfig(layers={"conv*": LayerLevels(3)})
    with pytest.raises(UsageError) as caught:
        apply(every_kind(), VirtualQuantize(config))
    message = str(caught.value)
    assert "no layer is called 'conv*'; layers: stem, deep, point, last" in message


def test_what_was_asked_is_kept_with_the_module() -> None:
    config = VirtualQuantizeConfig(11, layers={"stem": LayerLevels(5, codebook=True)})
    new = apply(every_kind(), VirtualQuantize(config), RemoveConstantChannels())
    assert virtual_quantization(load_module(save_module(new))) == config.to_json()
    assert virtual_quantization(every_kind()) is None
    compiled = build_folded(new, name="net")
    assert compiled.metadata["virtual_quantization"] == config.to_json()
    json.dumps(compiled.metadata)
    assert "weights of 11 levels and others by layer" in compiled.sources["net.h"]


def test_report_counts_the_values_of_real_weights() -> None:
    compiled = build_folded(apply(every_kind(), VirtualQuantize(VirtualQuantizeConfig(9))))
    levels = {layer["name"]: layer["levels"] for layer in compiled.report["layers"]}
    # one level of nine is not used; pooling has no weights
    assert levels == {"stem": 9, "deep": 9, "point": 8, "pool": 256, "last": 9}
    result = compiled.run(random_samples(compiled.program.inputs, 1, seed=1), "host")
    assert {layer.name: layer.levels for layer in result.layers} == levels


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("codebook", [False, True])
@pytest.mark.parametrize("name", TINY_MODELS)
def test_every_board_gives_the_reference_bits(name: str, codebook: bool, board: str) -> None:
    for levels in (3, 16):
        config = VirtualQuantizeConfig(levels, codebook)
        module = apply(TINY_MODELS[name](), VirtualQuantize(config), RemoveConstantChannels())
        compiled = build_folded(module, BOARDS[board], name=name)
        result = compiled.run(random_samples(compiled.program.inputs, 3, seed=1), board, check=True)
        assert result.bit_exact
