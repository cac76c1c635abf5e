"""Moves as late as they can be: no output changes, and layers have their signs behind them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from larq_nets import STEP, LarqNet, binary_net, integers, other_exporter, residual_net
from onnx.reference import ReferenceEvaluator

from vq_cortexm.frontend.larq import with_bipolar_quants
from vq_cortexm.quantize.late_moves import with_late_moves
from vq_cortexm.quantize.qonnx_run import run_qonnx


def constants_everywhere() -> onnx.ModelProto:
    """Sums and products with a number, a vector of channels and a whole map, on either side."""
    net = LarqNet((4, 5, 3))
    y = net.node("Mul", net.constant(net.rng.normal(0, 1, 3)), net.last(net.first("x")))
    y = net.last(net.node("Conv", net.first(y), net.float_weight(6, 3, 1, 1)))
    y = net.node("Sub", net.constant(net.rng.normal(0, 1, 6)), net.node("Mul", y, net.constant(2)))
    y = net.node("Add", y, net.constant(net.rng.normal(0, 1, (1, 4, 5, 6))))
    twice = net.node("Add", net.first(y), net.first(net.node("Identity", y)))
    z = net.node("Add", net.last(twice), net.constant(net.rng.normal(0, 1, (4, 5, 1))))
    flat = net.node("Flatten", net.node("Unsqueeze", z, net.constant([0], np.int64)), axis=0)
    return net.model(net.node("Add", flat, net.constant(net.rng.normal(0, 1, 120))), twice)


NETS = [binary_net, residual_net, other_exporter, constants_everywhere]


@pytest.mark.parametrize("make", NETS)
def test_outputs_are_the_same(make: Callable[[], onnx.ModelProto]) -> None:
    proto = make()
    moved = with_late_moves(with_bipolar_quants(proto))
    onnx.checker.check_model(moved)
    x = (integers(proto, 4) * STEP).astype(np.float32)
    names = [value.name for value in proto.graph.output]
    evaluator = ReferenceEvaluator(proto)
    expected = [evaluator.run(None, {"x": sample[np.newaxis]}) for sample in x]
    for got, values in zip(run_qonnx(moved, x, names), zip(*expected, strict=True), strict=True):
        # sums may run in another order
        np.testing.assert_allclose(got, np.concatenate(values), rtol=1e-5, atol=1e-5)


def test_transposes_meet_their_inverse() -> None:
    moved = with_late_moves(with_bipolar_quants(binary_net()))
    names = [node.op_type for node in moved.graph.node if node.op_type != "BipolarQuant"]
    conv = ["Conv", "BatchNormalization"]
    assert names[:7] == ["Transpose", *conv, "Conv", "MaxPool", "BatchNormalization", "Transpose"]
    makers = {node.output[0]: node for node in moved.graph.node}
    signs = [makers.get(n.input[0]) for n in moved.graph.node if n.op_type == "BipolarQuant"]
    behind = [node.op_type for node in signs if node is not None]
    assert behind == ["BatchNormalization", "BatchNormalization", "Add"]
