"""Good files of every format, which are damaged then."""

from __future__ import annotations

import io
import tempfile
from functools import cache
from pathlib import Path
from random import Random

import float_nets
import larq_nets
import numpy as np
from drawn.models import KINDS, draw_model
from onnx import TensorProto, helper, numpy_helper
from onnx_qdq_net import net_around
from qonnx_builder import QonnxNet
from relay_builder import RelayBuilder
from reported import write_reported
from vq_models import TINY_MODELS

from vq_cortexm.build import build_folded
from vq_cortexm.compat import save_module
from vq_cortexm.compiled_model import MODULE_FILE

Files = dict[str, bytes]
"""By name; a reader gets a folder with them."""
LARGEST_PLANE = 6


def tflite(random: Random) -> Files:
    """Of any operator, or of a few."""
    return {"model.tflite": _drawn(random, "tflite")}


def onnx_qdq(random: Random) -> Files:
    """Of any operator, or of a few."""
    if random.random() < 0.1:
        return {"model.onnx": bytes(net_around("Relu").SerializeToString())}
    return {"model.onnx": _drawn(random, "onnx")}


def onnx_qoperator(_: Random) -> Files:
    """A convolution, a sum and a dense layer."""
    return {"model.onnx": _qoperator()}


def qonnx(_: Random) -> Files:
    """Layers of few bits and of one."""
    return {"model.onnx": _few_bits()}


def relay(random: Random) -> Files:
    """Convolution, sum, pool and dense layer."""
    return {"model.json": random.choice((_relay_convolution, _relay_dense))()}


def binary_onnx(_: Random) -> Files:
    """A float binary net, which `quantize` takes."""
    return {"model.onnx": _larq()}


def float_onnx(random: Random) -> Files:
    """What `quantize` takes."""
    make = random.choice((float_nets.residual_onnx, float_nets.chain_onnx))
    return {"model.onnx": make()}


def float_tflite(random: Random) -> Files:
    """What `quantize` takes, in float32 or in int8."""
    return {"model.tflite": float_nets.small_tflite(quantized=random.random() < 0.5)}


def library(random: Random) -> Files:
    """A tar of the Model Library Format."""
    return {"model.tar": _library(random.choice(sorted(TINY_MODELS)))}


def folder(random: Random) -> Files:
    """Of what `compile` writes, that from which it compiles again."""
    return {MODULE_FILE: _module(random.choice(sorted(TINY_MODELS)))}


def samples(_: Random) -> Files:
    """An array, one input's samples."""
    stream = io.BytesIO()
    np.save(stream, np.arange(-24, 24, dtype=np.int8).reshape(4, 1, 12))
    return {"x.npy": stream.getvalue()}


def data(_: Random) -> Files:
    """Arrays by name: inputs and classes."""
    stream = io.BytesIO()
    np.savez(stream, x=np.arange(-24, 24, dtype=np.int8).reshape(4, 1, 12), y=np.arange(4))
    return {"x.npz": stream.getvalue()}


def report(_: Random) -> Files:
    """All JSON files of a folder."""
    return dict(_report())


def recording(_: Random) -> Files:
    """A session of two inferences, of which one is repeated."""
    text = "vq-cortexm link 1\nsession 4711\nline 11520.0 0.1 none\ntimeouts 0.5 10.0 5.0\n"
    events = ["open", "> 0002010184", "< 0002816484", "> 0003", "> 0003", "< 0102", "< 03"]
    events += ["closed the port is gone", "open", "> 00", "< 0005"]
    lines = [f"{number / 64:.6f} {event}" for number, event in enumerate(events)]
    return {"link.txt": (text + "\n".join(lines) + "\n").encode()}


def _drawn(random: Random, form: str) -> bytes:
    kind = random.choice([kind for kind in KINDS if kind.startswith(f"{form}/")])
    return draw_model(f"{kind}/{random.randrange(20)}", largest=LARGEST_PLANE).files[0]


