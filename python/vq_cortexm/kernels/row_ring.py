"""Padded input rows kept in scratch while a window slides down: row r in slot r % slots.

    scratch slot (padded input row r):   fill … | the row's elements | fill …     left, width, right

A layer that reads its input only through such copies may write over it: an output row goes where
input rows were that have been copied already (see `access_order`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..compat import Expr
from .tir import Buffer, T, bind, choose, int32, loop, store


@dataclass(frozen=True)
class RowRing:
    """Rows of `width` elements with `left` and `right` elements of padding around them.

    The input has `height` rows with `top` and `bottom` rows of padding; `span` rows are seen at
    once. With as many slots as padded rows the ring never wraps.
    """

    rows: Buffer
    slots: int
    height: int
    top: int
    bottom: int
    left: int
    width: int
    right: int
    span: int
    fill: int

    @property
    def row_width(self) -> int:
        """Elements of a slot."""
        return self.left + self.width + self.right

    @property
    def padded_height(self) -> int:
        """Rows with the padding counted."""
        return self.height + self.top + self.bottom

    def slot(self, padded_row: Expr) -> Expr:
        """Where a padded row starts in scratch."""
        wraps = self.slots < self.padded_height
        row = T.truncmod(padded_row, self.slots) if wraps else padded_row
        return row * self.row_width

    def clear(self) -> None:
        """Writes the padding, and with it every slot."""
        if self.top or self.bottom or self.left or self.right:
            with loop("i", self.slots * self.row_width) as i:
                store(self.rows, [i], int32(self.fill))

    def refill(
        self, oh: Expr, first: Expr, stride: int, copy: Callable[[Expr, Expr], None]
    ) -> None:
        """Brings the padded rows [first, first + span) of output row `oh`, less those that the row
        before brought; `copy(r, start)` copies input row r to scratch from `start` on."""
        fresh = max(0, self.span - stride)
        begin = bind("begin", T.Select(oh == 0, first, first + fresh)) if fresh else first
        with loop("p", begin, first + self.span) as padded:
            r = bind("r", padded - self.top)
            if not (self.top or self.bottom):
                copy(r, bind("slot", self.slot(padded) + self.left))
                return
            with choose(T.And(r >= 0, r < self.height)) as (inside, outside):
                with inside:
                    copy(r, bind("slot", self.slot(padded) + self.left))
                with outside:
                    slot = bind("slot", self.slot(padded))
                    with loop("i", self.row_width) as i:
                        store(self.rows, [slot + i], int32(self.fill))
