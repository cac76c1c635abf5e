"""Layouts for the rules of the QDQ fold: activations are NHWC inside."""

from __future__ import annotations

from ..compat import Expr, call_op
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
