"""Which channels go together."""

from __future__ import annotations

import numpy as np
from float_nets import OnnxNet, residual_onnx, samples

from vq_cortexm.fit.channel_groups import ChannelGroups, channel_groups
from vq_cortexm.fit.sensitivity import tensors
from vq_cortexm.quantize.activation_scales import scale_of_range
from vq_cortexm.quantize.quantize_graph import quantize_graph
from vq_cortexm.quantize.read_onnx import read_onnx
from vq_cortexm.transform.vq_config import VirtualQuantizeConfig


def _groups(file: bytes, shape: tuple[int, ...]) -> ChannelGroups:
    graph, x = read_onnx(file, "net"), samples(shape, 8)
    base = quantize_graph(graph, x, scale_of_range(-4, 4), VirtualQuantizeConfig())
    shapes = {name: value.shape[1:] for name, value in tensors(base, x).items()}
    return channel_groups(graph, shapes)


def test_sum_and_depthwise_are_one_group() -> None:
    groups = _groups(residual_onnx(), (3, 9, 8))
    stem, deep, wide, end = groups.written.values()
    assert len(set(stem)) == 8
    # the depthwise layer has its input's channels, the sum joins both branches
    np.testing.assert_array_equal(deep, stem)
    np.testing.assert_array_equal(wide, stem)
    assert not end.any()
    assert not groups.read["conv_0"].any()
    np.testing.assert_array_equal(groups.read[list(groups.read)[-1]], stem)


def test_flattened_channels_are_read_element_by_element() -> None:
    net = OnnxNet((2, 5, 4))
    flat = net.node("Flatten", net.conv("x", 3, 2, 2, 2))
    groups = _groups(net.file(net.node("Gemm", flat, net.weight(4, 36), transB=1)), (2, 5, 4))
    written, _ = groups.written.values()
    np.testing.assert_array_equal(list(groups.read.values())[1], np.repeat(written, 12))


def test_activation_keeps_channels_where_a_transpose_put_them() -> None:
    net = OnnxNet((2, 5, 4))
    last = net.node("Transpose", net.conv("x", 3, 2, 2, 2), perm=[0, 2, 3, 1])
    first = net.node("Transpose", net.node("Relu", last), perm=[0, 3, 1, 2])
    groups = _groups(net.file(net.conv(first, 4, 3, 1, 1)), (2, 5, 4))
    written, _ = groups.written.values()
    assert len(set(written)) == 3
    np.testing.assert_array_equal(list(groups.read.values())[1], written)


def test_concatenation_keeps_parts_apart_and_shuffles_nothing() -> None:
    net = OnnxNet((2, 6, 6))
    parts = [net.conv("x", n, 2, 1, 1) for n in (3, 2)]
    groups = _groups(net.file(net.conv(net.node("Concat", *parts, axis=1), 4, 5, 1, 1)), (2, 6, 6))
    first, second, last = groups.written.values()
    assert len({*first, *second}) == 5
    np.testing.assert_array_equal(list(groups.read.values())[2], [*first, *second])
    assert not last.any()


def test_grouped_convolution_keeps_all() -> None:
    net = OnnxNet((4, 6, 6))
    wide = net.conv("x", 6, 4, 1, 1)
    grouped = net.conv(wide, 4, 3, 1, 1, group=2)
    groups = _groups(net.file(net.conv(grouped, 2, 4, 1, 1)), (4, 6, 6))
    assert not any(written.any() for written in groups.written.values())
