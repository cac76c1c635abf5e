"""CancelTransposes: fewer transposes, never another result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tvm
from tvm import relax

from vq_cortexm.build import build_folded
from vq_cortexm.compat import constant, op_name, shape_of, tensor_type
from vq_cortexm.frontend import load
from vq_cortexm.op.add import AddAttrs
from vq_cortexm.op.concat import ConcatAttrs
from vq_cortexm.op.dense import DenseAttrs
from vq_cortexm.op.max_pool2d import MaxPool2dAttrs
from vq_cortexm.op.pad import PadAttrs
from vq_cortexm.op.registry import attributes, make_call
from vq_cortexm.op.requantize import RequantizeAttrs
from vq_cortexm.op.reshape import ReshapeAttrs
from vq_cortexm.op.transpose import TransposeAttrs
from vq_cortexm.reference import run_reference
from vq_cortexm.transform import CancelTransposes, FoldQDQ

DIGITS = Path(__file__).parents[3] / "examples" / "digits" / "digits_int8.onnx"
TO_NHWC, TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)
SAMPLES = 20
SCALE, ZERO_POINT = 0.05, -4
X = {"x_scale": SCALE, "x_zero_point": ZERO_POINT}
RANGE = {"y_min": -128, "y_max": 127}
Y = {"y_scale": SCALE, "y_zero_point": ZERO_POINT, **RANGE}


class _Net:
    """A folded module built by hand, its operators in NHWC between transposes."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.builder = relax.BlockBuilder()
        self.x = relax.Var("x", tensor_type(shape, "int8"))

    def emit(self, name: str, attrs: Any, *args: Any) -> Any:
        return self.builder.emit(make_call(name, list(args), attrs))

    def transpose(self, x: Any, axes: tuple[int, ...]) -> Any:
        return self.emit("vq.transpose", TransposeAttrs(axes), x)

    def pool(self, x: Any) -> Any:
        """Max pooling, NCHW as the fold makes it."""
        attrs = MaxPool2dAttrs((2, 2), (1, 1), (0, 0, 0, 0), **X, **Y)
        return self.transpose(
            self.emit("vq.max_pool2d", attrs, self.transpose(x, TO_NHWC)), TO_NCHW
        )

    def requantize(self, x: Any) -> Any:
        return self.emit(
            "vq.requantize", RequantizeAttrs(**X, y_scale=0.07, y_zero_point=2, **RANGE), x
        )

    def add(self, a: Any, b: Any) -> Any:
        ends = {"a_scale": 0.03, "a_zero_point": 1, "b_scale": 0.04, "b_zero_point": -2}
        return self.emit("vq.add", AddAttrs(**ends, **Y), a, b)

    def reshape(self, x: Any, *shape: int) -> Any:
        return self.emit("vq.reshape", ReshapeAttrs(shape), x)

    def dense(self, x: Any, outputs: int) -> Any:
        rng, depth = np.random.default_rng(0), shape_of(x)[-1]
        weights = rng.integers(-127, 128, (outputs, depth)).astype(np.int8)
        bias = rng.integers(-999, 999, outputs).astype(np.int32)
        scales = np.full(outputs, 0.2 / (74 * depth**0.5), np.float32)
        attrs = DenseAttrs(**X, y_scale=0.1, y_zero_point=3, **RANGE)
        return self.emit("vq.dense", attrs, x, constant(weights), constant(bias), constant(scales))

    def build(self, make: Callable[[_Net, Any], Any]) -> Any:
        """The module that returns `make(self, x)`."""
        with self.builder.function("main", [self.x]):
            with self.builder.dataflow():
                output = self.builder.emit_output(make(self, self.x))
            self.builder.emit_func_output(output)
        module = self.builder.get()
        module["main"] = module["main"].with_attrs(
            {"vq.rounding": "single", "vq.quantization": {"inputs": [{}], "outputs": [{}]}}
        )
        return module


def _cancel(module: Any) -> Any:
    return tvm.ir.transform.Sequential([CancelTransposes()])(module)


def _operators(module: Any) -> list[str]:
    values = [b.value for block in module["main"].body.blocks for b in block.bindings]
    return [op_name(v).removeprefix("vq.") for v in values if isinstance(v, relax.Call)]


def _assert_same_results(before: Any, after: Any) -> None:
    shape = shape_of(before["main"].params[0])
    rng = np.random.default_rng(1)
    outputs = set()
    for _ in range(SAMPLES):
        x = rng.integers(-128, 128, shape).astype(np.int8)
        (want,), (got,) = run_reference(before, [x]), run_reference(after, [x])
        np.testing.assert_array_equal(got, want)
        assert got.shape == want.shape
        outputs.add(want.tobytes())
    assert len(outputs) > 1


@pytest.mark.parametrize("rounding", ["single", "double", "float"])
def test_single_channel_network_keeps_no_transpose(rounding: Any) -> None:
    before = FoldQDQ(rounding)(load(DIGITS))
    after = _cancel(before)
    assert _operators(before).count("transpose") > 5
    assert "transpose" not in _operators(after)
    _assert_same_results(before, after)
    assert str(after["main"].attrs["vq.rounding"]) == rounding
    assert after["main"].attrs["vq.quantization"] == before["main"].attrs["vq.quantization"]


