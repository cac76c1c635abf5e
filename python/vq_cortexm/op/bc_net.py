"""`vq.bc_net`: a light net answers where it is sure; else a second, accurate one joins in.

Both take the same input x and give logits (1, classes), 8-bit integers, each with its scale.

    f = fast(x)
    if not escalate(f):     y = requantize(f)                                path "fast"
    else, a = accurate(x):  y = fast_factor * f + accurate_factor * a        path "accurate"

The sum is `vq.add`'s, with each factor in its input's scale; with the factor 0 for the fast net
it is the accurate net's logits alone, by `vq.requantize`. `vq.escalate` has the test.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from . import add, escalate, requantize
from .add import AddAttrs
from .escalate import EscalateAttrs, check_thresholds
from .quantization import check_output, check_scale, dtype_range
from .requantize import RequantizeAttrs

Path: TypeAlias = Literal["fast", "accurate"]
Net: TypeAlias = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]

PATHS: tuple[Path, Path] = ("fast", "accurate")
"""By the number that the generated C gives them."""
ALWAYS_ESCALATE, NEVER_ESCALATE = (1 << 31) - 1, -(1 << 31)
"""As a threshold, whatever the test."""


def output_shape(
    _x: tuple[int, ...], fast: tuple[int, ...], accurate: tuple[int, ...], attrs: BcNetAttrs
) -> tuple[int, ...]:
    """The logits' shape, (1, classes); ValueError where the nets' differ."""
    escalate.output_shape(fast, (len(attrs.thresholds),), attrs.test)
    if fast != accurate:
        raise ValueError(f"bc_net: logits of shapes {fast} and {accurate} must be equal")
    return tuple(accurate)


def reference(x: npt.NDArray[Any], fast: Net, accurate: Net, attrs: BcNetAttrs) -> npt.NDArray[Any]:
    """The answer's logits (1, classes), as y_dtype; a net maps x to its logits."""
    return answer(x, fast, accurate, attrs)[0]


def answer(
    x: npt.NDArray[Any], fast: Net, accurate: Net, attrs: BcNetAttrs
) -> tuple[npt.NDArray[Any], Path]:
    """`reference`'s result, and which path it took."""
    logits = fast(x)
    if not escalate.reference(logits, np.array(attrs.thresholds, np.int32), attrs.test):
        return requantize.reference(logits, attrs.alone), "fast"
    return combine(logits, accurate(x), attrs), "accurate"


def combine(
    fast: npt.NDArray[Any], accurate: npt.NDArray[Any], attrs: BcNetAttrs
) -> npt.NDArray[Any]:
    """The answer's logits on the accurate path, from both nets' logits of equal shapes."""
    combination = attrs.combination
    if isinstance(combination, RequantizeAttrs):
        return requantize.reference(accurate, combination)
    return add.reference(fast, accurate, combination)


@dataclass(frozen=True)
class BcNetAttrs:
    """The policy; real = scale * (q - zero_point) of both nets' logits and of the output.

    `thresholds` are int32, one for all classes or one for each (`vq.escalate`).
    """

    confidence: str
    thresholds: tuple[int, ...]
    fast_factor: float
    accurate_factor: float
    fast_scale: float
    fast_zero_point: int
    accurate_scale: float
    accurate_zero_point: int
    y_scale: float
    y_zero_point: int
    rounding: str = "single"
    y_dtype: str = "int8"

    def __post_init__(self) -> None:
        check_thresholds(self.thresholds)
        if not (math.isfinite(self.fast_factor) and self.fast_factor >= 0):
            raise ValueError(f"bc_net: fast_factor {self.fast_factor} must be 0 or positive")
        check_scale("bc_net", "accurate_factor", self.accurate_factor)
        low, high = dtype_range(self.y_dtype)
        check_output("bc_net", self.rounding, self.y_dtype, self.y_zero_point, low, high)

    @property
    def test(self) -> EscalateAttrs:
        """Of the fast net's logits."""
        return EscalateAttrs(self.confidence, self.fast_scale)

    @property
    def alone(self) -> RequantizeAttrs:
        """From the fast net's logits to the output, on the fast path."""
        return RequantizeAttrs(self.fast_scale, self.fast_zero_point, *self._output)

    @property
    def combination(self) -> AddAttrs | RequantizeAttrs:
        """From both nets' logits to the output, or from the accurate net's alone."""
        accurate_scale = self.accurate_factor * self.accurate_scale
        if self.fast_factor == 0:
            return RequantizeAttrs(accurate_scale, self.accurate_zero_point, *self._output)
        return AddAttrs(
            self.fast_factor * self.fast_scale,
            self.fast_zero_point,
            accurate_scale,
            self.accurate_zero_point,
            *self._output,
        )

    @property
    def _output(self) -> tuple[float, int, int, int, str, str]:
        low, high = dtype_range(self.y_dtype)
        return self.y_scale, self.y_zero_point, low, high, self.rounding, self.y_dtype
