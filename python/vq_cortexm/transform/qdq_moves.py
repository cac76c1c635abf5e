"""Rules of the QDQ fold for operators that only move values, and rescale them where they must.

`MOVES` act on integers and on real numbers alike, as a quantization of a whole tensor commutes with
them: the fold takes them wherever they stand between dequantize and quantize.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from ..compat import (
    Expr,
    call_op,
    constant,
    constant_value,
    is_constant,
    shape_of,
)
from ..errors import ModelError
from ..op.quantization import dtype_range
from ..op.requantize import RequantizeAttrs
from ..op.requantize import reference as requantized
from .qdq_context import (
    Folder,
    LayerContext,
    QuantParams,
    input_attrs,
    output_attrs,
    read_quant_params,
)

_MOST_PARTS = 64
"""Of a tensor that is put together from slices of another."""

Move = Callable[[Folder, Expr, Expr, Callable[[float], int]], Expr]
"""From the folder, the float or integer call, its folded input, and what turns a number of the
operator into the tensor's own integers: the call of the last `vq.*` operator that it becomes."""


def _requantize(folder: Folder, call: Expr, context: LayerContext) -> Expr:
    """dequantize → (activation) → quantize; nothing at all where both sides agree."""
    x, x_params = folder.integer(call.args[0]), read_quant_params(call, context.name)
    return rescaled(folder, x, x_params, context)


def rescaled(folder: Folder, x: Expr, params: QuantParams, context: LayerContext) -> Expr:
    """`x` with the layer's own parameters and clamp; nothing at all where it has them."""
    if params == context.y and context.changes_nothing:
        return x
    values = {**input_attrs(params), **output_attrs(context)}
    return folder.emit(call_op("vq.requantize", [x], values), context.name)


def _reshape(_folder: Folder, call: Expr, x: Expr, _fill: Callable[[float], int]) -> Expr:
    return call_op("vq.reshape", [x], {"shape": list(shape_of(call))})


def _transpose(_folder: Folder, call: Expr, x: Expr, _fill: Callable[[float], int]) -> Expr:
    rank = len(shape_of(x))
    axes = call.attrs.axes
    order = [int(a) % rank for a in axes] if axes is not None else list(range(rank))[::-1]
    return call_op("vq.transpose", [x], {"axes": order})


def _strided_slice(_folder: Folder, call: Expr, x: Expr, _fill: Callable[[float], int]) -> Expr:
    shape, size = shape_of(x), shape_of(call)
    begin, strides = [0] * len(shape), [1] * len(shape)
    axes, first, last = (_integers(arg) for arg in call.args[1:4])
    steps = _integers(call.args[4]) if len(call.args) > 4 else [1] * len(axes)
    for given, start, end, step in zip(axes, first, last, steps, strict=True):
        axis = given % len(shape)
        begin[axis], _, strides[axis] = slice(start, end, step).indices(shape[axis])
    return _slice(x, begin, strides, size)


def _slice(x: Expr, begin: list[int], strides: list[int], size: Iterable[int]) -> Expr:
    return call_op("vq.slice", [x], {"begin": begin, "strides": strides, "size": list(size)})


def _take(folder: Folder, call: Expr, x: Expr, _fill: Callable[[float], int]) -> Expr:
    """Constant indices: slices of the runs of equal steps, one after another."""
    indices = folder.resolve(call.args[1])
    if not is_constant(indices):
        raise ModelError("take: its indices must be constants; slice and split work too")
    shape = shape_of(x)
    axis = int(call.attrs.axis) % len(shape) if call.attrs.axis is not None else 0
    wanted = constant_value(indices).astype(np.int64).reshape(-1)
    if call.attrs.axis is None and len(shape) != 1:
        raise ModelError("take: of a flattened tensor; along an axis works")
    if wanted.size == 0 or wanted.min() < -shape[axis] or wanted.max() >= shape[axis]:
        raise ModelError(f"take: indices outside of an axis of {shape[axis]}")
    runs = list(_runs([int(i) % shape[axis] for i in wanted]))
    if len(runs) > _MOST_PARTS:
        raise ModelError(f"take: {len(runs)} slices; at most {_MOST_PARTS} work")
    parts = []
    for start, step, count in runs:
        begin, strides, size = [0] * len(shape), [1] * len(shape), list(shape)
        begin[axis], strides[axis], size[axis] = start, step, count
        parts.append(_slice(x, begin, strides, size))
    joined = _joined(folder, parts, axis)
    return call_op("vq.reshape", [folder.emit(joined)], {"shape": list(shape_of(call))})


def _runs(indices: list[int]) -> Iterable[tuple[int, int, int]]:
    """(first, step, count) of the longest runs of equal steps that are not 0."""
    while indices:
        step = indices[1] - indices[0] if len(indices) > 1 else 1
        count = 1
        while step and count < len(indices) and indices[count] - indices[count - 1] == step:
            count += 1
        yield indices[0], step or 1, count
        indices = indices[count:]


