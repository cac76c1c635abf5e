"""ONNX QOperator → QDQ: each quantized operator becomes DequantizeLinear, the float operator it is
named after, and QuantizeLinear, in the graph itself.

Operators on 8-bit values that QOperator models have between the others are put between the scales
of what they read; those that only move values stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ModelError
from .onnx_integer_products import PRODUCTS, Scale, write_product
from .onnx_qdq import QdqWriter
from .qonnx_graph import attributes, where

MICROSOFT = "com.microsoft"
"""The domain of ONNX Runtime's own operators."""


@dataclass(frozen=True)
class _Form:
    """Where a quantized operator has the inputs of the float `operator`: `values` are positions of
    (integers, scale, zero point); `output` that of (scale, zero point); `bias` that of integers
    at the product of both values' scales; `plain` are passed on as they are."""

    operator: str
    values: tuple[int, ...]
    output: int
    bias: int | None = None
    plain: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Options:
    """What an operator's attributes say of the float one: those it has instead (None: not at all),
    constant inputs behind the others, and of the weights the axis of scales and a factor."""

    attributes: dict[str, Any]
    inputs: tuple[Sequence[int], ...] = ()
    axis: int = 0
    factor: float = 1.0


_FORMS = {
    "QGemm": _Form("Gemm", (0, 3), 7, bias=6),
    "QLinearAdd": _Form("Add", (0, 3), 6),
    "QLinearAveragePool": _Form("AveragePool", (0,), 3),
    "QLinearConv": _Form("Conv", (0, 3), 6, bias=8),
    "QLinearGlobalAveragePool": _Form("GlobalAveragePool", (0,), 3),
    "QLinearLeakyRelu": _Form("LeakyRelu", (0,), 3),
    "QLinearMatMul": _Form("MatMul", (0, 3), 6),
    "QLinearMul": _Form("Mul", (0, 3), 6),
    "QLinearReduceMean": _Form("ReduceMean", (0,), 3),
    "QLinearSigmoid": _Form("Sigmoid", (0,), 3),
    "QLinearSoftmax": _Form("Softmax", (0,), 3),
    "QLinearWhere": _Form("Where", (1, 4), 7, plain=(0,)),
}
_CONCAT = "QLinearConcat"
_BORDERS = ("QuantizeLinear", "DequantizeLinear")
_MOVES = ("Flatten", "Identity", "Pad", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
"""Their integers need no scales; the output has the input's."""
_BETWEEN = (
    "Concat",
    "DepthToSpace",
    "Expand",
    "Gather",
    "MaxPool",
    "Resize",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Tile",
)
"""These get the scales of what they read around them."""
_DYNAMIC = ("DynamicQuantizeLinear", "DynamicQuantizeLSTM", "DynamicQuantizeMatMul")


def with_qdq(proto: Any) -> Any:
    """The model with QDQ in place of quantized operators; itself if it has none.

    Raises ModelError, naming the node, for dynamic quantization and scales that are computed.
    """
    kinds = {node.op_type for node in proto.graph.node}
    foreign = any(n.op_type in _BORDERS and n.domain == MICROSOFT for n in proto.graph.node)
    if not (foreign or kinds & {*_FORMS, *PRODUCTS, *_DYNAMIC, _CONCAT}):
        return proto
    writer = QdqWriter(proto)
    names = _names_of_scales(list(proto.graph.node))
    done: set[str] = set()
    for node in proto.graph.node:
        if done & set(node.output):
            continue
        kind = node.op_type
        if kind in _DYNAMIC:
            raise ModelError(
                f"{where(node)}: its scales depend on each input; static quantization works, "
                "e.g. `vq-cortexm quantize` of the float model"
            )
        if kind in _FORMS:
            _write_quantized(writer, node, _FORMS[kind])
        elif kind == _CONCAT:
            fields = [_real(writer, node, at) for at in range(2, len(node.input), 3)]
            joined = writer.target.node("Concat", fields, "joined", **attributes(node))
            _quantize(writer, node, 0, joined)
        elif kind in PRODUCTS:
            done |= write_product(writer, node, _scale_of(writer, node, names))
        elif kind in _BETWEEN and (scale := _scale_of(writer, node, names)) is not None:
            _write_between(writer, node, scale)
        else:
            writer.keep(node)
            if kind in _BORDERS:
                writer.target.nodes[-1] = type(node).FromString(node.SerializeToString())
                writer.target.nodes[-1].domain = ""
    return writer.model()


# -------------------------------------------------------------------- scales of integer tensors


def _names_of_scales(nodes: list[Any]) -> dict[str, tuple[str, str]]:
    """By tensor the names of its scale and zero point: as operators say them, then through those
    that keep them, in both directions."""
    known: dict[str, tuple[str, str]] = {}
    for node in nodes:
        kind, names = node.op_type, list(node.input)
        form = _FORMS.get(kind)
        reads: Sequence[int] = form.values if form else (0,) if kind == _BORDERS[1] else ()
        if kind == _CONCAT:
            reads = range(2, len(names), 3)
        gives = form.output if form else {_CONCAT: 0, _BORDERS[0]: 1}.get(kind)
        said = [(names[at], names[at + 1 : at + 3]) for at in reads]
        if gives is not None:
            said.append((node.output[0], names[gives : gives + 2]))
        for name, scale in said:
            if len(scale) == 2 and all(scale):
                known.setdefault(name, (scale[0], scale[1]))
    for node in [*nodes, *reversed(nodes)]:
        if node.op_type in (*_MOVES, *_BETWEEN):
            both = [*(node.input if node.op_type == "Concat" else node.input[:1]), *node.output]
            found = next((known[name] for name in both if name in known), None)
            known |= {name: found for name in both if found and name not in known}
    return known


def _scale_of(writer: QdqWriter, node: Any, names: dict[str, tuple[str, str]]) -> Scale | None:
    """The scale and zero point of what a node reads first; None where nothing says them."""
    if node.input[0] not in names:
        return None
    scale, zero = (writer.constant(node, name) for name in names[node.input[0]])
    return scale, zero


# -------------------------------------------------------------------- kinds of nodes


def _write_quantized(writer: QdqWriter, node: Any, form: _Form) -> None:
    if attributes(node).get("channels_last"):
        raise ModelError(f"{where(node)}: channels_last; a file that is not optimized for it works")
    options = _OPTIONS.get(node.op_type, _as_they_are)(node, writer.opset)
    inputs = [node.input[at] for at in form.plain]
    inputs.append(_real(writer, node, form.values[0]))
    if len(form.values) > 1:
        inputs.append(_real(writer, node, form.values[1], options))
    if form.bias is not None and len(node.input) > form.bias and node.input[form.bias]:
        x, w = (writer.constant(node, node.input[at + 1]) for at in form.values)
        scale = x.reshape(-1)[0] * w.reshape(-1) * np.float32(options.factor)
        zero = np.zeros(scale.shape, np.int32)
        inputs.append(writer.dequantize(node.input[form.bias], scale, zero))
    inputs += [writer.target.constant(np.asarray(v, np.int64), "given") for v in options.inputs]
    values = {**attributes(node), "channels_last": None, **options.attributes}
    values = {name: value for name, value in values.items() if value is not None}
    if len(node.input) <= form.output or not node.input[form.output]:
        # of these, QGemm alone may give real numbers
        writer.target.node(form.operator, inputs, "real", node.output[0], **values)
    else:
        real = writer.target.node(form.operator, inputs, "real", **values)
        _quantize(writer, node, form.output, real)


def _write_between(writer: QdqWriter, node: Any, scale: Scale) -> None:
    """The node on real numbers; what it reads behind its values stays."""
    count = len(node.input) if node.op_type == "Concat" else 1
    reals = [writer.dequantize(name, *scale) for name in node.input[:count]]
    copied = type(node).FromString(node.SerializeToString())
    copied.input[:count] = reals
    copied.output[:] = [writer.target.fresh("real") for _ in node.output]
    writer.keep(copied)
    for name, real in zip(node.output, copied.output, strict=True):
        writer.quantize(real, *scale, name)


def _real(writer: QdqWriter, node: Any, at: int, options: _Options | None = None) -> str:
    """Input `at` as real numbers, by the scale and zero point behind it."""
    scale, zero = (writer.constant(node, node.input[at + i]) for i in (1, 2))
    options = options or _Options({})
    factor = np.float32(options.factor)
    return writer.dequantize(node.input[at], scale * factor, zero, options.axis)


def _quantize(writer: QdqWriter, node: Any, at: int, real: str) -> None:
    """`real` as the node's output, by the scale `at` and the zero point behind it."""
    scale, zero = (writer.constant(node, node.input[at + i]) for i in (0, 1))
    writer.quantize(real, scale, zero, node.output[0])


# -------------------------------------------------------------------- attributes


def _as_they_are(_node: Any, _opset: int) -> _Options:
    return _Options({})


def _gemm(node: Any, _opset: int) -> _Options:
    """alpha goes into the weights' scale, so that integers remain."""
    given = attributes(node)
    axis = 0 if given.get("transB") else 1
    return _Options({"alpha": None}, axis=axis, factor=float(given.get("alpha", 1.0)))


def _matmul(_node: Any, _opset: int) -> _Options:
    return _Options({}, axis=1)


def _softmax(node: Any, opset: int) -> _Options:
    """Before version 13 a softmax is over all axes from its own on."""
    given = attributes(node)
    axis, meant = int(given.get("axis", -1)), int(given.get("opset", 13))
    if axis != -1 and (meant < 13) != (opset < 13):
        raise ModelError(
            f"{where(node)}: a softmax of version {meant} in opset {opset}; axis -1 works"
        )
    return _Options({"opset": None, "axis": axis})


def _mean(node: Any, opset: int) -> _Options:
    """Since version 18 the axes are an input."""
    axes = attributes(node).get("axes")
    return _Options({"axes": None}, (axes,)) if axes and opset >= 18 else _Options({})


_OPTIONS: dict[str, Callable[[Any, int], _Options]] = {
    "QGemm": _gemm,
    "QLinearMatMul": _matmul,
    "QLinearReduceMean": _mean,
    "QLinearSoftmax": _softmax,
}
