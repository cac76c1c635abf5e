"""FuseSigns: what becomes one layer, and that thresholds are exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from qonnx_builder import QonnxNet
from tvm import relax

from vq_cortexm.build import build_folded
from vq_cortexm.compat import constant, main_function, op_name, shape_of, tensor_type
from vq_cortexm.frontend.onnx import from_onnx
from vq_cortexm.op.binary_pack import BinaryPackAttrs
from vq_cortexm.op.conv2d import Conv2dAttrs, constants
from vq_cortexm.op.registry import make_call
from vq_cortexm.op.rounding import requantize
from vq_cortexm.reference import run_reference
from vq_cortexm.tags import core_of_target
from vq_cortexm.transform import FuseSigns, VirtualQuantizeConfig, fold_pipeline
from vq_cortexm.transform.fuse_signs import thresholds
from vq_cortexm.transform.rewriting import bindings_of

C = 32
M4 = core_of_target("vq-cortexm/cortex-m4")


def names(module: Any) -> list[tuple[str, str]]:
    """Operators and names of a module's layers."""
    bindings = bindings_of(module["main"])
    return [(op_name(c).removeprefix("vq."), str(v.name)) for v, c in bindings if op_name(c)]


def binary_net(depth: int = 3) -> onnx.ModelProto:
    """A first layer, a pool of its signs, a binary layer to 8 bits."""
    net = QonnxNet((1, depth, 16, 16), 5)
    y = net.node(
        "Conv", [net.quant("x", 1 / 64, 8), net.weight((C, depth, 3, 3), 8)], strides=[2, 2]
    )
    y = net.bipolar(net.batch_norm(y, C), 1.0)
    y = net.node("MaxPool", [y], kernel_shape=[2, 2], strides=[1, 1])
    y = net.node("Conv", [y, net.weight((C, C, 3, 3), 1)])
    y = net.node("Relu", [net.batch_norm(y, C)])
    return net.model(net.quant(y, 1 / 8, 8, signed=0))


def packed(attrs: Conv2dAttrs, seed: int = 0, twice: bool = False) -> Any:
    """A convolution and what packs it; with `twice` its bytes are a result too."""
    rng = np.random.default_rng(seed)
    w = rng.integers(-127, 128, (C, 3, 3, 1)).astype(np.int8)
    bias = rng.integers(-20000, 20000, C).astype(np.int32)
    w_scale = rng.uniform(0.001, 0.02, C).astype(np.float32)
    builder = relax.BlockBuilder()
    x = relax.Var("x", tensor_type((1, 9, 9, 1), "int8"))
    with main_function(builder, [x]) as finish:
        call = make_call("vq.conv2d", [x, *map(constant, (w, bias, w_scale))], attrs)
        y = builder.emit(call, name_hint="conv")
        bits = builder.emit(make_call("vq.binary_pack", [y], BinaryPackAttrs()), "bits")
        finish(relax.Tuple([bits, y]) if twice else bits)
    module = builder.get()
    described = {"inputs": [{}], "outputs": [{}] * (1 + twice)}
    facts = {"vq.rounding": attrs.rounding, "vq.quantization": described}
    module["main"] = module["main"].with_attrs(facts)
    return module


def attributes_of(rounding: str = "single", **more: Any) -> Conv2dAttrs:
    values = {"y_scale": 0.7, "y_zero_point": 9, "y_min": -128, "y_max": 127, **more}
    return Conv2dAttrs((2, 2), (1, 1, 1, 1), (1, 1), 1, 0.3, 4, **values, rounding=rounding)


@pytest.mark.parametrize("depth", [1, 3])
def test_a_first_layer_becomes_one_and_keeps_its_name(depth: int) -> None:
    module = fold_pipeline()(from_onnx(binary_net(depth)))
    fused = FuseSigns(M4)(module)
    before, after = (dict(names(m)) for m in (module, fused))
    assert after.pop("sign_conv2d") == before.pop("conv2d")
    del before["binary_pack"]
    assert after == before
    rng = np.random.default_rng(0)
    shape = shape_of(module["main"].params[0])
    for _ in range(4):
        x = [rng.integers(-128, 128, shape).astype(np.int8)]
        for got, expected in zip(run_reference(fused, x), run_reference(module, x), strict=True):
            np.testing.assert_array_equal(got, expected)


