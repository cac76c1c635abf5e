"""Float operators on single elements in ONNX QDQ files: what they become, beside ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from vq_cortexm.compat import op_name
from vq_cortexm.errors import ModelError
from vq_cortexm.frontend import from_onnx
from vq_cortexm.reference import run_reference
from vq_cortexm.transform import fold_pipeline
from vq_cortexm.transform.rewriting import bindings_of

ROUNDINGS = ("single", "double", "float")
SHAPE = (1, 4, 8, 8)
X = np.arange(-128, 128).astype(np.int8)
Node = tuple[str, list[str], str, dict[str, Any]]


def node(operator: str, inputs: str, output: str = "y", **attributes: Any) -> Node:
    """`inputs` are names, one after the other."""
    return operator, inputs.split(), output, attributes


def model(
    nodes: Sequence[Node],
    y: tuple[float, int] = (0.05, -5),
    shape: tuple[int, ...] = SHAPE,
    y_shape: tuple[int, ...] | None = None,
    inputs: Sequence[str] = ("x",),
    **constants: Any,
) -> bytes:
    """Nodes from each input, dequantized by 0.05 and 3, to `y`, which is quantized."""
    constants |= {"s": np.float32(0.05), "z": np.int8(3)}
    constants |= {"y_s": np.float32(y[0]), "y_z": np.int8(y[1])}
    all_nodes = [
        *(node("DequantizeLinear", f"q{name} s z", name) for name in inputs),
        *nodes,
        node("QuantizeLinear", "y y_s y_z", "qy"),
    ]
    graph = helper.make_graph(
        [helper.make_node(op, i, [o], name=o, **a) for op, i, o, a in all_nodes],
        "graph",
        [helper.make_tensor_value_info(f"q{n}", TensorProto.INT8, shape) for n in inputs],
        [helper.make_tensor_value_info("qy", TensorProto.INT8, y_shape or shape)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opset = [helper.make_opsetid("", 20)]
    return bytes(helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString())


def run_onnx(data: bytes, samples: Sequence[Any]) -> Any:
    """ONNX Runtime, node by node."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(data, options)
    names = [value.name for value in session.get_inputs()]
    return session.run(None, dict(zip(names, samples, strict=True)))[0]


def check(data: bytes, steps: int = 1, rounding: Any = "float") -> list[str]:
    """The folded model is within `steps` of ONNX Runtime; its operators."""
    module = fold_pipeline(rounding)(from_onnx(data))
    rng = np.random.default_rng(0)
    count = len(module["main"].params)
    shape = [int(n) for n in module["main"].params[0].ty.shape]
    samples = [np.resize(X, shape), *(rng.permuted(np.resize(X, shape)) for _ in range(count - 1))]
    (got,) = run_reference(module, samples)
    difference = np.abs(got.astype(int) - run_onnx(data, samples))
    assert difference.max() <= steps, difference.max()
    return [op_name(value) for _, value in bindings_of(module["main"]) if op_name(value)]


UNARY = {
    **{
        name: {}
        for name in ("Abs", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSwish", "HardSigmoid")
    },
    **{
        name: {}
        for name in ("Log", "Mish", "Neg", "Reciprocal", "Round", "Selu", "Sigmoid", "Sqrt")
    },
    **{name: {} for name in ("Sin", "Softplus", "Softsign", "Tanh")},
    "LeakyRelu": {"alpha": 0.1},
    "ThresholdedRelu": {"alpha": 1.0},
}


@pytest.mark.parametrize("operator", UNARY)
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_one_operator_is_a_table(operator: str, rounding: str) -> None:
    data = model([node(operator, "x", **UNARY[operator])])
    assert check(data, rounding=rounding) == ["vq.lookup"]


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Sigmoid", "x", "t"), node("Mul", "x t")],
        [node("Add", "x k", "t"), node("Div", "k t", "u"), node("Sub", "u x")],
        [
            node("Relu", "x", "t"),
            node("Sqrt", "t", "u"),
            node("Mul", "u u", "v"),
            node("Tanh", "v"),
        ],
        [node("Mul", "x k", "t"), node("Max", "t x", "u"), node("Min", "u k")],
    ],
)
def test_what_is_made_of_one_tensor_is_one_table(nodes: list[Node]) -> None:
    """Relax and NumPy agree to the last bit; one step where ONNX Runtime's functions do not."""
    assert check(model(nodes, k=np.float32(2.5))) == ["vq.lookup"]


def test_a_table_keeps_the_clamp_behind_it() -> None:
    data = model([node("Tanh", "x", "t"), node("Relu", "t")], (1 / 128, 0))
    assert check(data, 0) == ["vq.lookup"]


