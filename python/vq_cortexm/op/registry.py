"""The `vq.*` operators as Relax operators: registration, attributes, evaluation.

Each operator's meaning lives in its own module here; this one only makes them known to TVM and
turns a Relax call into the arguments of its reference.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ..compat import Expr, call_op, dtype_of, op_name, register_relax_op, shape_of, tensor_type
from . import (
    add,
    avg_pool2d,
    bc_net,
    binary_conv2d,
    binary_max_pool2d,
    binary_pack,
    binary_unpack,
    concat,
    conv2d,
    conv2d_transpose,
    dense,
    depthwise_conv2d,
    dequantize,
    escalate,
    extremum,
    float_call,
    lookup,
    max_pool2d,
    mul,
    pad,
    prelu,
    quantize,
    requantize,
    reshape,
    resize2d,
    s_curve,
    sign_conv2d,
    slice,
    softmax,
    transpose,
)


@dataclass(frozen=True)
class OpSpec:
    """One operator: its attribute record, arity, shape rule and NumPy reference.

    `reference(*inputs, attrs)` takes as many arrays as the operator has inputs;
    `output_shape(*input_shapes, attrs)` as many shapes; `macs(*input_shapes, attrs)` counts
    multiply-accumulates.
    """

    attrs: Any
    num_inputs: int
    output_shape: Callable[..., tuple[int, ...]]
    reference: Callable[..., NDArray[Any]]
    macs: Callable[..., int] = lambda *_: 0


ANY_NUMBER = -1
"""Of inputs, as TVM counts them."""

OPS: dict[str, OpSpec] = {
    "vq.conv2d": OpSpec(
        conv2d.Conv2dAttrs,
        4,
        lambda x, w, _b, _s, attrs: conv2d.output_shape(x, w, attrs),
        conv2d.reference,
        lambda x, w, _b, _s, attrs: conv2d.macs(x, w, attrs),
    ),
    "vq.depthwise_conv2d": OpSpec(
        depthwise_conv2d.DepthwiseConv2dAttrs,
        4,
        lambda x, w, _b, _s, attrs: depthwise_conv2d.output_shape(x, w, attrs),
        depthwise_conv2d.reference,
        lambda x, w, _b, _s, attrs: depthwise_conv2d.macs(x, w, attrs),
    ),
    "vq.conv2d_transpose": OpSpec(
        conv2d_transpose.Conv2dTransposeAttrs,
        4,
        lambda x, w, _b, _s, attrs: conv2d_transpose.output_shape(x, w, attrs),
        conv2d_transpose.reference,
        lambda x, w, _b, _s, attrs: conv2d_transpose.macs(x, w, attrs),
    ),
    "vq.dense": OpSpec(
        dense.DenseAttrs,
        4,
        lambda x, w, _b, _s, attrs: dense.output_shape(x, w, attrs),
        dense.reference,
        lambda x, w, _b, _s, attrs: dense.macs(x, w, attrs),
    ),
    "vq.add": OpSpec(add.AddAttrs, 2, add.output_shape, add.reference),
    "vq.mul": OpSpec(mul.MulAttrs, 2, mul.output_shape, mul.reference),
    "vq.extremum": OpSpec(extremum.ExtremumAttrs, 2, extremum.output_shape, extremum.reference),
    "vq.prelu": OpSpec(prelu.PreluAttrs, 2, prelu.output_shape, prelu.reference),
    "vq.lookup": OpSpec(lookup.LookupAttrs, 2, lookup.output_shape, lookup.reference),
    "vq.avg_pool2d": OpSpec(
        avg_pool2d.AvgPool2dAttrs, 1, avg_pool2d.output_shape, avg_pool2d.reference
    ),
    "vq.max_pool2d": OpSpec(
        max_pool2d.MaxPool2dAttrs, 1, max_pool2d.output_shape, max_pool2d.reference
    ),
    "vq.softmax": OpSpec(softmax.SoftmaxAttrs, 1, softmax.output_shape, softmax.reference),
    "vq.requantize": OpSpec(
        requantize.RequantizeAttrs, 1, requantize.output_shape, requantize.reference
    ),
    "vq.quantize": OpSpec(quantize.QuantizeAttrs, 1, quantize.output_shape, quantize.reference),
    "vq.dequantize": OpSpec(
        dequantize.DequantizeAttrs, 1, dequantize.output_shape, dequantize.reference
    ),
    "vq.float_call": OpSpec(
        float_call.FloatCallAttrs, ANY_NUMBER, float_call.output_shape, float_call.reference
    ),
    "vq.reshape": OpSpec(reshape.ReshapeAttrs, 1, reshape.output_shape, reshape.reference),
    "vq.transpose": OpSpec(
        transpose.TransposeAttrs, 1, transpose.output_shape, transpose.reference
    ),
    "vq.resize2d": OpSpec(resize2d.Resize2dAttrs, 1, resize2d.output_shape, resize2d.reference),
    "vq.slice": OpSpec(slice.SliceAttrs, 1, slice.output_shape, slice.reference),
    "vq.pad": OpSpec(pad.PadAttrs, 1, pad.output_shape, pad.reference),
    "vq.binary_pack": OpSpec(
        binary_pack.BinaryPackAttrs, 1, binary_pack.output_shape, binary_pack.reference
    ),
    "vq.binary_unpack": OpSpec(
        binary_unpack.BinaryUnpackAttrs, 1, binary_unpack.output_shape, binary_unpack.reference
    ),
    "vq.binary_max_pool2d": OpSpec(
        binary_max_pool2d.BinaryMaxPool2dAttrs,
        1,
        binary_max_pool2d.output_shape,
        binary_max_pool2d.reference,
    ),
    "vq.binary_conv2d": OpSpec(
        binary_conv2d.BinaryConv2dAttrs,
        ANY_NUMBER,
        lambda x, w, *rest: binary_conv2d.output_shape(x, w, rest[-1]),
        binary_conv2d.reference,
        lambda x, w, *rest: binary_conv2d.macs(x, w, rest[-1]),
    ),
    "vq.sign_conv2d": OpSpec(
        sign_conv2d.SignConv2dAttrs,
        3,
        lambda x, w, _t, attrs: sign_conv2d.output_shape(x, w, attrs),
        sign_conv2d.reference,
        lambda x, w, _t, attrs: sign_conv2d.macs(x, w, attrs),
    ),
    "vq.s_curve": OpSpec(s_curve.SCurveAttrs, 1, s_curve.output_shape, s_curve.reference),
    "vq.concat": OpSpec(concat.ConcatAttrs, ANY_NUMBER, concat.output_shape, concat.reference),
    "vq.escalate": OpSpec(escalate.EscalateAttrs, 2, escalate.output_shape, escalate.reference),
    # two of its inputs are functions: a shape is then of what they return, an array one of NumPy
    "vq.bc_net": OpSpec(bc_net.BcNetAttrs, 3, bc_net.output_shape, bc_net.reference),
}


def attributes(call: Expr) -> Any:
    """The attribute record of a `vq.*` call."""
    attrs_type = OPS[op_name(call)].attrs
    values = {str(key): _plain(value) for key, value in dict(call.attrs).items()}
    return attrs_type(**values)


def make_call(name: str, args: list[Expr], attrs: Any) -> Expr:
    """A `vq.*` call with the record `attrs`."""
    values = {
        field.name: list(value) if isinstance(value := getattr(attrs, field.name), tuple) else value
        for field in dataclasses.fields(attrs)
    }
    return call_op(name, args, values)


def evaluate(call: Expr, inputs: list[NDArray[Any]]) -> NDArray[Any]:
    """The reference result of a `vq.*` call on NumPy arrays."""
    return OPS[op_name(call)].reference(*inputs, attributes(call))


def count_macs(call: Expr) -> int:
    """Multiply-accumulates of a `vq.*` call."""
    return int(OPS[op_name(call)].macs(*map(shape_of, call.args), attributes(call)))


def _infer(call: Expr) -> Any:
    attrs = attributes(call)
    shape = OPS[op_name(call)].output_shape(*map(shape_of, call.args), attrs)
    dtype = getattr(attrs, "y_dtype", None) or dtype_of(call.args[0])
    return tensor_type(shape, dtype)


def _plain(value: Any) -> Any:
    if isinstance(value, (bool, int, float, str)):
        return str(value) if isinstance(value, str) else value
    if hasattr(value, "value"):
        return value.value
    return tuple(int(n) for n in value)


def register() -> None:
    """Makes every operator known to TVM; called once on import of the package."""
    for name, spec in OPS.items():
        register_relax_op(name, f"quantized {name.removeprefix('vq.')}", spec.num_inputs, _infer)


register()

__all__ = ["OPS", "OpSpec", "attributes", "count_macs", "evaluate", "make_call"]
