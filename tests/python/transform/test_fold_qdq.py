"""FoldQDQ: what becomes of a QDQ graph, computed by itself, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tvm
from tvm import relax

from vq_cortexm.compat import constant, constant_value, dtype_of, op_name, shape_of, tensor_type
from vq_cortexm.errors import ModelError
from vq_cortexm.op.registry import attributes
from vq_cortexm.reference import run_reference
from vq_cortexm.transform import FoldQDQ

ROUNDINGS = ["single", "double", "float"]
X_SCALE, Y_SCALE = 0.05, 0.04
X_ZERO_POINT, Y_ZERO_POINT = 3, -7


class _Graph:
    """A Relax QDQ function `main` with the one parameter `x`."""

    def __init__(self, shape: tuple[int, ...], dtype: str = "int8") -> None:
        self.rng = np.random.default_rng(0)
        self.builder = relax.BlockBuilder()
        self.x = relax.Var("x", tensor_type(shape, dtype))

    def dequantize(self, value: Any, scale: Any = X_SCALE, zero_point: Any = X_ZERO_POINT) -> Any:
        return self.builder.emit(self._convert(relax.op.dequantize, value, scale, zero_point))

    def quantize(
        self, value: Any, scale: Any = Y_SCALE, zero_point: Any = Y_ZERO_POINT, axis: int = 0
    ) -> Any:
        value = self.builder.emit(value) if isinstance(value, relax.Call) else value
        call = self._convert(
            relax.op.quantize, value, scale, zero_point, axis=axis, out_dtype="int8"
        )
        return self.builder.emit(call)

    @staticmethod
    def _convert(
        operator: Any, value: Any, scale: Any, zero_point: Any, axis: int = 0, **keywords: Any
    ) -> Any:
        scale = np.asarray(scale, np.float32)
        zero_points = np.broadcast_to(np.asarray(zero_point, np.int32), scale.shape)
        axis = axis if scale.ndim else -1
        return operator(value, constant(scale), constant(zero_points), axis=axis, **keywords)

    def weights(self, shape: tuple[int, ...], zero_point: Any = 0) -> Any:
        value = self.rng.integers(-127, 127, shape).astype(np.int8)
        return self.dequantize(constant(value), np.full(shape[0], 0.01), zero_point)

    def bias(self, channels: int, scale: float = X_SCALE * 0.01) -> Any:
        value = self.rng.integers(-500, 500, channels).astype(np.int32)
        return self.dequantize(constant(value), np.full(channels, scale), 0)

    def build(self, make: Callable[[_Graph, Any], Any]) -> Any:
        """The module that returns `make(self, x)`."""
        with self.builder.function("main", [self.x]):
            with self.builder.dataflow():
                output = self.builder.emit_output(make(self, self.x))
            self.builder.emit_func_output(output)
        return self.builder.get()


def _conv(g: _Graph, x: Any, **keywords: Any) -> Any:
    return g.builder.emit(relax.op.nn.conv2d(g.dequantize(x), g.weights((4, 3, 3, 3)), **keywords))


def _network() -> Any:
    """NCHW convolution with bias and ReLU, flattened into a dense layer without bias."""

    def make(g: _Graph, x: Any) -> Any:
        bias = g.builder.emit(relax.op.reshape(g.bias(4), (1, 4, 1, 1)))
        y = g.builder.emit(relax.op.add(_conv(g, x), bias))
        y = g.dequantize(g.quantize(relax.op.nn.relu(y), 0.2, -128), 0.2, -128)
        flat = g.quantize(relax.op.reshape(y, (1, 36)), 0.2, -128)
        kernel = g.builder.emit(relax.op.permute_dims(g.weights((5, 36))))
        return g.quantize(relax.op.matmul(g.dequantize(flat, 0.2, -128), kernel), 0.6, -9)

    return _Graph((1, 3, 5, 5)).build(make)


def _fold(module: Any, rounding: Any = "single") -> Any:
    return tvm.ir.transform.Sequential([FoldQDQ(rounding)])(module)


def _calls(module: Any) -> list[Any]:
    values = [b.value for block in module["main"].body.blocks for b in block.bindings]
    return [value for value in values if isinstance(value, relax.Call)]


def _in_float(module: Any, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The QDQ module itself, operator by operator in float64 by NumPy."""
    main = module["main"]
    values: dict[Any, Any] = {main.params[0]: x}

    def value(expr: Any) -> Any:
        return values[expr] if expr in values else constant_value(expr)

    def grid(array: Any, axes: int) -> Any:
        return array.reshape(-1, *[1] * (axes - 1)) if array.ndim else array

    for block in main.body.blocks:
        for binding in block.bindings:
            call = binding.value
            if not isinstance(call, relax.Call):
                values[binding.var] = values[call]
                continue
            name = op_name(call).removeprefix("relax.")
            if name in ("quantize", "dequantize"):
                a, scale, zero_point = (np.asarray(value(arg), np.float64) for arg in call.args)
                scale, zero_point = grid(scale, a.ndim), grid(zero_point, a.ndim)
                if name == "dequantize":
                    result = (a - zero_point) * scale
                else:
                    result = np.clip(np.rint(a / scale) + zero_point, -128, 127)
            elif name == "nn.conv2d":
                a, w = value(call.args[0]), value(call.args[1])
                windows = np.lib.stride_tricks.sliding_window_view(a, w.shape[2:], (2, 3))
                result = np.einsum("nchwij,ocij->nohw", windows, w)
            elif name == "nn.relu":
                result = np.maximum(value(call.args[0]), 0)
            elif name == "add":
                result = value(call.args[0]) + value(call.args[1])
            elif name == "matmul":
                result = value(call.args[0]) @ value(call.args[1])
            elif name == "permute_dims":
                result = value(call.args[0]).T
            else:
                assert name == "reshape"
                result = value(call.args[0]).reshape(shape_of(call))
            values[binding.var] = result
    return np.asarray(values[main.body.body])


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_result_has_integer_operators_only(rounding: str) -> None:
    folded = _fold(_network(), rounding)
    calls = _calls(folded)
    assert {op_name(call) for call in calls} == {
        "vq.conv2d",
        "vq.dense",
        "vq.reshape",
        "vq.transpose",
    }
    assert {dtype_of(call) for call in calls} == {"int8"}
    roundings = [attributes(c).rounding for c in calls if op_name(c) in ("vq.conv2d", "vq.dense")]
    assert roundings == [rounding, rounding]
    assert str(folded["main"].attrs["vq.rounding"]) == rounding


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_result_computes_what_the_graph_says(rounding: str) -> None:
    module = _network()
    folded = _fold(module, rounding)
    rng = np.random.default_rng(1)
    outputs = []
    for _ in range(5):
        x = rng.integers(-128, 128, (1, 3, 5, 5)).astype(np.int8)
        (y,) = run_reference(folded, [x])
        # the fold computes layers exactly; float64 may round a tie of a layer the other way
        assert np.abs(y - _in_float(module, x)).max() <= 1
        outputs.append(y)
    assert len(np.unique(outputs)) > 10


