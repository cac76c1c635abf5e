"""Rules of the QDQ fold for pooling, and for means, sums and extremes over any axes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..compat import (
    Expr,
    call_op,
    constant,
    dtype_of,
    op_name,
    shape_of,
)
from ..errors import ModelError
from ..op.quantization import dtype_range
from .qdq_context import (
    Folder,
    LayerContext,
    QuantParams,
    input_attrs,
    output_attrs,
)
from .qdq_layouts import as_picture
from .qdq_moves import rescaled


@dataclass(frozen=True)
class _Pool:
    """What is made of each window (average, mean, sum, max or min), and where windows lie: rows,
    then columns; padding is (top, left, bottom, right)."""

    kind: str
    size: tuple[int, ...]
    strides: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0)
    dilation: tuple[int, ...] = (1, 1)


def _pool2d(folder: Folder, call: Expr, context: LayerContext) -> Expr:
    x, params = folder.dequantized(call.args[0], context)
    layout = str(call.attrs.layout)
    x, back = as_picture(folder, x, layout, context.name)
    sizes = dict(zip(layout, shape_of(call), strict=True))
    extent = (sizes.get("H", 1), sizes["W"])
    pool = _read_pool(call)
    if int(getattr(call.attrs, "count_include_pad", False)):
        x, pool = _with_border(folder, x, params, pool, context)
    pool = _to_extent(pool, shape_of(x)[1:3], extent, context)
    y = _emit_pool(folder, x, params, pool, context)
    return back(folder, y)


def _read_pool(call: Expr) -> _Pool:
    """The windows of a call, one-dimensional ones as of one row."""
    attrs = call.attrs
    fields = ("pool_size", "strides", "padding", "dilation")
    size, strides, padding, dilation = (tuple(int(n) for n in getattr(attrs, f)) for f in fields)
    kind = "max" if "max_pool" in op_name(call) else "average"
    if len(size) == 1:
        before, after = padding
        return _Pool(kind, (1, *size), (1, *strides), (0, before, 0, after), (1, *dilation))
    return _Pool(kind, size, strides, padding, dilation)


def _with_border(
    folder: Folder, x: Expr, params: QuantParams, pool: _Pool, context: LayerContext
) -> tuple[Expr, _Pool]:
    """An average that counts its padding, as one behind a border of zeros."""
    if not any(pool.padding):
        return x, pool
    top, left, bottom, right = pool.padding
    widths = [0, 0, top, bottom, left, right, 0, 0]
    values = {"pad_width": widths, "pad_value": params.zero_point, "mode": "constant"}
    padded = folder.emit(call_op("vq.pad", [x], values), f"{context.name}_pad")
    return padded, replace(pool, padding=(0, 0, 0, 0))


def _to_extent(
    pool: _Pool, given: tuple[int, ...], extent: tuple[int, ...], context: LayerContext
) -> _Pool:
    """The pool with as much padding at the bottom and right as an output of `extent` takes, which
    is more than the file's where sizes are rounded up."""
    before, after = pool.padding[:2], []
    for axis in range(2):
        first = (extent[axis] - 1) * pool.strides[axis] - before[axis]
        if first >= given[axis]:
            raise ModelError(f"layer {context.name}: pools windows that lie in the padding alone")
        last = first + (pool.size[axis] - 1) * pool.dilation[axis]
        after.append(max(pool.padding[2 + axis], last + 1 - given[axis]))
    return replace(pool, padding=(*before, *after))