PER_CHANNEL = np.array([0.5, -1.0, 2.0, 0.0], np.float32).reshape(4, 1, 1)


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Max", "Min"])
@pytest.mark.parametrize("inputs", ["x c", "c x"])
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_constants_of_channels(operator: str, inputs: str, rounding: str) -> None:
    found = check(model([node(operator, inputs)], c=PER_CHANNEL), rounding=rounding)
    inner = "vq.extremum" if operator in ("Max", "Min") else "vq.depthwise_conv2d"
    assert inner in found


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Max", "Min"])
@pytest.mark.parametrize("inputs", ["x c", "c x"])
def test_quantized_and_whole_constants(operator: str, inputs: str) -> None:
    expected = {"Add": "vq.add", "Sub": "vq.add", "Mul": "vq.mul"}.get(operator, "vq.extremum")
    rng = np.random.default_rng(0)
    real = rng.uniform(-2, 2, SHAPE).astype(np.float32)
    assert expected in check(model([node(operator, inputs)], c=real))
    stored = rng.integers(-128, 128, (4, 1, 1)).astype(np.int8)
    nodes = [node("DequantizeLinear", "w c_s c_z", "c"), node(operator, inputs)]
    assert expected in check(model(nodes, w=stored, c_s=np.float32(0.02), c_z=np.int8(7)))


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Max", "Min"])
def test_two_tensors(operator: str) -> None:
    check(model([node(operator, "a b")], inputs=("a", "b")))


def test_the_largest_of_three() -> None:
    data = model([node("Max", "a b c")], (0.05, 3), inputs=("a", "b", "c"))
    assert check(data, 0) == ["vq.extremum", "vq.extremum"]


@pytest.mark.parametrize("operator", ["Max", "Min"])
def test_a_shared_extremum_counts_once(operator: str) -> None:
    """Else ten of them, each of the one before with itself, would have 2048 operands."""
    doubled = [node(operator, f"u{i} u{i}", f"u{i + 1}") for i in range(10)]
    nodes = [node(operator, "a b", "u0"), *doubled, node(operator, "c u10")]
    data = model(nodes, (0.05, 3), inputs=("a", "b", "c"))
    assert check(data, 0) == ["vq.extremum", "vq.extremum"]


def test_the_largest_of_a_tensor_and_itself_is_still_clamped() -> None:
    nodes = [node("Max", "a a", "t"), node("Max", "t b", "u"), node("Relu", "u")]
    check(model(nodes, (0.05, 3), inputs=("a", "b")), 0)


@pytest.mark.parametrize("slope", [PER_CHANNEL, np.float32(0.2)])
def test_prelu(slope: Any) -> None:
    found = check(model([node("PRelu", "x c")], c=np.asarray(slope)))
    assert found == (["vq.prelu"] if np.size(slope) > 1 else ["vq.lookup"])


STATISTICS = {
    "gamma": np.array([1, -2, 0, 0.5], np.float32),
    "beta": np.array([0.1, 0.2, 0.3, -0.4], np.float32),
    "mean": np.array([1, 2, -1, 0], np.float32),
    "variance": np.array([1, 0.5, 2, 0.1], np.float32),
}
BATCH_NORM = "gamma beta mean variance"


def test_a_batch_norm_alone_is_a_depthwise_convolution() -> None:
    data = model([node("BatchNormalization", f"x {BATCH_NORM}")], **STATISTICS)
    assert "vq.depthwise_conv2d" in check(data)


def test_a_shift_beside_which_the_input_does_not_count() -> None:
    gain = np.array([1e-12, 0.0, 1.0, 0.0], np.float32).reshape(4, 1, 1)
    shift = np.array([2.0, -3.0, 0.5, 0.0], np.float32).reshape(4, 1, 1)
    data = model([node("Mul", "x g", "t"), node("Add", "t h")], g=gain, h=shift)
    assert "vq.depthwise_conv2d" in check(data)


def _product(kind: str, rest: list[Node], **constants: Any) -> bytes:
    """A convolution or dense layer with a bias, and what comes behind its output `p`."""
    rng = np.random.default_rng(1)
    dense = kind == "dense"
    shape = (4, 4) if dense else (4, 4, 3, 3) if kind == "conv" else (4, 1, 3, 3)
    weights = [node("DequantizeLinear", "w w_s w_z", "weight", axis=1 if dense else 0)]
    if dense:
        weights += [node("MatMul", "x weight", "m"), node("Add", "m bias", "p")]
    else:
        groups = 4 if kind == "depthwise" else 1
        weights += [node("Conv", "x weight bias", "p", pads=[1] * 4, group=groups)]
    return model(
        [*weights, *rest],
        (0.1, 4),
        shape=(64, 4) if dense else SHAPE,
        w=rng.integers(-127, 128, shape).astype(np.int8),
        w_s=rng.uniform(0.005, 0.01, 4).astype(np.float32),
        w_z=np.zeros(4, np.int8),
        bias=rng.uniform(-1, 1, 4).astype(np.float32),
        **constants,
    )