def test_a_build_runs_the_pass() -> None:
    compiled = build_folded(fold_pipeline()(from_onnx(binary_net(1))))
    assert compiled.report["layers"][0]["op"] == "sign_conv2d"
    x = np.random.default_rng(2).integers(-128, 128, compiled.program.inputs[0].shape)
    run = compiled.run([[x.astype(np.int8)]], "mps2-an386", check=True)
    assert run.bit_exact


@pytest.mark.parametrize("rounding", ["single", "double", "float"])
def test_any_requantization_is_a_threshold(rounding: str) -> None:
    grids = [{}, {"y_min": 0}, {"y_max": -1}, {"y_zero_point": -100, "y_min": -100}]
    rng = np.random.default_rng(3)
    for grid in grids:
        module = packed(attributes_of(rounding, **grid))
        fused = FuseSigns(M4)(module)
        assert [op for op, _ in names(fused)] == ["sign_conv2d"]
        x = [rng.integers(-128, 128, (1, 9, 9, 1)).astype(np.int8)]
        np.testing.assert_array_equal(*(run_reference(m, x)[0] for m in (fused, module)))


def test_bytes_that_are_a_result_stay() -> None:
    module = packed(attributes_of(), twice=True)
    assert names(FuseSigns(M4)(module)) == names(module)


def test_a_core_without_a_routine_and_a_way_to_store_weights_keep_the_layer() -> None:
    module = packed(attributes_of())
    for core in ("cortex-m0", "cortex-m3"):
        assert names(FuseSigns(core_of_target(f"vq-cortexm/{core}"))(module)) == names(module)
    config = VirtualQuantizeConfig.from_json(
        {"layers": {"*": {"bits": 2, "realisation": "bitfield"}}}
    )
    stored = fold_pipeline("single", config)(from_onnx(binary_net()))
    assert names(FuseSigns(M4)(stored)) == names(stored)


@given(
    st.integers(0, 1 << 30),
    st.sampled_from(["single", "double", "float"]),
    st.floats(2.0**-13, 3.0, width=32),
    st.integers(-128, 127),
)
@example(1662919, "single", 1.0, 0)
def test_thresholds_are_where_outputs_turn(
    seed: int, rounding: str, scale: float, zero_point: int
) -> None:
    rng = np.random.default_rng(seed)
    w = rng.integers(-127, 128, (4, 2, 1, 3)).astype(np.int8)
    bias = rng.integers(-30000, 30000, 4).astype(np.int32)
    w_scale = np.full(4, scale, np.float32)
    grid = {"y_scale": 0.3, "y_zero_point": zero_point}
    attrs = attributes_of(rounding, **grid)
    threshold = thresholds(w, bias, w_scale, attrs, "int8")
    assert threshold is not None
    scaling = constants(w_scale, attrs)
    least = threshold.astype(np.int64) + bias
    # x less its zero point is -132 to 123
    products = np.outer([-132, 123], w).reshape(2, 4, -1)
    lowest, highest = products.min(axis=0).sum(axis=1), products.max(axis=0).sum(axis=1)
    assert np.all((threshold >= lowest) & (threshold <= highest + 1))
    at = requantize(least, scaling) + zero_point >= 0
    before = requantize(least - 1, scaling) + zero_point >= 0
    assert np.all(at | (threshold > highest))
    assert not np.any(before & (threshold > lowest))


def test_sums_that_overflow_have_no_threshold() -> None:
    w, bias = np.full((1, 1, 1, 4), 127, np.int8), np.zeros(1, np.int32)
    w_scale = np.full(1, 2.0**28, np.float32)
    for rounding, has in (("single", True), ("double", False), ("float", True)):
        attrs = attributes_of(rounding, y_scale=0.3)
        assert (thresholds(w, bias, w_scale, attrs, "int8") is not None) == has
    full = np.full(1, np.iinfo(np.int32).max, np.int32)
    assert thresholds(w, full, w_scale, attributes_of(y_scale=0.3), "int8") is None