def test_module_is_left_alone_and_other_functions_stay() -> None:
    module = _network()
    module["other"] = (
        _Graph((2, 2)).build(lambda g, x: x)["main"].with_attr("global_symbol", "other")
    )
    before = module.script()
    folded = _fold(module)
    assert module.script() == before
    assert {str(var.name_hint) for var in folded.functions} == {"main", "other"}


def test_quantize_and_dequantize_at_the_borders_are_dropped() -> None:
    def make(g: _Graph, x: Any) -> Any:
        inner = g.quantize(relax.op.nn.relu(g.dequantize(g.quantize(x, 0.05, 3))))
        return g.dequantize(inner, Y_SCALE, Y_ZERO_POINT)

    folded = _fold(_Graph((1, 4), "float32").build(make))
    main = folded["main"]
    assert [op_name(call) for call in _calls(folded)] == ["vq.requantize"]
    assert [(p.name, dtype_of(p)) for p in main.params] == [("x", "int8")]
    ends = main.attrs["vq.quantization"]
    (x,), (y,) = ends["inputs"], ends["outputs"]
    assert (float(x["scale"]), int(x["zero_point"])) == (pytest.approx(X_SCALE), X_ZERO_POINT)
    assert (float(y["scale"]), int(y["zero_point"])) == (pytest.approx(Y_SCALE), Y_ZERO_POINT)