@pytest.mark.parametrize("kind", ["conv", "depthwise", "dense"])
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_a_batch_norm_behind_a_product_becomes_part_of_it(kind: str, rounding: str) -> None:
    if kind == "dense":
        gamma, beta = STATISTICS["gamma"], STATISTICS["beta"]
        rest, constants = [node("Mul", "p g", "t"), node("Add", "t h")], {"g": gamma, "h": beta}
    else:
        rest = [node("BatchNormalization", f"p {BATCH_NORM}", "t"), node("Relu", "t")]
        constants = STATISTICS
    found = check(_product(kind, rest, **constants), rounding=rounding)
    names = {"conv": "vq.conv2d", "depthwise": "vq.depthwise_conv2d", "dense": "vq.dense"}
    assert [name for name in found if name != "vq.transpose"] == [names[kind]]


def test_scalars_behind_a_product_become_part_of_it() -> None:
    rest = [node("Mul", "p k", "t"), node("Sub", "t k", "u"), node("Div", "u k")]
    found = check(_product("conv", rest, k=np.float32(-1.5)))
    assert [name for name in found if name != "vq.transpose"] == ["vq.conv2d"]


def test_weights_that_cannot_change_their_sign_are_refused() -> None:
    weight = np.full((4, 4, 1, 1), -128, np.int8)
    nodes = [
        node("DequantizeLinear", "w s w_z", "weight"),
        node("Conv", "x weight", "t"),
        node("BatchNormalization", f"t {BATCH_NORM}"),
    ]
    data = model(nodes, w=weight, w_z=np.int8(0), **STATISTICS)
    with pytest.raises(
        ModelError, match=r"layer qy: a batch norm .* quantize them to \[-127, 127\]"
    ):
        fold_pipeline("single")(from_onnx(data))


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_softmax_over_any_axis(axis: int) -> None:
    found = check(model([node("Softmax", "x", axis=axis)], (1 / 256, -128)))
    assert [name for name in found if name != "vq.transpose"] == ["vq.softmax"]


def test_a_gate_of_channels_leaves_no_transpose_inside() -> None:
    """Squeeze and excite: a mean of each channel, and the channels times it."""
    quantized = [
        node("QuantizeLinear", "g g_s g_z", "qg"),
        node("DequantizeLinear", "qg g_s g_z", "d"),
    ]
    nodes = [
        node("GlobalAveragePool", "p", "m"),
        node("QuantizeLinear", "m s z", "qm"),
        node("DequantizeLinear", "qm s z", "dm"),
        node("Sigmoid", "dm", "g"),
        *quantized,
        node("Mul", "p d"),
    ]
    between = [node("QuantizeLinear", "p0 s z", "qp"), node("DequantizeLinear", "qp s z", "p")]
    rest = [node("Relu", "c0", "p0"), *between, *nodes]
    rng = np.random.default_rng(1)
    data = model(
        [node("DequantizeLinear", "w w_s z0", "weight"), node("Conv", "x weight", "c0"), *rest],
        (0.05, -5),
        w=rng.integers(-127, 128, (4, 4, 1, 1)).astype(np.int8),
        w_s=np.float32(0.01),
        z0=np.int8(0),
        g_s=np.float32(1 / 256),
        g_z=np.int8(-128),
    )
    found = check(data)
    assert found.count("vq.transpose") == 2  # of the model's input and output
    assert found[0] == found[-1] == "vq.transpose"


def test_constants_of_channels_follow_the_layout() -> None:
    """Between convolutions of channels first, they are transposed and the tensors are not."""
    rest = [
        *[node("QuantizeLinear", "p s z", "qp"), node("DequantizeLinear", "qp s z", "dp")],
        *[node("DequantizeLinear", "k s z", "dk"), node("Mul", "dp dk")],
    ]
    stored = np.array([20, -30, 40, 0], np.int8).reshape(4, 1, 1)
    found = check(_product("conv", rest, k=stored))
    operators = [name for name in found if name not in ("vq.transpose", "vq.reshape")]
    assert operators == ["vq.conv2d", "vq.mul"]
    assert found.count("vq.transpose") == 2


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            [node("Conv", "x weight", "t"), node("Sigmoid", "t")],
            r"nn\.conv2d stays float before it",
        ),
        ([node("LogSoftmax", "x")], "log_softmax is not supported; softmax is"),
        ([node("Pow", "x x2")], "power of several tensors is not supported; add"),
    ],
)
def test_what_is_refused_names_layer_and_reason(nodes: list[Node], message: str) -> None:
    constants = {"w": np.ones((4, 4, 1, 1), np.int8), "w_z": np.int8(0)}
    weights = [node("DequantizeLinear", "w s w_z", "weight")]
    other = [node("Neg", "x", "n"), node("QuantizeLinear", "n s z", "q2")]
    other += [node("DequantizeLinear", "q2 s z", "x2")]
    data = model([*weights, *other, *nodes], **constants)
    with pytest.raises(ModelError, match=f"layer qy: {message}"):
        fold_pipeline("single")(from_onnx(data))
