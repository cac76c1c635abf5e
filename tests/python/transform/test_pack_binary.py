"""PackBinary: what becomes binary, and that no value changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from qonnx_builder import QonnxNet

from vq_cortexm.compat import constant_value, op_name, shape_of
from vq_cortexm.frontend.onnx import from_onnx
from vq_cortexm.op.registry import attributes
from vq_cortexm.op.rounding import Rounding
from vq_cortexm.reference import run_reference
from vq_cortexm.transform import (
    CancelTransposes,
    FusePad,
    PackBinary,
    RemoveConstantChannels,
)
from vq_cortexm.transform.pipeline import layer_pipeline
from vq_cortexm.transform.rewriting import bindings_of

C = 32


def border(net: QonnxNet, x: str, value: float) -> str:
    return net.node("Pad", [x, net.constant([0, 0, 1, 1] * 2, np.int64), net.constant(value)])


def binary_conv(net: QonnxNet, x: str, outputs: int = C, inputs: int = C, **more: Any) -> str:
    y = net.node("Conv", [x, net.weight((outputs, inputs, 3, 3), 1)], **more)
    return net.batch_norm(y, outputs)


def first(net: QonnxNet, scale: float = 1.0) -> str:
    """An 8-bit layer that gives signs."""
    y = net.node("Conv", [net.quant("x", 1 / 64, 8), net.weight((C, 3, 3, 3), 8)])
    return net.bipolar(net.batch_norm(y, C), scale)


def last(net: QonnxNet, x: str) -> onnx.ModelProto:
    return net.model(net.quant(net.node("Relu", [x]), 1 / 8, 8, signed=0))


def _net(plane: int = 10, seed: int = 5) -> QonnxNet:
    return QonnxNet((1, 3, plane, plane), seed)


def chain() -> onnx.ModelProto:
    """Borders of -1, a pool between batch norm and sign, one behind it, another scale."""
    net = _net()
    y = binary_conv(net, border(net, first(net), -1.0))
    y = net.bipolar(net.node("MaxPool", [y], kernel_shape=[2, 2], strides=[2, 2]), 0.5)
    y = net.bipolar(binary_conv(net, border(net, y, -0.5), strides=[2, 1]), 1.0)
    y = net.node("MaxPool", [y], kernel_shape=[2, 2], strides=[1, 1], pads=[1, 0, 0, 1])
    return last(net, binary_conv(net, border(net, y, 1.0), 40))


def own_padding() -> onnx.ModelProto:
    net = _net(6)
    y = net.bipolar(binary_conv(net, first(net), pads=[1, 1, 1, 1]), 1.0)
    return last(net, binary_conv(net, y, pads=[0, 1, 1, 0]))


def pool_right_behind_the_first() -> onnx.ModelProto:
    net = _net()
    y = net.node("MaxPool", [first(net)], kernel_shape=[2, 2], strides=[2, 2])
    return last(net, binary_conv(net, y))


def dense() -> onnx.ModelProto:
    """Dense layers on a flattened map, to signs and to 8 bits."""
    net = _net(6)
    y = net.node("Flatten", [first(net)])
    y = net.node("Gemm", [y, net.weight((64, C * 16), 1)], transB=1)
    y = net.bipolar(net.batch_norm(y, 64), 1.0)
    y = net.node("MatMul", [y, net.weight((64, 10), 1, axis=1)])
    return net.model(net.quant(y, 1 / 4, 8))


def read_twice() -> onnx.ModelProto:
    """A tensor that a binary and an 8-bit layer read."""
    net = _net(6)
    x = net.bipolar(binary_conv(net, first(net)), 1.0)
    y = net.quant(net.node("Conv", [x, net.weight((8, C, 2, 2), 1)]), 1 / 2, 8)
    z = net.quant(net.node("Conv", [x, net.weight((8, C, 2, 2), 4)]), 1 / 2, 8)
    return net.model(net.quant(net.node("Add", [y, z]), 1 / 2, 8))


def dead_channel() -> onnx.ModelProto:
    """A batch norm factor of zero: the channel's sign is that of its offset."""
    net = _net(8)
    y = net.node("Conv", [first(net), net.weight((C, C, 3, 3), 1)])
    numbers = [net.rng.normal(0, 1, C), net.rng.normal(0, 1, C), np.zeros(C), np.ones(C)]
    numbers[0][:4], numbers[1][:4] = 0, [-1, -0.0, 0, 1]
    y = net.node("BatchNormalization", [y, *map(net.constant, numbers)])
    return last(net, binary_conv(net, net.bipolar(y, 1.0)))


