"""The n-ary type of an integer tensor: at most L distinct values, uniform or a codebook."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST_LEVELS = 256


@dataclass(frozen=True)
class NaryType:
    """What values an int8 tensor may hold.

    `levels` is L, in [2, 256]. `tables` are the values themselves, ascending, as int8 numbers: one
    table for the tensor, or one for each index along `axis` (shorter tables mean that a channel
    holds fewer). A table is uniform if its values are `first + step * digit`.
    """

    levels: int
    tables: tuple[tuple[int, ...], ...]
    axis: int | None = None

    def __post_init__(self) -> None:
        if not 2 <= self.levels <= LARGEST_LEVELS:
            raise ValueError(f"{self.levels} levels: a type has from 2 to {LARGEST_LEVELS}")
        if self.axis is None and len(self.tables) != 1:
            raise ValueError("a type of the whole tensor has one table")
        for table in self.tables:
            if not table or len(table) > self.levels or list(table) != sorted(set(table)):
                raise ValueError(f"a table of {self.levels} ascending levels cannot be {table}")

    @property
    def is_uniform(self) -> bool:
        """Whether every table is an arithmetic progression."""
        return all(len(set(np.diff(table))) <= 1 for table in self.tables)

    @property
    def bits(self) -> float:
        """Information in a weight: log2 of the levels."""
        return math.log2(self.levels)

    def digits(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Which level each value is; ValueError for a value that is none."""
        slices = self._slices(values)
        digits = np.empty(slices.shape, np.int64)
        for table, row, out in zip(self.tables, slices, digits, strict=True):
            out[:] = np.searchsorted(table, row)
            if not np.array_equal(np.take(table, np.minimum(out, len(table) - 1)), row):
                raise ValueError(f"a value is none of the levels {table}")
        return self._restored(digits.astype(np.uint8), values.shape)

    def values(self, digits: NDArray[np.uint8]) -> NDArray[np.int8]:
        """The inverse of `digits`."""
        slices = self._slices(digits)
        values = np.stack(
            [np.take(table, row) for table, row in zip(self.tables, slices, strict=True)]
        )
        return self._restored(values.astype(np.int8), digits.shape)

    def _slices(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """One row for each table."""
        if self.axis is None:
            return tensor.reshape(1, -1)
        return np.moveaxis(tensor, self.axis, 0).reshape(tensor.shape[self.axis], -1)

    def _restored(self, rows: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        if self.axis is None:
            return rows.reshape(shape)
        moved = [shape[self.axis], *(n for i, n in enumerate(shape) if i != self.axis)]
        return np.moveaxis(rows.reshape(moved), 0, self.axis)


def detect(values: NDArray[Any], axis: int | None = None) -> NaryType:
    """The tightest type of an int8 tensor: per tensor, or per channel along `axis` where that has
    fewer levels. A constant tensor is 2-ary."""
    whole = _tables(values, None)
    best, chosen = whole, None
    if axis is not None:
        each = _tables(values, axis)
        if max(map(len, each)) < len(whole[0]):
            best, chosen = each, axis
    return NaryType(max(2, *map(len, best)), best, chosen)


def _tables(values: NDArray[Any], axis: int | None) -> tuple[tuple[int, ...], ...]:
    rows = [values] if axis is None else list(np.moveaxis(values, axis, 0))
    return tuple(tuple(int(v) for v in np.unique(row)) for row in rows)