def test_dequantize_then_quantize_alike_is_nothing() -> None:
    graph = _Graph((1, 4))
    folded = _fold(graph.build(lambda g, x: g.quantize(g.dequantize(x), X_SCALE, X_ZERO_POINT)))
    assert not _calls(folded)


@pytest.mark.parametrize(
    ("activate", "bounds"),
    [
        (relax.op.nn.relu, (Y_ZERO_POINT, 127)),
        (lambda v: relax.op.clip(v, 0.0, 2.0), (Y_ZERO_POINT, Y_ZERO_POINT + 50)),
        (lambda v: relax.op.clip(v, -1.0, 1.0), (Y_ZERO_POINT - 25, Y_ZERO_POINT + 25)),
        (lambda v: v, (-128, 127)),
    ],
    ids=["relu", "clip", "symmetric", "none"],
)
def test_activation_becomes_the_clamp(
    activate: Callable[[Any], Any], bounds: tuple[int, int]
) -> None:
    folded = _fold(_Graph((1, 3, 5, 5)).build(lambda g, x: g.quantize(activate(_conv(g, x)))))
    (conv,) = (attributes(c) for c in _calls(folded) if op_name(c) == "vq.conv2d")
    assert (conv.y_min, conv.y_max) == bounds


def _product(g: _Graph, x: Any, **weights: Any) -> Any:
    kernel = g.builder.emit(relax.op.permute_dims(g.weights((5, 4), **weights)))
    return g.builder.emit(relax.op.matmul(g.dequantize(x), kernel))


def _float_between(g: _Graph, x: Any) -> Any:
    between = g.builder.emit(relax.op.cumsum(g.dequantize(x), axis=1))
    return g.quantize(relax.op.add(between, g.dequantize(x)))


REFUSED: dict[str, tuple[Callable[[_Graph, Any], Any], str]] = {
    "operator": (
        lambda g, x: g.quantize(relax.op.cumsum(g.dequantize(x), axis=1)),
        "cumsum is not supp",
    ),
    "float operator before a layer": (_float_between, "cumsum stays float"),
    "float output": (lambda g, x: _product(g, x), "output is computed by matmul in float"),
    "per-channel activation": (
        lambda g, x: g.quantize(_product(g, x), np.full(5, 0.1), axis=1),
        "per-channel activations",
    ),
    "weights' zero point": (lambda g, x: g.quantize(_product(g, x, zero_point=90)), "zero point 0"),
    "weights' zero points": (
        lambda g, x: g.quantize(_product(g, x, zero_point=np.arange(0, 100, 20))),
        "zero point 0",
    ),
    "bias's scale": (
        lambda g, x: g.quantize(relax.op.add(_product(g, x), g.bias(5, scale=0.1))),
        "bias is not at input scale",
    ),
    "scale of zero": (lambda g, x: g.quantize(_product(g, x), 0.0), "not a positive number"),
    "scale not a number": (lambda g, x: g.quantize(_product(g, x), np.nan), "not a positive"),
    "dilated average": (
        lambda g, x: g.quantize(
            relax.op.nn.avg_pool2d(
                relax.op.reshape(g.dequantize(x), (1, 1, 1, -1)), (1, 2), dilation=(1, 2)
            )
        ),
        "an average of dilated windows",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_graph_without_integer_meaning_is_refused(case: str) -> None:
    make, message = REFUSED[case]
    graph = _Graph((1, 4))
    module = graph.build(make)
    with pytest.raises(ModelError, match=message) as caught:
        _fold(module)
    assert "\n" not in str(caught.value)


def test_float_input_is_refused_by_name() -> None:
    module = _Graph((1, 4), "float32").build(lambda g, x: g.quantize(relax.op.nn.relu(x)))
    with pytest.raises(ModelError, match="input 'x' is float"):
        _fold(module)