def test_many_channel_input_keeps_one_transpose_and_is_exact_on_the_host() -> None:
    def make(net: _Net, x: Any) -> Any:
        y = net.pool(net.pool(x))
        return net.dense(net.reshape(y, 1, 60), 5)

    before = _Net((1, 5, 5, 6)).build(make)
    after = _cancel(before)
    assert _operators(after) == ["transpose", "max_pool2d", "max_pool2d", "reshape", "dense"]
    _assert_same_results(before, after)
    compiled = build_folded(after)
    rng = np.random.default_rng(2)
    samples = [rng.integers(-128, 128, (1, 5, 5, 6)).astype(np.int8) for _ in range(5)]
    result = compiled.run(samples, "host", check=True)
    assert result.bit_exact
    for sample, outputs in zip(samples, result.outputs, strict=True):
        np.testing.assert_array_equal(outputs[0], *run_reference(before, [sample]))


def _round_trip(net: _Net, x: Any) -> Any:
    return net.requantize(net.transpose(net.transpose(x, TO_NHWC), TO_NCHW))


def _three_in_a_row(net: _Net, x: Any) -> Any:
    for axes in (TO_NHWC, (0, 2, 1, 3), (1, 0, 3, 2)):
        x = net.transpose(x, axes)
    return x


def _sum_of_two_branches(net: _Net, x: Any) -> Any:
    first = net.requantize(net.pool(x))
    return net.requantize(net.add(first, net.requantize(first)))


def _sum_with_untransposed(net: _Net, x: Any) -> Any:
    return net.add(net.transpose(x, (0, 2, 1, 3)), x)


def _sum_with_fewer_axes(net: _Net, x: Any) -> Any:
    """Constants that broadcast, of which one makes another of the sum's rank than its tensor's."""
    first = net.transpose(x, (0, 2, 1, 3))
    second = net.add(first, constant(np.array([9, -7, 5], np.int8).reshape(3, 1)))
    third = net.transpose(net.reshape(x, 3, 3, 5), (1, 0, 2))
    return net.add(
        second, net.add(third, constant(np.arange(15, dtype=np.int8).reshape(1, 3, 1, 5)))
    )


def _pad_and_concat(net: _Net, x: Any) -> Any:
    """Along NCHW's channels and rows: NHWC's last axis and axis 1."""
    first = net.pool(x)
    wide = net.emit("vq.concat", ConcatAttrs(1), first, net.requantize(first))
    high = net.emit("vq.concat", ConcatAttrs(2), wide, wide)
    return net.pool(net.emit("vq.pad", PadAttrs((0, 0, 1, 2, 3, 4, 5, 6), 7), high))


def _flatten_into_dense(net: _Net, x: Any) -> Any:
    return net.dense(net.reshape(net.pool(x), 1, 24), 4)


def _two_reshapes(net: _Net, x: Any) -> Any:
    return net.dense(net.reshape(net.reshape(net.pool(x), 3, 8), 1, 24), 4)


# the operators that are left; the input is (1, 3, 3, 5), NCHW
SHAPES = {
    "round trip": (_round_trip, ["requantize"]),
    "three in a row": (_three_in_a_row, ["transpose"]),
    "sum of two branches": (
        _sum_of_two_branches,
        ["transpose", "max_pool2d", *["requantize"] * 3, "add", "transpose"],
    ),
    "sum with an untransposed": (_sum_with_untransposed, ["transpose", "add"]),
    "sum with fewer axes": (
        _sum_with_fewer_axes,
        ["transpose", "add", "reshape", "transpose", "add", "add"],
    ),
    "flatten into dense": (
        _flatten_into_dense,
        ["transpose", "max_pool2d", "reshape", "dense"],
    ),
    "pad and concat": (
        _pad_and_concat,
        ["transpose", *["max_pool2d"] * 2, "requantize", *["concat"] * 2, "pad", "transpose"],
    ),
    "two reshapes": (_two_reshapes, ["transpose", "max_pool2d", "reshape", "dense"]),
    "output": (lambda net, x: net.pool(x), ["transpose", "max_pool2d", "transpose"]),
}


@pytest.mark.parametrize("case", SHAPES)
def test_what_is_left(case: str) -> None:
    make, expected = SHAPES[case]
    before = _Net((1, 3, 3, 5)).build(make)
    after = _cancel(before)
    _assert_same_results(before, after)
    assert sorted(_operators(after)) == sorted(expected)


def test_transpose_of_length_one_axes_becomes_a_reshape() -> None:
    before = _Net((1, 1, 3, 5)).build(lambda net, x: net.transpose(x, TO_NHWC))
    after = _cancel(before)
    assert _operators(after) == ["reshape"]
    _assert_same_results(before, after)


def test_a_batch_that_is_moved_is_not_absorbed_into_weights() -> None:
    before = _Net((2, 3, 4)).build(
        lambda net, x: net.dense(net.reshape(net.transpose(x, (1, 0, 2)), 3, 8), 4)
    )
    after = _cancel(before)
    assert "transpose" in _operators(after)
    _assert_same_results(before, after)


def test_running_again_changes_nothing() -> None:
    once = _cancel(FoldQDQ()(load(DIGITS)))
    assert _operators(_cancel(once)) == _operators(once)
    _assert_same_results(once, _cancel(once))


def test_layers_keep_their_names_and_attributes() -> None:
    def layers(module: Any) -> list[Any]:
        bindings = [b for block in module["main"].body.blocks for b in block.bindings]
        kept = ("vq.conv2d", "vq.depthwise_conv2d", "vq.add", "vq.max_pool2d", "vq.dense")
        return [
            (b.var.name, op_name(b.value), attributes(b.value))
            for b in bindings
            if op_name(b.value) in kept
        ]

    before = FoldQDQ()(load(DIGITS))
    assert len(layers(before)) >= 6
    assert layers(_cancel(before)) == layers(before)
