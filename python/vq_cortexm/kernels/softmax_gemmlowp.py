"""The fixed-point softmax of TensorFlow Lite Micro as TIR, mirroring `op.softmax_gemmlowp`.

Numbers are int32 Qm.f, products saturating rounding doubling high multiplies, as there.
"""

from __future__ import annotations

import math

import numpy as np

from ..compat import Expr
from ..op.softmax import SoftmaxAttrs
from ..op.softmax_gemmlowp import GemmlowpSoftmax
from .tir import (
    Buffer,
    Scalar,
    T,
    bind,
    choose,
    clamp,
    divide_by_power,
    doubling_high_product,
    int32,
    int64,
    leading_zeros,
    loop,
    scratch,
    store,
    when,
    widen,
)

_QUARTER = 1 << 24
"""1/4 in Q5, the input's format."""
_ONE_Q0 = (1 << 31) - 1
_ONE_Q2 = 1 << 29


def gemmlowp_rows(x: Buffer, y: Buffer, known: GemmlowpSoftmax, attrs: SoftmaxAttrs) -> None:
    """All rows of x (rows, length) to y, through scratch for a row's exponentials."""
    rows, length = (int(n) for n in x.shape)
    exponentials = scratch("exponentials", (length,), "int32")
    with loop("row", rows) as row:
        top = largest(x, row)
        total = Scalar("total", int32(0))
        with loop("i", length) as i:
            below = bind("below", top.get() - widen(x[row, i]))
            with choose(below <= known.largest_difference) as (counts, does_not):
                with counts:
                    scaled = doubling_high_product(
                        (0 - below) * (1 << known.left_shift), int32(known.multiplier)
                    )
                    store(exponentials, [i], _exp_on_negative(bind("scaled", scaled)))
                    total.add(divide_by_power(exponentials[i], int32(12)))
                with does_not:
                    store(exponentials, [i], int32(-1))
        zeros = bind("zeros", leading_zeros(total.get()))
        reciprocal = _one_over_one_plus(bind("excess", _without_leading_one(total.get(), zeros)))
        with loop("i", length) as i:
            value = Scalar("value", int32(0))
            with when(exponentials[i] >= 0):
                product = bind("product", doubling_high_product(reciprocal, exponentials[i]))
                value.set(divide_by_power(product, bind("exponent", 35 - zeros)))
            shifted = value.get() + attrs.y_zero_point
            store(y, (row, i), clamp(shifted, attrs.y_min, attrs.y_max))


def largest(x: Buffer, row: Expr) -> Scalar:
    """The largest element of a row."""
    top = Scalar("top", int32(int(np.iinfo(str(x.dtype)).min)))
    with loop("i", int(x.shape[1])) as i:
        top.set(T.max(top.get(), widen(x[row, i])))
    return top


def _without_leading_one(total: Expr, zeros: Expr) -> Expr:
    """(total << zeros) - 2^31 for the total's highest bit shifted to bit 31."""
    return widen((widen(total, "int64") << widen(zeros, "int64")) - int64(1 << 31), "int32")


def _exp_on_negative(a: Expr) -> Expr:
    """exp(a) in Q0 of a Q5 number a <= 0: a polynomial for the remainder modulo 1/4, then one
    product for each other bit that is set."""
    remainder = bind("remainder", (a & (_QUARTER - 1)) - _QUARTER)
    result = Scalar("result", _exp_between_minus_quarter_and_0(remainder * 32))
    rest = bind("rest", remainder - a)
    for exponent in range(-2, 5):
        factor = round(math.exp(-(2.0**exponent)) * 2.0**31)
        with when((rest & (1 << (26 + exponent))) != 0):
            result.set(doubling_high_product(result.get(), int32(factor)))
    with when(a == 0):
        result.set(int32(_ONE_Q0))
    return result.get()


def _exp_between_minus_quarter_and_0(a: Expr) -> Expr:
    """Taylor's series to the fourth power around -1/8, Q0."""
    x = bind("x1", a + (1 << 28))
    x2 = bind("x2", doubling_high_product(x, x))
    x3 = bind("x3", doubling_high_product(x2, x))
    x4 = bind("x4", doubling_high_product(x2, x2))
    third = int32(round(2.0**31 / 3))
    cubic = doubling_high_product(divide_by_power(x4, int32(2)) + x3, third) + x2
    constant = int32(round(math.exp(-1 / 8) * 2.0**31))
    polynomial = x + divide_by_power(bind("cubic", cubic), int32(1))
    return constant + doubling_high_product(polynomial, constant)


def _one_over_one_plus(x: Expr) -> Expr:
    """1 / (1 + x) in Q0 of a Q0 number x in [0, 1): three Newton steps in Q2."""
    denominator = (widen(x, "int64") + int64(_ONE_Q0 + 1)) >> int64(1)
    half = bind("half", widen(denominator, "int32"))
    first = int32(round(48 / 17 * _ONE_Q2)) + doubling_high_product(
        half, int32(round(-32 / 17 * _ONE_Q2))
    )
    estimate = Scalar("estimate", first)
    for _ in range(3):
        error = bind("error", _ONE_Q2 - doubling_high_product(half, estimate.get()))
        step = doubling_high_product(estimate.get(), error)
        estimate.add(_saturated(widen(step, "int64") * int64(4)))
    return bind("reciprocal", _saturated(widen(estimate.get(), "int64") * int64(2)))


def _saturated(value: Expr) -> Expr:
    bounded = T.max(T.min(value, int64((1 << 31) - 1)), int64(-(1 << 31)))
    return widen(bounded, "int32")
