"""`vq.resize2d`: where each row and column comes from is a table."""

from __future__ import annotations

import numpy as np

from ..compat import Expr
from ..op.resize2d import Resize2dAttrs, nearest_indices, neighbours
from .layer import Kernel, Layer
from .tir import FunctionBuilder, bind, copy, int32, loop, store, widen


def resize2d(layer: Layer) -> Kernel:
    """Kernel of a `vq.resize2d` layer; constants: the indices, and weights with `linear`."""
    attrs: Resize2dAttrs = layer.attrs
    return _nearest(layer, attrs) if attrs.method == "nearest" else _linear(layer, attrs)


def _nearest(layer: Layer, attrs: Resize2dAttrs) -> Kernel:
    (batch, height, width, channels), (_, rows, columns, _) = _shapes(layer)
    tables = tuple(
        nearest_indices(given, wanted, attrs).astype(_index_dtype(given))
        for given, wanted in ((height, rows), (width, columns))
    )
    with FunctionBuilder("resize2d") as builder:
        x = builder.parameter("x", layer.inputs[0].shape, layer.inputs[0].dtype)
        from_row, from_column = (
            builder.parameter(name, table.shape, str(table.dtype))
            for name, table in zip(("from_row", "from_column"), tables, strict=True)
        )
        y = builder.parameter("y", layer.output.shape, layer.output.dtype)
        with loop("n", batch) as n, loop("oh", rows) as oh:
            ih = bind("ih", widen(from_row[oh]))
            with loop("ow", columns) as ow:
                iw = bind("iw", widen(from_column[ow]))
                copy(y, (n, oh, ow, 0), x, (n, ih, iw, 0), channels)
    return Kernel(builder.function, tables)


def _linear(layer: Layer, attrs: Resize2dAttrs) -> Kernel:
    (batch, height, width, channels), (_, rows, columns, _) = _shapes(layer)
    down, right = neighbours(height, rows, attrs), neighbours(width, columns, attrs)
    tables = tuple(
        table.astype(dtype)
        for one, given in ((down, height), (right, width))
        for table, dtype in (
            (one.low, _index_dtype(given)),
            (one.high, _index_dtype(given)),
            (one.weight, np.int16),
        )
    )
    one, bits = 1 << down.bits, 2 * down.bits
    with FunctionBuilder("resize2d") as builder:
        x = builder.parameter("x", layer.inputs[0].shape, layer.inputs[0].dtype)
        names = ("top", "bottom", "below", "left", "right", "beside")
        given = [
            builder.parameter(name, table.shape, str(table.dtype))
            for name, table in zip(names, tables, strict=True)
        ]
        y = builder.parameter("y", layer.output.shape, layer.output.dtype)
        with loop("n", batch) as n, loop("oh", rows) as oh:
            top, bottom, below = (bind(str(b.name), widen(b[oh])) for b in given[:3])
            with loop("ow", columns) as ow:
                left, beyond, beside = (bind(str(b.name), widen(b[ow])) for b in given[3:])
                with loop("c", channels) as c:
                    ends = [
                        bind(
                            f"row{i}",
                            widen(x[n, row, left, c]) * (one - beside)
                            + widen(x[n, row, beyond, c]) * beside,
                        )
                        for i, row in enumerate((top, bottom))
                    ]
                    total = bind("total", ends[0] * (one - below) + ends[1] * below)
                    store(y, (n, oh, ow, c), _rounded(total, bits, attrs.rounding))
    return Kernel(builder.function, tables)


def _rounded(total: Expr, bits: int, rounding: str) -> Expr:
    """total / 2**bits to nearest, as the operator's rounding asks for."""
    if rounding == "double":
        total = total + (total >> 31)
    return (total + int32(1 << (bits - 1))) >> bits


def _index_dtype(count: int) -> str:
    return "uint8" if count <= 256 else "uint16"


def _shapes(layer: Layer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return layer.inputs[0].shape, layer.output.shape