def sign_of_a_sum() -> onnx.ModelProto:
    """Signs of an 8-bit tensor that a sum reads too."""
    net = _net(8)
    y = net.node("Conv", [net.quant("x", 1 / 64, 8), net.weight((C, 3, 3, 3), 8)])
    y = net.quant(net.batch_norm(y, C), 1 / 2, 8)
    padded = border(net, net.bipolar(net.quant(y, 1, 8, zero_point=-3), 1.0), 1.0)
    z = net.quant(binary_conv(net, padded), 1 / 2, 8)
    y = net.quant(net.node("Add", [y, z]), 1 / 2, 8)
    return last(net, binary_conv(net, net.bipolar(y, 1.0)))


def pool_before_batch_norm() -> onnx.ModelProto:
    """Of channels with a factor below zero, the smallest number of a window counts."""
    net = _net()
    y = net.node("Conv", [first(net), net.weight((C, C, 3, 3), 1)])
    y = net.node("MaxPool", [y], kernel_shape=[2, 2], strides=[2, 2])
    return last(net, binary_conv(net, net.bipolar(net.batch_norm(y, C), 1.0)))


NETS = [
    chain,
    own_padding,
    pool_right_behind_the_first,
    dense,
    read_twice,
    dead_channel,
    sign_of_a_sum,
    pool_before_batch_norm,
]


def folded(proto: onnx.ModelProto, rounding: Rounding = "single") -> Any:
    module = from_onnx(proto)
    passes = (layer_pipeline(rounding), CancelTransposes(), FusePad(), RemoveConstantChannels())
    for each in passes:
        module = each(module)
    return module


def names(module: Any) -> list[str]:
    calls = [value for _, value in bindings_of(module["main"])]
    return [op_name(c).removeprefix("vq.") for c in calls if op_name(c)]


@pytest.mark.parametrize("make", NETS)
@pytest.mark.parametrize("rounding", ["single", "float"])
def test_no_value_changes(make: Callable[[], onnx.ModelProto], rounding: Rounding) -> None:
    module = folded(make(), rounding)
    packed = PackBinary()(module)
    assert "binary_conv2d" in names(packed)
    shape = shape_of(module["main"].params[0])
    rng = np.random.default_rng(0)
    for _ in range(5):
        x = [rng.integers(-128, 128, shape).astype(np.int8)]
        for got, expected in zip(run_reference(packed, x), run_reference(module, x), strict=True):
            np.testing.assert_array_equal(got, expected)


def test_a_chain_stays_packed() -> None:
    module = PackBinary()(folded(chain()))
    layers = [n for n in names(module) if n not in ("transpose", "reshape")]
    conv, pool = "binary_conv2d", "binary_max_pool2d"
    assert layers == ["conv2d", "binary_pack", conv, pool, conv, pool, conv]
    borders = [
        (attributes(c).padding, attributes(c).pad_value)
        for _, c in bindings_of(module["main"])
        if op_name(c) == "vq.binary_conv2d"
    ]
    assert borders == [((1, 1, 1, 1), -1), ((1, 1, 1, 1), -1), ((1, 1, 1, 1), 1)]


@pytest.mark.parametrize("make", [sign_of_a_sum, pool_before_batch_norm])
def test_signs_of_other_layers_are_packed(make: Callable[[], onnx.ModelProto]) -> None:
    layers = names(PackBinary()(folded(make())))
    assert layers.count("binary_conv2d") == 2
    assert layers.count("binary_pack") == 2


def test_signs_of_integers_at_zero_point_0_are_packed_as_they_are() -> None:
    layers = names(PackBinary()(folded(sign_of_a_sum())))
    # one changes the scale, one makes signs at zero point -3; that of the sum is gone
    assert layers.count("requantize") == 2
    assert layers[layers.index("add") + 1] == "binary_pack"


def test_a_dense_layer_is_a_convolution_of_the_whole_map() -> None:
    module = PackBinary()(folded(dense()))
    shapes = [
        shape_of(c.args[1])
        for _, c in bindings_of(module["main"])
        if op_name(c) == "vq.binary_conv2d"
    ]
    assert shapes == [(64, 4, 4, 1), (10, 1, 1, 2)]


def test_an_eight_bit_reader_gets_numbers() -> None:
    layers = names(PackBinary()(folded(read_twice())))
    assert layers.count("binary_unpack") == 1
    assert layers.count("conv2d") == 2


def test_thresholds_are_whole_sums() -> None:
    module = PackBinary()(folded(chain()))
    call = next(c for _, c in bindings_of(module["main"]) if op_name(c) == "vq.binary_conv2d")
    assert constant_value(call.args[2]).dtype == np.int32


def few_channels() -> onnx.ModelProto:
    net = QonnxNet((1, 6, 6, 6), 9)
    y = net.node("Conv", [net.quant("x", 1 / 64, 8), net.weight((8, 6, 3, 3), 8)])
    y = net.bipolar(net.batch_norm(y, 8), 1 / 2)
    return net.model(net.quant(net.node("Conv", [y, net.weight((6, 8, 3, 3), 1)]), 1, 8))


def test_few_channels_and_a_module_without_signs_stay() -> None:
    module = folded(few_channels())
    assert PackBinary()(module).same_as(module)