@cache
def _qoperator() -> bytes:
    rng = np.random.default_rng(1)
    constants = {
        "s": np.float32(0.05),
        "z": np.int8(3),
        "ws": np.full(4, 0.02, np.float32),
        "wz": np.zeros(4, np.int8),
        "w": rng.integers(-127, 127, (4, 3, 3, 3)).astype(np.int8),
        "b": rng.integers(-999, 999, 4).astype(np.int32),
        "m": rng.integers(-127, 127, (64, 5)).astype(np.int8),
        "ms": np.float32(0.02),
        "mz": np.int8(0),
    }
    add = "com.microsoft"
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], "q"),
        helper.make_node(
            "QLinearConv", ["q", "s", "z", "w", "ws", "wz", "s", "z", "b"], ["c"], "conv"
        ),
        helper.make_node(
            "QLinearAdd", ["c", "s", "z", "c", "s", "z", "s", "z"], ["a"], "add", domain=add
        ),
        helper.make_node("Flatten", ["a"], ["f"], "flat"),
        helper.make_node(
            "QLinearMatMul", ["f", "s", "z", "m", "ms", "mz", "s", "z"], ["d"], "dense"
        ),
        helper.make_node("DequantizeLinear", ["d", "s", "z"], ["y"], "r"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 6, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5])],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(add, 1)]
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return bytes(proto.SerializeToString())


@cache
def _few_bits() -> bytes:
    net = QonnxNet((1, 3, 6, 6))
    x = net.quant("x", 0.0625, 8)
    w = net.weight((4, 3, 3, 3), 3)
    y = net.node("Conv", [x, w, net.bias(0.0625, w, 4)], pads=[1] * 4)
    y = net.quant(net.node("Relu", [net.batch_norm(y, 4)]), 0.125, 4, signed=0)
    y = net.node("Flatten", [net.node("MaxPool", [y], kernel_shape=[2, 2], strides=[2, 2])])
    y = net.node("Gemm", [y, net.weight((5, 36), 1)], transB=1)
    return bytes(net.model(net.quant(y, 0.25, 8)).SerializeToString())


@cache
def _larq() -> bytes:
    return bytes(larq_nets.other_exporter().SerializeToString())


@cache
def _relay_convolution() -> bytes:
    net, rng = RelayBuilder(), np.random.default_rng(2)
    x = net.var("data", (1, 3, 6, 6))
    weight = rng.integers(-127, 127, (4, 3, 3, 3)).astype(np.int8)
    y = net.conv2d(x, weight, (2, 0), kernel_size=(3, 3), channels=4, padding=(1, 1, 1, 1))
    y = net.call("nn.bias_add", [y, net.constant(np.arange(4, dtype=np.int32))], axis=1)
    y = net.requantize(y, (0.001, 0), (0.1, -5), axis=1)
    y = net.call("clip", [y], a_min=-5, a_max=90)
    y = net.call("qnn.add", [y, y, *net.scales((0.1, -5), (0.1, -5), (0.2, 0))])
    return net.build(net.call("reshape", [y], newshape=(1, -1))).encode()


@cache
def _relay_dense() -> bytes:
    net = RelayBuilder()
    y = net.dense(net.var("data", (1, 6)), np.ones((3, 6), np.int8), (0, 0))
    return net.build(net.requantize(y, (0.1, 0), (0.2, 0))).encode()


@cache
def _module(name: str) -> bytes:
    return save_module(build_folded(TINY_MODELS[name]()).module).encode()


@cache
def _library(name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        compiled = build_folded(TINY_MODELS[name](), name="tiny")
        return compiled.export_model_library_format(Path(folder) / "tiny.tar").read_bytes()


@cache
def _report() -> Files:
    with tempfile.TemporaryDirectory() as folder:
        written = write_reported(Path(folder))
        return {path.name: path.read_bytes() for path in written.glob("*.json")}
