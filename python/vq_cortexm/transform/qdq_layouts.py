"""Layouts for the rules of the QDQ fold: activations are NHWC inside."""

from __future__ import annotations

from collections.abc import Callable

from ..compat import Expr, call_op, shape_of
from ..errors import ModelError
from .qdq_context import Folder

_NCHW_TO_NHWC = (0, 2, 3, 1)
_NHWC_TO_NCHW = (0, 3, 1, 2)


def channels_last(folder: Folder, x: Expr) -> Expr:
    """An NCHW tensor as NHWC."""
    return _transpose(folder, x, _NCHW_TO_NHWC)


def channels_first(folder: Folder, x: Expr) -> Expr:
    """An NHWC tensor as NCHW."""
    return _transpose(folder, x, _NHWC_TO_NCHW)


def _transpose(folder: Folder, x: Expr, axes: tuple[int, ...]) -> Expr:
    return folder.emit(call_op("vq.transpose", [x], {"axes": list(axes)}))


def as_picture(
    folder: Folder, x: Expr, layout: str, layer: str
) -> tuple[Expr, Callable[[Folder, Expr], Expr]]:
    """A tensor as NHWC, one of layout NCW as of one row, and what turns a result back."""
    if layout == "NCHW":
        return channels_last(folder, x), channels_first
    if layout == "NCW":
        return _as_row(folder, x), _as_line
    if layout != "NHWC":
        raise ModelError(f"layer {layer}: layout {layout}; NCHW, NHWC and NCW work")
    return x, lambda _folder, y: y


def _as_row(folder: Folder, x: Expr) -> Expr:
    """An NCW tensor as an NHWC one of one row."""
    n, c, w = shape_of(x)
    return folder.emit(
        call_op("vq.reshape", [_transpose(folder, x, (0, 2, 1))], {"shape": [n, 1, w, c]})
    )


def _as_line(folder: Folder, x: Expr) -> Expr:
    """An NHWC tensor of one row as NCW."""
    n, _, w, c = shape_of(x)
    line = folder.emit(call_op("vq.reshape", [x], {"shape": [n, w, c]}))
    return _transpose(folder, line, (0, 2, 1))
