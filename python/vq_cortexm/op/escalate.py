"""`vq.escalate`: whether a classifier is unsure of its answer, so that another one has to be asked.

The answer is the class of the largest logit, of equal ones the first. How sure of it the net is,
its *confidence*, is one integer of the logits:

`margin`   the largest less the second largest, in the logits' steps: 0 to 255.
`maximum`  the largest as it is, an int8 or uint8.
`entropy`  less the entropy of the softmax, in 1/1024 bit: -8192 to 0, for up to 256 classes. It is
           within 4 (1/256 bit) of the real value.

A sample escalates where the confidence is below the threshold: the answer's own, where there is one
for every class. INT32_MIN never escalates, INT32_MAX always does.

The entropy of p_i = e_i / S, where e_i = exp(-x_scale * d_i), d_i = largest - x_i, S = sum e_i, is

    log2(S) + sum(e_i * d_i * x_scale / ln 2) / S

Both e and e * d * x_scale / ln 2 are tables over d, in fixed point with as many fraction bits as
leave the sums below 2^31; log2 of the sum is the number of its highest bit and a table of 64
intervals for the bits behind it, with a line in between.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from .quantization import check_activation, check_scale
from .rounding import Int32Array, Int64Array

Confidence: TypeAlias = Literal["margin", "maximum", "entropy"]
CONFIDENCES: tuple[str, ...] = get_args(Confidence)
ENTROPY_BITS = 10
"""The entropy's unit is 2^-10 bit."""
LOG_INDEX_BITS = 6
_MOST_CLASSES = 256
_INT32_MIN, _INT32_MAX = -(1 << 31), (1 << 31) - 1


def output_shape(
    x_shape: tuple[int, ...], thresholds_shape: tuple[int, ...], attrs: EscalateAttrs
) -> tuple[int, ...]:
    """A scalar; ValueError unless x is (1, classes) and there are one or `classes` thresholds."""
    if len(x_shape) != 2 or x_shape[0] != 1 or x_shape[1] < 2:
        raise ValueError(f"escalate: logits of shape {x_shape} must be (1, classes), two or more")
    if thresholds_shape not in ((1,), (x_shape[1],)):
        raise ValueError(
            f"escalate: {math.prod(thresholds_shape)} thresholds; 1 or {x_shape[1]}, one for every"
            " class, would fit"
        )
    if attrs.confidence == "entropy" and x_shape[1] > _MOST_CLASSES:
        raise ValueError(
            f"escalate: entropy of {x_shape[1]} classes; up to {_MOST_CLASSES} work, or margin"
        )
    return ()


def reference(
    x: npt.NDArray[Any], thresholds: npt.NDArray[np.int32], attrs: EscalateAttrs
) -> npt.NDArray[np.bool_]:
    """Whether x (1, classes), 8 bits, escalates; thresholds are int32, (1,) or (classes,)."""
    output_shape(x.shape, thresholds.shape, attrs)
    return np.asarray(escalates(x, thresholds, attrs)[0])


def escalates(
    x: npt.NDArray[Any], thresholds: npt.NDArray[np.int32], attrs: EscalateAttrs
) -> npt.NDArray[np.bool_]:
    """The same for many samples at once: x is (N, classes), the result (N,)."""
    wanted = np.broadcast_to(thresholds.astype(np.int64), x.shape[1:])[x.argmax(axis=1)]
    return np.asarray(confidence(x, attrs) < wanted)


def confidence(x: npt.NDArray[Any], attrs: EscalateAttrs) -> Int64Array:
    """How sure the answer is, (N,), for logits (N, classes), int8 or uint8."""
    check_activation("escalate", "x", x, rank=2)
    rows = x.astype(np.int64)
    largest = rows.max(axis=1)
    if attrs.confidence == "maximum":
        return np.asarray(largest)
    if attrs.confidence == "margin":
        second = np.partition(rows, -2, axis=1)[:, -2]
        return np.asarray(largest - second)
    return -_entropy(largest[:, None] - rows, entropy_tables(rows.shape[1], attrs.x_scale))


def _entropy(below_largest: Int64Array, tables: EntropyTables) -> Int64Array:
    index = np.minimum(below_largest, tables.exponentials.size - 1)
    total = tables.exponentials.astype(np.int64)[index].sum(axis=1)
    weighted = tables.products.astype(np.int64)[index].sum(axis=1)
    # frexp's exponent of an integer below 2^53 is the number of its bits
    bits = np.frexp(total.astype(np.float64))[1].astype(np.int64)
    mantissa = total << (31 - bits)
    steps = mantissa >> (30 - LOG_INDEX_BITS)
    low = steps & ((1 << LOG_INDEX_BITS) - 1)
    between = (mantissa >> (20 - LOG_INDEX_BITS)) & 1023
    table = tables.logarithms.astype(np.int64)
    line = ((table[low + 1] - table[low]) * between) >> 10
    logarithm = ((bits - 1 - tables.fraction_bits) << ENTROPY_BITS) + table[low] + line
    return np.asarray(logarithm + weighted // (total >> ENTROPY_BITS))


def entropy_tables(classes: int, x_scale: float) -> EntropyTables:
    """The tables for logits of this scale."""
    fraction_bits = 31 - classes.bit_length()
    step = float(np.float32(x_scale))
    exponents = [math.exp(-step * d) for d in range(256)]
    exponentials = [round(math.ldexp(e, fraction_bits)) for e in exponents]
    products = [
        round(math.ldexp(e * step * d / math.log(2), fraction_bits))
        for d, e in enumerate(exponents)
    ]
    intervals = 1 << LOG_INDEX_BITS
    logarithms = [
        round(math.ldexp(math.log2(1 + i / intervals), ENTROPY_BITS)) for i in range(intervals + 1)
    ]
    # one pair of zeros stands for all that follow it
    used = max(d for d in range(256) if exponentials[d] or products[d])
    rows = (exponentials[: used + 2], products[: used + 2], logarithms)
    return EntropyTables(fraction_bits, *(np.array(row, dtype=np.int32) for row in rows))


@dataclass(frozen=True, eq=False)
class EntropyTables:
    """exponentials[d] and products[d] have `fraction_bits` of them, for d up to the last entry's,
    which stands for all larger ones; logarithms[i] = log2(1 + i/64) in the entropy's unit, 65."""

    fraction_bits: int
    exponentials: Int32Array
    products: Int32Array
    logarithms: Int32Array


def check_thresholds(thresholds: tuple[int, ...]) -> None:
    """Raises ValueError unless there is one and all are in int32's range."""
    if not thresholds:
        raise ValueError("no thresholds: give one, or one for every class")
    for threshold in thresholds:
        if not _INT32_MIN <= threshold <= _INT32_MAX:
            raise ValueError(f"the threshold {threshold} is beyond 32 bits")


@dataclass(frozen=True)
class EscalateAttrs:
    """x_scale is the logits' scale; only `entropy` looks at it."""

    confidence: str
    x_scale: float
    y_dtype: str = "bool"

    def __post_init__(self) -> None:
        check_scale("escalate", "x_scale", self.x_scale)
        if self.confidence not in CONFIDENCES:
            known = ", ".join(CONFIDENCES)
            raise ValueError(f"escalate: confidence {self.confidence!r} is unknown; known: {known}")