def _emit_pool(
    folder: Folder, x: Expr, params: QuantParams, pool: _Pool, context: LayerContext
) -> Expr:
    """Windows over NHWC `x`; an extreme keeps its input's parameters, and a rescaling follows."""
    values: dict[str, Any] = {
        "pool_size": list(pool.size),
        "strides": list(pool.strides),
        "padding": list(pool.padding),
        **input_attrs(params),
        **output_attrs(context),
    }
    if pool.kind not in ("max", "min"):
        if pool.dilation != (1, 1):
            raise ModelError(
                f"layer {context.name}: an average of dilated windows; a maximum works"
            )
        if params.dtype == "int16" and math.prod(pool.size) >= 1 << 16:
            # their sum could leave 32 bits
            raise ModelError(
                f"layer {context.name}: a mean of {math.prod(pool.size)} int16; 65535 work"
            )
        values |= {"mean": pool.kind != "average", "total": pool.kind == "sum"}
        return folder.emit(call_op("vq.avg_pool2d", [x], values), context.name)
    values["dilation"] = list(pool.dilation)
    if pool.kind == "max" and params == context.y:
        return folder.emit(call_op("vq.max_pool2d", [x], values), context.name)
    lowest, highest = dtype_range(params.dtype)
    values |= {
        "y_scale": params.scale,
        "y_zero_point": params.zero_point,
        "y_min": lowest,
        "y_max": highest,
        "y_dtype": params.dtype,
    }
    x = x if pool.kind == "max" else _reversed(folder, x, context)
    y = folder.emit(call_op("vq.max_pool2d", [x], values), f"{context.name}_pool")
    y = y if pool.kind == "max" else _reversed(folder, y, context)
    return rescaled(folder, y, params, context)


def _reversed(folder: Folder, x: Expr, context: LayerContext) -> Expr:
    """The largest integer for the smallest and so on, so that a minimum is a maximum."""
    dtype = dtype_of(x)
    if dtype not in ("int8", "uint8"):
        raise ModelError(f"layer {context.name}: a minimum over {dtype}; int8 and uint8 work")
    lowest, highest = dtype_range(dtype)
    table = np.arange(highest, lowest - 1, -1).astype(dtype)
    call = call_op("vq.lookup", [x, constant(table)], {"y_dtype": dtype})
    return folder.emit(call, f"{context.name}_reverse")


def _reduce(folder: Folder, call: Expr, context: LayerContext) -> Expr:
    """Over any axes, as a pool whose only window in each plane is the plane."""
    x, params = folder.dequantized(call.args[0], context)
    kind = op_name(call).removeprefix("relax.")
    shape = shape_of(x)
    axes = range(len(shape)) if call.attrs.axis is None else call.attrs.axis
    reduced = sorted({int(a) % len(shape) for a in axes if shape[int(a)] > 1})
    if len(shape) == 4 and reduced and set(reduced) <= {1, 2}:
        size = tuple(shape[axis] if axis in reduced else 1 for axis in (1, 2))
    else:
        x = _as_planes(folder, x, reduced)
        size = (shape_of(x)[1], 1)
    y = _emit_pool(folder, x, params, _Pool(kind, size), context)
    return folder.emit(call_op("vq.reshape", [y], {"shape": list(shape_of(call))}))


def _as_planes(folder: Folder, x: Expr, reduced: list[int]) -> Expr:
    """`x` as (outer, elements that are reduced, 1, channels), the other axes in their order."""
    shape = shape_of(x)
    rank = len(shape)
    kept = [axis for axis in range(rank) if axis not in reduced]
    long = [axis for axis in range(rank) if shape[axis] > 1]
    first = long.index(reduced[0]) if reduced else 0
    neighbours = long[first : first + len(reduced)] == reduced
    # all rows and columns of channels first: the layer before has its channels last
    is_spatial = rank in (3, 4) and kept[:2] == [0, 1] and kept[2:] == []
    if not neighbours or is_spatial:
        order = [*kept[:-1], *reduced, *kept[-1:]]
        x = folder.emit(call_op("vq.transpose", [x], {"axes": order}))
        shape = tuple(shape[axis] for axis in order)
        reduced = list(range(len(kept) - 1, rank - 1)) if kept else list(range(rank))
    first, last = (reduced[0], reduced[-1] + 1) if reduced else (0, 0)
    planes = (shape[:first], shape[first:last], (1,), shape[last:])
    return folder.emit(call_op("vq.reshape", [x], {"shape": [math.prod(n) for n in planes]}))


POOL_RULES: dict[str, Callable[..., Expr]] = {
    "relax.max": _reduce,
    "relax.mean": _reduce,
    "relax.min": _reduce,
    "relax.nn.avg_pool1d": _pool2d,
    "relax.nn.avg_pool2d": _pool2d,
    "relax.nn.max_pool1d": _pool2d,
    "relax.nn.max_pool2d": _pool2d,
    "relax.sum": _reduce,
}
"""Rules of the QDQ fold for operators on windows and planes."""