def _joined(folder: Folder, parts: list[Expr], axis: int) -> Expr:
    """Calls as one tensor, not yet bound."""
    if len(parts) == 1:
        return parts[0]
    bound = [folder.emit(part) for part in parts]
    return call_op("vq.concat", bound, {"axis": axis, "order": []})


def _tile(folder: Folder, call: Expr, x: Expr, _fill: Callable[[float], int]) -> Expr:
    repeats = [int(n) for n in call.attrs.repeats]
    rank = max(len(repeats), len(shape_of(x)))
    shape = [*[1] * (rank - len(shape_of(x))), *shape_of(x)]
    return _repeated(folder, x, shape, [*[1] * (rank - len(repeats)), *repeats])


def _repeated(folder: Folder, x: Expr, shape: list[int], repeats: list[int]) -> Expr:
    """`x`, taken as of `shape`, as often along each axis."""
    if sum(repeats) - len(repeats) > _MOST_PARTS:
        raise ModelError(f"tile: {repeats} repeats; at most {_MOST_PARTS} work")
    result = call_op("vq.reshape", [x], {"shape": shape})
    for axis, count in enumerate(repeats):
        if count > 1:
            parts = [folder.emit(result)] * count
            result = call_op("vq.concat", parts, {"axis": axis, "order": []})
    return result


def _broadcast(folder: Folder, call: Expr, x: Expr, _fill: Callable[[float], int]) -> Expr:
    to = shape_of(call)
    shape = [1] * (len(to) - len(shape_of(x))) + list(shape_of(x))
    return _repeated(folder, x, shape, [n // m for n, m in zip(to, shape, strict=True)])


def fill_of(dtype: str, where: str) -> Callable[[float], int]:
    """What an integer operator writes for a number of its own, which must be one of dtype."""
    lowest, highest = dtype_range(dtype)

    def fill(value: float) -> int:
        if not lowest <= value <= highest:
            raise ModelError(
                f"{where}: fills with {value:g}, which is not one of {dtype}: {lowest} to {highest}"
                " work"
            )
        return int(value)

    return fill


_PAD_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}


def _pad(_folder: Folder, call: Expr, x: Expr, fill: Callable[[float], int]) -> Expr:
    mode = str(call.attrs.pad_mode)
    mode = _PAD_MODES.get(mode, mode)
    values = {
        "pad_width": [int(n) for n in call.attrs.pad_width],
        "pad_value": fill(float(call.attrs.pad_value)) if mode == "constant" else 0,
        "mode": mode,
    }
    return call_op("vq.pad", [x], values)


def _integers(values: Expr) -> list[int]:
    """Of a tuple of integers, as Relax has them for axes and ends."""
    return [int(v.value) for v in values.fields]


def _concat(folder: Folder, call: Expr, context: LayerContext) -> Expr:
    """Inputs of other parameters than the output's, or under an activation, are rescaled first;
    constants, quantized or not, at once."""
    fields = folder.resolve(call.args[0]).fields
    parts = [_part(folder, field, i, context) for i, field in enumerate(fields)]
    # constants are given last
    order = sorted(range(len(parts)), key=lambda i: is_constant(parts[i]))
    if is_constant(parts[order[0]]):
        raise ModelError(f"layer {context.name}: joins constants only; fold them in the model")
    places = [order.index(i) for i in range(len(parts))]
    values = {
        "axis": int(call.attrs.axis) % len(shape_of(call)),
        "order": places if is_constant(parts[order[-1]]) else [],
    }
    return folder.emit(call_op("vq.concat", [parts[i] for i in order], values), context.name)


def _part(folder: Folder, field: Expr, number: int, context: LayerContext) -> Expr:
    real = folder.resolve(field)
    if is_constant(real):
        levels = np.rint(constant_value(real).astype(np.float64) / np.float32(context.y.scale))
        lowest, highest = dtype_range(context.y.dtype)
        levels = np.clip(levels + context.y.zero_point, lowest, highest)
        clamped = np.clip(levels, context.y_min, context.y_max)
        return constant(clamped.astype(context.y.dtype))
    x, params = folder.dequantized(field, context)
    if params == context.y and context.changes_nothing:
        return x
    values = {**input_attrs(params), **output_attrs(context)}
    if is_constant(x):
        return constant(requantized(constant_value(x), RequantizeAttrs(**values)))
    return folder.emit(call_op("vq.requantize", [x], values), f"{context.name}_{number}")


MOVES: dict[str, Move] = {
    "relax.broadcast_to": _broadcast,
    "relax.expand_dims": _reshape,
    "relax.flatten": _reshape,
    "relax.nn.pad": _pad,
    "relax.permute_dims": _transpose,
    "relax.reshape": _reshape,
    "relax.squeeze": _reshape,
    "relax.strided_slice": _strided_slice,
    "relax.take": _take,
    "relax.tile": _tile,
}
"""Operators of one tensor that move values only; `nn.pad` adds some."""

MOVE_RULES: dict[str, Callable[..., Expr]] = {
    "relax.concat": _concat,
    "relax.dequantize": _requantize,
}
"""Float operators that a `quantize` may end."""
