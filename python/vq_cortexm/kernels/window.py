"""Sliding windows over NHWC planes: which part of a kernel lies inside the input."""

from __future__ import annotations

from dataclasses import dataclass

from ..compat import Expr
from .tir import T, bind, int32


@dataclass(frozen=True)
class Window:
    """Size, stride, padding (top, left, bottom, right) and dilation of a sliding window."""

    size: tuple[int, int]
    strides: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilation: tuple[int, int]


@dataclass(frozen=True)
class Span:
    """Along one axis: kernel indices [first, last) lie inside the input; index 0 at `origin`."""

    first: Expr | int
    last: Expr | int
    origin: Expr


def window(position: Expr, axis: int, spec: Window, input_size: int) -> Span:
    """The span of output `position` along `axis` (0: rows, 1: columns)."""
    before, after = spec.padding[axis], spec.padding[axis + 2]
    size, stride, dilation = spec.size[axis], spec.strides[axis], spec.dilation[axis]
    row_or_column = "hw"[axis]
    origin = bind(f"i{row_or_column}", position * stride - before)
    first: Expr | int = 0
    last: Expr | int = size
    if before:
        # smallest k with origin + k * dilation >= 0
        first = T.truncdiv(T.max(int32(0), dilation - 1 - origin), dilation)
        first = bind(f"k{row_or_column}_first", first)
    if after:
        # smallest k with origin + k * dilation >= input_size
        last = T.min(int32(size), T.truncdiv(input_size - origin + (dilation - 1), dilation))
        last = bind(f"k{row_or_column}_last", last)
    return Span(first, last, origin)
