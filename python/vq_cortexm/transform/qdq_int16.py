"""The roundings of operators on int16, where those of TensorFlow Lite depend on more than a name.

Its kernels of int16 activations are integer ones, in LiteRT too:

| operator | `double`: TFLite Micro | `float`: LiteRT |
| --- | --- | --- |
| conv2d, depthwise_conv2d | `reduced`, with int32 biases `double` | the same |
| dense | the same | `single` |
| softmax | `double` | `float` |
| all others | `double` | `double` |

A product without biases counts as one with int64 biases. LiteRT's products with int32 biases, and
its dense layers without any, round as a library does that differs from processor to processor;
`single` takes their place, which is within one step.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..compat import Expr, dtype_of, op_name
from ..errors import ModelError
from ..op.registry import attributes, make_call
from ..op.rounding import REDUCED, Rounding

_CONVOLUTIONS = ("vq.conv2d", "vq.depthwise_conv2d")
_PRODUCTS = (*_CONVOLUTIONS, "vq.dense")
_ALIKE = ("vq.add", "vq.mul")
"""Operators whose tensors are all int16 or none is."""


def with_int16_rounding(call: Expr, layer: str) -> Expr:
    """A `vq.*` call with the rounding that its int16 tensors ask for; any other as it is."""
    attrs = attributes(call)
    tensors = 1 if op_name(call) in _PRODUCTS else len(call.args)
    dtypes = [*map(dtype_of, call.args[:tensors]), getattr(attrs, "y_dtype", "")]
    if "int16" not in dtypes or not hasattr(attrs, "rounding"):
        return call
    if op_name(call) in _ALIKE and set(dtypes) != {"int16"}:
        raise ModelError(
            f"layer {layer}: {op_name(call).removeprefix('vq.')} of {', '.join(dtypes)} tensors;"
            " all int16 or none of them works"
        )
    rounding = _rounding(call, attrs, dtypes[0])
    return make_call(op_name(call), list(call.args), replace(attrs, rounding=rounding))


def _rounding(call: Expr, attrs: Any, x_dtype: str) -> str:
    given: Rounding = attrs.rounding
    name = op_name(call)
    unlike = name in _PRODUCTS and x_dtype != "int16"
    if given == "single" or unlike or name == "vq.softmax":
        return given
    if name not in _PRODUCTS:
        return "double"
    wide = dtype_of(call.args[2]) == "int64"
    if given == "float" and not (wide and name in _CONVOLUTIONS):
        return "single"
    return REDUCED if wide else "double"
