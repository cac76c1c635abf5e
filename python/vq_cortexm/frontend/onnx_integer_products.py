"""ONNX's MatMulInteger and ConvInteger, with the Cast and the product with constant scales that
follow them, as float operators on dequantized values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from .onnx_qdq import QdqWriter
from .qonnx_graph import attributes, where

PRODUCTS = {"MatMulInteger": ("MatMul", 1), "ConvInteger": ("Conv", 0)}
"""The float operator of each, and the axis of its weights that has scales of its own."""
Scale = tuple[NDArray[Any], NDArray[Any]]


def write_product(writer: QdqWriter, node: Any, x: Scale | None) -> set[str]:
    """Writes the product; `x` is the scale and zero point of what it reads, where they are known.
    Returns the outputs of the nodes behind it that are part of it.

    The weights' scale is what remains of the constant that the sum is multiplied with.
    """
    cast = writer.readers.get(node.output[0])
    multiply = writer.readers.get(cast.output[0]) if cast is not None else None
    if cast is None or cast.op_type != "Cast" or multiply is None or multiply.op_type != "Mul":
        raise ModelError(
            f"{where(node)}: its int32 result has no scale; a Cast to float and a Mul with a "
            "constant scale behind it work, or QLinearMatMul and QLinearConv"
        )
    factors = [name for name in multiply.input if name != cast.output[0]]
    factor = writer.constant(multiply, factors[0] if factors else multiply.input[0])
    x_scale = x[0] if x is not None else np.ones((), np.float32)
    operator, axis = PRODUCTS[node.op_type]
    w_scale = factor.reshape(-1) / x_scale.reshape(-1)[0]
    x_zero = _zero_point(writer, node, 0, x[1].dtype if x is not None else np.dtype(np.uint8))
    w_zero = _zero_point(writer, node, 1, writer.constant(node, node.input[1]).dtype)
    reals = [
        writer.dequantize(node.input[0], x_scale, x_zero),
        writer.dequantize(node.input[1], w_scale, np.broadcast_to(w_zero, w_scale.shape), axis),
    ]
    writer.target.node(operator, reals, "product", multiply.output[0], **attributes(node))
    return {cast.output[0], multiply.output[0]}


def _zero_point(writer: QdqWriter, node: Any, position: int, dtype: Any) -> NDArray[Any]:
    name = node.input[position + 2] if len(node.input) > position + 2 else ""
    return writer.constant(node, name) if name else np.zeros((), dtype)
