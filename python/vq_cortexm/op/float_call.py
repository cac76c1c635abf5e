"""`vq.float_call`: what a model computes in float32 and nothing quantizes, as the loops that do it.

The loops are the meaning: a PrimFunc over float32 tensors (inputs, constants, then the output).
Sums and products round one by one, in its order, and functions such as exp are those of the
runtime's `vq_float.h`, so every machine with IEEE 754 arithmetic gives the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy.typing as npt


def output_shape(*arguments: Any) -> tuple[int, ...]:
    """The shape that the attributes say."""
    attrs: FloatCallAttrs = arguments[-1]
    return attrs.shape


def reference(*_arguments: npt.NDArray[Any] | FloatCallAttrs) -> NoReturn:
    """Raises ValueError: `reference.py` runs the loops themselves."""
    raise ValueError("float_call: has no NumPy reference of its own")


@dataclass(frozen=True)
class FloatCallAttrs:
    """`operator` is the Relax operator's name, `function` TVM's JSON of the PrimFunc."""

    operator: str
    shape: tuple[int, ...]
    function: str
    y_dtype: str = "float32"

    def __post_init__(self) -> None:
        if self.y_dtype != "float32":
            raise ValueError(f"float_call: y_dtype {self.y_dtype!r} must be float32")
