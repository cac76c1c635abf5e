"""Malformed and unsupported files: status 2, one line, in bounded time and memory."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tflite
from command_line import Run, fail, one_convolution, unsupported, vq
from onnx import TensorProto, helper, numpy_helper
from tflite_builder import TfliteBuilder

LARGEST_KIB = 2 << 20
HUGE = 1 << 30


# -------------------------------------------------------------------- TFLite


def _tflite(operator: str, shape: tuple[int, ...] = (1, 4), **more: Any) -> bytes:
    """One operator between two tensors of a shape."""
    net = TfliteBuilder()
    scale, dtype, zero = more.pop("scale", 0.1), more.pop("dtype", "int8"), more.pop("zero", 0)
    x, y = (net.tensor(shape, scale, zero, dtype) for _ in range(2))
    net.add(operator, [x], [y], **more)
    return net.build([x], [y])


def _padded_tflite(zero: int) -> bytes:
    """A border of the zero point."""
    net = TfliteBuilder()
    x, y = (net.tensor(shape, 0.1, zero) for shape in ((1, 4), (1, 6)))
    net.add("PAD", [x, net.constant(np.array([[0, 0], [1, 1]], np.int32))], [y])
    return net.build([x], [y])


def _cyclic_tflite() -> bytes:
    net = TfliteBuilder()
    x, y, z = (net.tensor((1, 4), 0.1) for _ in range(3))
    net.add("ADD", [x, z], [y])
    net.add("ADD", [x, y], [z])
    return net.build([x], [z])


def _outside_tflite() -> bytes:
    """An operator that reads a tensor that is not there."""
    net = TfliteBuilder()
    x, y = net.tensor((1, 4), 0.1), net.tensor((1, 4), 0.1)
    net.add("ADD", [x, 77], [y])
    return net.build([x], [y])


def _wrong_buffer_tflite() -> bytes:
    """Weights of a shape that their bytes do not have."""
    net = TfliteBuilder()
    x, y = net.tensor((1, HUGE), 0.1), net.tensor((1, 4), 0.1)
    w = net.constant(np.zeros((4, 4), np.int8), 0.1)
    net._tensors[w] = net._tensors[w].__class__((4, HUGE), "int8", None, bytes(16))
    net.add("FULLY_CONNECTED", [x, w], [y])
    return net.build([x], [y])


class _Sparse(TfliteBuilder):
    """Writes each tensor as one that is stored sparse."""

    def _tensor(self, fb: Any, index: int, tensor: Any) -> int:
        name, shape = fb.CreateString(f"t{index}"), fb.CreateNumpyVector(np.int32(tensor.shape))
        tflite.SparsityParametersStart(fb)
        sparsity = tflite.SparsityParametersEnd(fb)
        tflite.TensorStart(fb)
        tflite.TensorAddName(fb, name)
        tflite.TensorAddShape(fb, shape)
        tflite.TensorAddType(fb, tflite.TensorType.INT8)
        tflite.TensorAddSparsity(fb, sparsity)
        return int(tflite.TensorEnd(fb))


def _sparse_tflite() -> bytes:
    net = _Sparse()
    x, y = net.tensor((1, 4), 0.1), net.tensor((1, 4), 0.1)
    net.add("LOGISTIC", [x], [y])
    return net.build([x], [y])


TFLITE: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "not a TFLite model"),
    "another kind": (lambda: b"PK\3\4" + bytes(99), "not a TFLite model"),
    "wrong magic": (lambda: one_convolution().replace(b"TFL3", b"TFL2"), "not a TFLite model"),
    "truncated": (lambda: one_convolution()[:-200], "truncated or damaged"),
    "noise": (lambda: b"\xff\xff\xff\x7fTFL3" + b"\xff" * 400, "truncated or damaged"),
    "lstm": (unsupported, "LSTM (operator 0)"),
    "loop": (lambda: _tflite("WHILE"), "WHILE (operator 0)"),
    "condition": (lambda: _tflite("IF"), "IF (operator 0)"),
    "call": (lambda: _tflite("CALL"), "CALL (operator 0)"),
    "custom": (lambda: _tflite("CUSTOM"), "custom operator"),
    "cyclic": (_cyclic_tflite, "read before it is written"),
    "outside": (_outside_tflite, "not in the file"),
    "huge": (lambda: _tflite("LOGISTIC", (1, HUGE)), "larger than any part's memory"),
    "huger": (lambda: _tflite("LOGISTIC", (HUGE,) * 4), "larger than any part's memory"),
    "weights": (_wrong_buffer_tflite, "16 bytes of data"),
    "no scale": (lambda: _tflite("LOGISTIC", scale=None), "no scale"),
    "scale of 0": (lambda: _tflite("LOGISTIC", scale=0.0), "positive"),
    "no number": (lambda: _tflite("LOGISTIC", scale=float("nan")), "positive"),
    "border of no int8": (lambda: _padded_tflite(-134), "-128 to 127 work"),
    "zero point of no int8": (lambda: _tflite("LOGISTIC", zero=-134), "-128 to 127 work"),
    "sparse": (_sparse_tflite, "stored sparse"),
    "strings": (lambda: _tflite("LOGISTIC", dtype="string"), "the type string"),
    "no elements": (lambda: _tflite("LOGISTIC", (1, 0)), "static positive sizes"),
    "negative": (lambda: _tflite("LOGISTIC", (1, -4)), "static positive sizes"),
    "no options": (lambda: _tflite("CONV_2D"), "CONV_2D (operator 0)"),
}


# -------------------------------------------------------------------- ONNX


def _value(name: str, shape: list[Any], kind: int = TensorProto.INT8) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def _onnx(
    nodes: list[Any],
    shape: Any = (1, 4),
    kind: int = TensorProto.INT8,
    constants: dict[str, Any] | None = None,
) -> onnx.ModelProto:
    initializers = [numpy_helper.from_array(np.asarray(v), k) for k, v in (constants or {}).items()]
    graph = helper.make_graph(
        nodes, "net", [_value("x", list(shape), kind)], [_value("y", [None])], initializers
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _between(
    operator: str, shape: Any = (1, 4), scale: Any = 0.1, **attributes: Any
) -> onnx.ModelProto:
    """An operator between DequantizeLinear and QuantizeLinear."""
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "s", "z"], ["r"]),
        helper.make_node(operator, ["r"], ["f"], "odd", **attributes),
        helper.make_node("QuantizeLinear", ["f", "s", "z"], ["y"]),
    ]
    return _onnx(nodes, shape, constants={"s": np.float32(scale), "z": np.int8(0)})


def _bytes(proto: onnx.ModelProto) -> bytes:
    return bytes(proto.SerializeToString())


def _cyclic_onnx() -> onnx.ModelProto:
    return _onnx(
        [
            helper.make_node("Add", ["x", "b"], ["a"]),
            helper.make_node("Add", ["x", "a"], ["b"]),
            helper.make_node("Identity", ["b"], ["y"]),
        ]
    )


def _branches() -> onnx.ModelProto:
    """An If whose branches give their own constants."""
    branches = {}
    for name in ("then_branch", "else_branch"):
        constant = numpy_helper.from_array(np.zeros((1, 4), np.int8), "c")
        node = helper.make_node("Identity", ["c"], [name])
        branches[name] = helper.make_graph([node], name, [], [_value(name, [1, 4])], [constant])
    return _onnx([helper.make_node("If", ["k"], ["y"], "odd", **branches)], constants={"k": True})


def _loop() -> onnx.ModelProto:
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["c"], ["c2"]),
            helper.make_node("Identity", ["v"], ["v2"]),
        ],
        "body",
        [
            _value("i", [], TensorProto.INT64),
            _value("c", [], TensorProto.BOOL),
            _value("v", [1, 4]),
        ],
        [_value("c2", [], TensorProto.BOOL), _value("v2", [1, 4])],
    )
    nodes = [helper.make_node("Loop", ["n", "k", "x"], ["y"], "odd", body=body)]
    return _onnx(nodes, constants={"n": np.int64(HUGE), "k": True})


def _external() -> onnx.ModelProto:
    """Weights in a file that is not there."""
    proto = _onnx([helper.make_node("Add", ["x", "w"], ["y"])])
    weights = numpy_helper.from_array(np.zeros((1, 4), np.int8), "w")
    onnx.external_data_helper.set_external_data(weights, "weights.bin")
    weights.ClearField("raw_data")
    proto.graph.initializer.append(weights)
    return proto


def _sparse() -> onnx.ModelProto:
    proto = _onnx([helper.make_node("Add", ["x", "w"], ["y"])])
    values = helper.make_tensor("w", TensorProto.INT8, [1], [3])
    indices = helper.make_tensor("i", TensorProto.INT64, [1], [2])
    proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [1, 4]))
    return proto


def _lstm() -> onnx.ModelProto:
    constants = {
        "s": np.float32(0.1),
        "z": np.int8(0),
        "w": np.zeros((1, 8, 4), np.float32),
        "v": np.zeros((1, 8, 2), np.float32),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "s", "z"], ["r"]),
        helper.make_node("LSTM", ["r", "w", "v"], ["f"], "odd", hidden_size=2),
        helper.make_node("QuantizeLinear", ["f", "s", "z"], ["y"]),
    ]
    return _onnx(nodes, (3, 1, 4), constants=constants)


def _filled() -> onnx.ModelProto:
    """A constant that a node would make large."""
    nodes = [
        helper.make_node("ConstantOfShape", ["n"], ["c"]),
        helper.make_node("QuantizeLinear", ["c", "s", "z"], ["y"]),
    ]
    constants = {"n": np.int64([HUGE, 64]), "s": np.float32(0.1), "z": np.int8(0)}
    return _onnx(nodes, constants=constants)


def _constant_output() -> onnx.ModelProto:
    """The numbers of a constant, whatever the input is."""
    node = helper.make_node("DequantizeLinear", ["c", "s", "z"], ["y"])
    scale, zero = np.float32(0.1), np.int8(0)
    return _onnx([node], constants={"s": scale, "z": zero, "c": np.array([[1, 2, 3, 4]], np.int8)})


def _misfit() -> onnx.ModelProto:
    """Weights whose numbers are not as many as their shape says."""
    scale, zero = np.float32(0.1), np.int8(0)
    constants = {"s": scale, "z": zero, "w": np.zeros((4, 2), np.int8)}
    names = ["x", "s", "z", "w", "s", "z", "s", "z"]
    proto = _onnx([helper.make_node("QLinearMatMul", names, ["y"], "odd")], constants=constants)
    proto.graph.initializer[2].dims[1] = 3
    return proto


ONNX: dict[str, tuple[Callable[[], onnx.ModelProto | bytes], str]] = {
    "empty": (lambda: b"", "not a valid ONNX model"),
    "another kind": (lambda: one_convolution(), "not a valid ONNX model"),
    "truncated": (lambda: _bytes(_between("Relu"))[:-20], "not a valid ONNX model"),
    "noise": (lambda: b"\x08" + b"\xff" * 400, "not a valid ONNX model"),
    "cyclic": (_cyclic_onnx, "topologically sorted"),
    "huge": (lambda: _between("Sigmoid", (1, HUGE)), "larger than any part's memory"),
    "huger": (lambda: _between("Sigmoid", (HUGE,) * 4), "larger than any part's memory"),
    "filled": (_filled, "larger than any part's memory"),
    "lstm": (_lstm, "'odd' (LSTM) is recurrent"),
    "condition": (_branches, "'odd' (If) is control flow"),
    "loop": (_loop, "'odd' (Loop) is control flow"),
    "unknown": (lambda: _between("NoSuchOperator"), "NoSuchOperator"),
    "external": (_external, "weights.bin"),
    "sparse": (_sparse, "sparse"),
    "misfit": (_misfit, "damaged or not supported"),
    "strings": (lambda: _onnx([helper.make_node("Identity", ["x"], ["y"])], (1,), 8), "string"),
    "no elements": (lambda: _between("Relu", (1, 0)), "dimension 1"),
    "negative": (lambda: _between("Relu", (1, -4)), "dimension 1"),
    "open": (lambda: _between("Relu", (1, "n")), "open dimension 1"),
    "output without input": (_constant_output, "depends on no input"),
    "scale of 0": (lambda: _between("Relu", scale=0.0), "positive"),
    "no number": (lambda: _between("Relu", scale=float("nan")), "positive"),
    "no scale": (
        lambda: _onnx([helper.make_node("Relu", ["x"], ["y"])]),
        "relu",
    ),
}


def _written(name: str, files: dict[str, tuple[Any, str]], ending: str, folder: Path) -> Path:
    made = files[name][0]()
    path = folder / f"odd{ending}"
    path.write_bytes(made if isinstance(made, bytes) else _bytes(made))
    return path


def _refused(path: Path, names: str, run: Run) -> None:
    line = fail(2, "compile", path, "-o", path.parent / "out", run=run)
    assert names in line
    assert line.count(path.name) == 1
    assert not (path.parent / "out").exists()


@pytest.mark.parametrize("name", TFLITE)
def test_tflite_file_is_refused(name: str, here: Run, tmp_path: Path) -> None:
    _refused(_written(name, TFLITE, ".tflite", tmp_path), TFLITE[name][1], here)


@pytest.mark.parametrize("name", ONNX)
def test_onnx_file_is_refused(name: str, here: Run, tmp_path: Path) -> None:
    _refused(_written(name, ONNX, ".onnx", tmp_path), ONNX[name][1], here)


@pytest.mark.parametrize(
    ("name", "files", "ending"),
    [("huger", TFLITE, ".tflite"), ("huger", ONNX, ".onnx"), ("filled", ONNX, ".onnx")],
)
def test_memory_is_bounded(name: str, files: Any, ending: str, tmp_path: Path) -> None:
    """In a process of its own; the measure is the largest of all that this one has started."""
    _refused(_written(name, files, ending, tmp_path), files[name][1], vq)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < LARGEST_KIB


def test_external_data_beside_the_file_is_read(here: Run, tmp_path: Path) -> None:
    proto = _between("Relu")
    path = tmp_path / "odd.onnx"
    onnx.save(proto, path, save_as_external_data=True, location="data.bin", size_threshold=0)
    assert (tmp_path / "data.bin").exists()
    assert here("compile", path, "-o", tmp_path / "out").returncode == 0
