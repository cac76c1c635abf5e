"""`vq.lookup`: each element replaced by its entry in a table of all 256 results.

Any function of one 8-bit element is such a table; `tables` makes those of real functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .quantization import dtype_range

ENTRIES = 256
BYTE_DTYPES = ("int8", "uint8")


def output_shape(
    x_shape: tuple[int, ...], table_shape: tuple[int, ...], attrs: LookupAttrs
) -> tuple[int, ...]:
    """The input's shape; ValueError unless the table has shape (256,)."""
    if table_shape != (ENTRIES,):
        raise ValueError(f"lookup: a table of shape {table_shape} must have shape ({ENTRIES},)")
    return tuple(x_shape)


def reference(x: npt.NDArray[Any], table: npt.NDArray[Any], attrs: LookupAttrs) -> npt.NDArray[Any]:
    """table[x - lowest], where lowest is that of x's type, int8 or uint8; table (256,) is of
    y_dtype."""
    if x.dtype.name not in BYTE_DTYPES:
        raise ValueError(f"lookup: x is {x.dtype.name}, must be int8 or uint8")
    if table.dtype.name != attrs.y_dtype:
        raise ValueError(f"lookup: the table is {table.dtype.name}, must be {attrs.y_dtype}")
    lowest, _ = dtype_range(x.dtype.name)
    return np.asarray(table[x.astype(np.int64) - lowest])


@dataclass(frozen=True)
class LookupAttrs:
    """What the table's entries are."""

    y_dtype: str = "int8"

    def __post_init__(self) -> None:
        if self.y_dtype not in BYTE_DTYPES:
            raise ValueError(f"lookup: y_dtype {self.y_dtype!r} must be int8 or uint8")
