"""Relay's operators that move numbers, and its pools, which keep a tensor's scale."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

from tvm import relax

from ..compat import Expr, dtype_of, shape_of
from ..errors import ModelError
from ..op.avg_pool2d import AvgPool2dAttrs
from ..op.max_pool2d import MaxPool2dAttrs
from ..op.quantization import dtype_range
from .relay_graph import RelayCall
from .relay_products import scalar, sides, spread
from .relay_values import (
    NCHW_TO_NHWC,
    NHWC_TO_NCHW,
    ROUNDING,
    UNIT,
    Converter,
    Layer,
    Tensor,
    Value,
    Wide,
    where,
)

_MEAN = partial(AvgPool2dAttrs, truncate=True)
_ORDERS = {("NCHW", "NHWC"): NCHW_TO_NHWC, ("NHWC", "NCHW"): NHWC_TO_NCHW}


def _moved(make: Callable[[Converter, RelayCall, Expr], Expr]) -> Callable[..., Value]:
    """The converter of an operator on one tensor, also on one that was cast to int32."""

    def convert(converter: Converter, call: RelayCall) -> Value:
        value = converter.value(call, 0)
        x = converter.emitted(value.source if isinstance(value, Wide) else value, call)
        y = Tensor(converter.moved(x.expr, make(converter, call, x.expr)), x.scale)
        return Wide(y) if isinstance(value, Wide) else y

    return convert


def _reshape(_converter: Converter, call: RelayCall, x: Expr) -> Expr:
    """With Relay's marks: 0 keeps an axis, -1 is what is left; -2 to -4 are refused."""
    wanted, shape = call.attrs.integers("newshape") or (), shape_of(x)
    if call.attrs.integer("allowzero", 0) == 0:
        wanted = tuple(shape[i] if n == 0 and i < len(shape) else n for i, n in enumerate(wanted))
    if min(wanted, default=1) < -1 or wanted.count(-1) > 1 or 0 in wanted:
        raise ModelError(f"{where(call)}: newshape {wanted}; sizes with at most one -1 work")
    rest = math.prod(n for n in wanted if n > 0)
    size = math.prod(shape)
    filled = tuple(size // rest if n == -1 else n for n in wanted)
    if math.prod(filled) != size:
        raise ModelError(f"{where(call)}: {shape} to {wanted}: sizes differ")
    return relax.op.reshape(x, filled)


def _flatten(_converter: Converter, _call: RelayCall, x: Expr) -> Expr:
    shape = shape_of(x)
    return relax.op.reshape(x, (shape[0], math.prod(shape[1:])))


def _squeeze(_converter: Converter, call: RelayCall, x: Expr) -> Expr:
    axes = call.attrs.integers("axis")
    return relax.op.squeeze(x, None if axes is None else list(axes))


def _expand_dims(_converter: Converter, call: RelayCall, x: Expr) -> Expr:
    axis, rank = call.attrs.integer("axis"), len(shape_of(x))
    first = axis if axis >= 0 else axis + rank + 1
    shape = shape_of(x)
    ones = (1,) * call.attrs.integer("num_newaxis", 1)
    return relax.op.reshape(x, (*shape[:first], *ones, *shape[first:]))


def _transpose(_converter: Converter, call: RelayCall, x: Expr) -> Expr:
    axes = call.attrs.integers("axes")
    return relax.op.permute_dims(x, list(axes) if axes else None)


def _layout_transform(_converter: Converter, call: RelayCall, x: Expr) -> Expr:
    layouts = call.attrs.text("src_layout"), call.attrs.text("dst_layout")
    if layouts not in _ORDERS or len(shape_of(x)) != 4:
        raise ModelError(
            f"{where(call)}: from {layouts[0]} to {layouts[1]}; between NCHW and NHWC works"
        )
    return relax.op.permute_dims(x, list(_ORDERS[layouts]))


def _pad(converter: Converter, call: RelayCall, x: Expr) -> Expr:
    if (mode := call.attrs.text("pad_mode", "constant")) != "constant":
        raise ModelError(f"{where(call)}: of mode {mode}; constant works")
    widths = call.attrs.pairs("pad_width")
    if len(widths) != len(shape_of(x)) or any(len(pair) != 2 for pair in widths):
        raise ModelError(f"{where(call)}: its pad_width {widths} does not fit {shape_of(x)}")
    fill = scalar(converter, call, 1)
    return relax.op.nn.pad(x, [n for pair in widths for n in pair], pad_value=fill)


def _strided_slice(_converter: Converter, call: RelayCall, x: Expr) -> Expr:
    shape, attrs = shape_of(x), call.attrs
    begin, end = attrs.integers("begin"), attrs.integers("end")
    if begin is None or end is None:
        raise ModelError(f"{where(call)}: its begin and end are computed; constants work")
    axes = attrs.integers("axes") or tuple(range(len(begin)))
    strides = attrs.integers("strides") or (1,)
    strides = strides * len(axes) if len(strides) == 1 else strides
    if attrs.text("slice_mode", "end") == "size":
        sizes = zip(begin, end, axes, strict=True)
        end = tuple(shape[a] if n < 0 else b + n for b, n, a in sizes)
        strides = (1,) * len(axes)
    return relax.op.strided_slice(x, list(axes), list(begin), list(end), list(strides))


def _split(converter: Converter, call: RelayCall) -> Value:
    """In equal parts, or at the indices that the attribute holds."""
    x = converter.tensor(call, 0)
    axis, shape = call.attrs.integer("axis", 0) % len(shape_of(x.expr)), shape_of(x.expr)
    given = call.attrs.integers("indices_or_sections") or (1,)
    if call.attrs.is_array("indices_or_sections"):
        cuts = [0, *given, shape[axis]]
    elif given[0] < 1 or shape[axis] % given[0]:
        raise ModelError(f"{where(call)}: {given[0]} equal parts of {shape[axis]}")
    else:
        cuts = [i * (shape[axis] // given[0]) for i in range(given[0] + 1)]
    return tuple(
        Tensor(
            converter.moved(x.expr, relax.op.strided_slice(x.expr, [axis], [first], [last])),
            x.scale,
        )
        for first, last in pairwise(cuts)
    )


def _max_pool2d(converter: Converter, call: RelayCall) -> Value:
    return _pool2d(converter, call, converter.integers(call, 0), MaxPool2dAttrs)


def _avg_pool2d(converter: Converter, call: RelayCall) -> Value:
    """Integers are divided towards zero."""
    attrs = call.attrs
    if any(sides(attrs.integers("padding"))) and attrs.integer("count_include_pad", 0):
        raise ModelError(f"{where(call)}: counts its padding; count_include_pad=False works")
    return Wide(_pool2d(converter, call, _summed(converter, call), _MEAN))


def _summed(converter: Converter, call: RelayCall) -> Tensor:
    """The argument of a mean, which was cast."""
    value = converter.value(call, 0)
    if not isinstance(value, Wide):
        raise ModelError(f"{where(call)}: in 8 bits, where sums wrap; a cast to int32 before works")
    return converter.emitted(value.source, call)


def _pool2d(converter: Converter, call: RelayCall, x: Tensor, kind: Any) -> Layer:
    attrs = call.attrs
    layout = attrs.text("layout", "NCHW")
    if layout not in ("NCHW", "NHWC") or len(shape_of(x.expr)) != 4:
        raise ModelError(f"{where(call)}: of layout {layout}; NCHW and NHWC work")
    if call.op.startswith("nn.global"):
        return _pooled(converter, x, layout, kind)
    size, strides = (spread(attrs.integers(n), 2, 1) for n in ("pool_size", "strides"))
    padding = sides(attrs.integers("padding"))
    if any(n != 1 for n in attrs.integers("dilation") or ()):
        raise ModelError(f"{where(call)}: with dilation; pools without work")
    if attrs.integer("ceil_mode", 0):
        axes = ("NHWC".index(a) if layout == "NHWC" else "NCHW".index(a) for a in "HW")
        spatial = [shape_of(x.expr)[axis] for axis in axes]
        padding = _up_to_last(spatial, size, strides, padding)
    return _pooled(converter, x, layout, kind, (size, strides, padding))


def _up_to_last(
    spatial: list[int], size: tuple[int, ...], strides: tuple[int, ...], padding: tuple[int, ...]
) -> tuple[int, ...]:
    """A padding that the last window of `ceil_mode` reaches the end of."""
    after = []
    for i in (0, 1):
        beyond = spatial[i] + padding[i] + padding[i + 2] - size[i]
        after.append(padding[i + 2] + -beyond % strides[i])
    return (*padding[:2], *after)


def _pooled(converter: Converter, x: Tensor, layout: str, kind: Any, window: Any = None) -> Layer:
    """The layer of a pool, of windows (size, strides, padding) or of one over all."""
    expr = x.expr if layout == "NHWC" else converter.permuted(x.expr, NCHW_TO_NHWC)
    window = window or (shape_of(expr)[1:3], (1, 1), (0, 0, 0, 0))
    dtype = dtype_of(expr)
    scales = (UNIT.scale, UNIT.zero_point, UNIT.scale, UNIT.zero_point)
    attrs = kind(*window, *scales, *dtype_range(dtype), ROUNDING, dtype)
    op = "vq.max_pool2d" if kind is MaxPool2dAttrs else "vq.avg_pool2d"
    return Layer(op, [expr], attrs, x.scale, nchw=layout == "NCHW")


def _mean(converter: Converter, call: RelayCall) -> Value:
    """Over both spatial axes, as one window."""
    x = _summed(converter, call)
    shape = shape_of(x.expr)
    axes = sorted(axis % len(shape) for axis in call.attrs.integers("axis") or range(len(shape)))
    layout = {"[1, 2]": "NHWC", "[2, 3]": "NCHW"}.get(str(axes), "")
    if len(shape) != 4 or not layout or call.attrs.integer("exclude", 0):
        raise ModelError(f"{where(call)}: over axes {axes} of {len(shape)}; the spatial ones work")
    layer = _pooled(converter, x, layout, _MEAN)
    if call.attrs.integer("keepdims", 0):
        return Wide(layer)
    y = converter.complete(layer).expr
    flat = [n for axis, n in enumerate(shape_of(y)) if axis not in axes]
    return Wide(Tensor(converter.emit(relax.op.reshape(y, flat)), x.scale))


MOVES: dict[str, Callable[[Converter, RelayCall], Value]] = {
    "expand_dims": _moved(_expand_dims),
    "layout_transform": _moved(_layout_transform),
    "nn.batch_flatten": _moved(_flatten),
    "nn.pad": _moved(_pad),
    "reshape": _moved(_reshape),
    "split": _split,
    "squeeze": _moved(_squeeze),
    "strided_slice": _moved(_strided_slice),
    "transpose": _moved(_transpose),
}
"""Relay operator of integers or floats → its converter."""

POOLS: dict[str, Callable[[Converter, RelayCall], Value]] = {
    "mean": _mean,
    "nn.avg_pool2d": _avg_pool2d,
    "nn.global_avg_pool2d": _avg_pool2d,
    "nn.global_max_pool2d": _max_pool2d,
    "nn.max_pool2d": _max_pool2d,
}
"""Relay operator of integers → its converter."""
