"""`vq.mul` and the differences of `vq.add` against TensorFlow Lite's interpreters, on all pairs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tflite_builder import TfliteBuilder, run_litert, run_tflm

from vq_cortexm.op import add, mul
from vq_cortexm.op.add import AddAttrs
from vq_cortexm.op.binary_attrs import BinaryAttrs
from vq_cortexm.op.mul import MulAttrs

RUN = [("double", run_tflm), ("float", run_litert)]
A, B = (m.astype(np.int8) for m in np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)))


def _model(operator: str, attrs: BinaryAttrs) -> bytes:
    builder = TfliteBuilder()
    a = builder.tensor(A.shape, attrs.a_scale, attrs.a_zero_point)
    b = builder.tensor(B.shape, attrs.b_scale, attrs.b_zero_point)
    y = builder.tensor(A.shape, attrs.y_scale, attrs.y_zero_point)
    builder.add(operator, [a, b], [y])
    return builder.build([a, b], [y])


def _draw(seed: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    scales = [float(np.float32(np.exp(s))) for s in rng.uniform(-5, -1, 3)]
    zero_points = [int(z) for z in rng.integers(-128, 128, 3)]
    pairs = zip(scales, zero_points, strict=True)
    return (*(number for pair in pairs for number in pair), -128, 127)


@pytest.mark.parametrize(("rounding", "run"), RUN)
@pytest.mark.parametrize("seed", range(10))
def test_products_of_all_pairs(rounding: str, run: Any, seed: int) -> None:
    attrs = MulAttrs(*_draw(seed), rounding)
    np.testing.assert_array_equal(mul.reference(A, B, attrs), run(_model("MUL", attrs), A, B))


def test_float_falls_back_as_litert_does() -> None:
    """A scale below 2**-16: TensorFlow Lite's own arithmetic."""
    attrs = MulAttrs(1e-3, -128, 1.4e-3, -128, 0.1, 0, -128, 127, "float")
    assert mul.constants(attrs).rounding == "double"
    np.testing.assert_array_equal(
        mul.reference(A, B, attrs), run_litert(_model("MUL", attrs), A, B)
    )


@pytest.mark.parametrize(("rounding", "run"), RUN)
@pytest.mark.parametrize("seed", range(10))
def test_differences_of_all_pairs(rounding: str, run: Any, seed: int) -> None:
    attrs = AddAttrs(*_draw(seed), rounding, negated="b")
    expected = run(_model("SUB", attrs), A, B)
    np.testing.assert_array_equal(add.reference(A, B, attrs), expected)
    exchanged = replace(
        attrs,
        a_scale=attrs.b_scale,
        a_zero_point=attrs.b_zero_point,
        b_scale=attrs.a_scale,
        b_zero_point=attrs.a_zero_point,
        negated="a",
    )
    np.testing.assert_array_equal(add.reference(B, A, exchanged), expected)


SCALES = st.floats(2.0**-12, 2.0**4, width=32)
ZERO_POINTS = st.integers(-128, 127)


@given(SCALES, ZERO_POINTS, SCALES, ZERO_POINTS, SCALES, ZERO_POINTS)
def test_single_is_nearest_to_the_real_product(
    a_scale: float, a_zero: int, b_scale: float, b_zero: int, y_scale: float, y_zero: int
) -> None:
    attrs = MulAttrs(a_scale, a_zero, b_scale, b_zero, y_scale, y_zero, -128, 127)
    a, b = A[::9, ::7], B[::9, ::7]
    real = (a.astype(float) - a_zero) * a_scale * (b.astype(float) - b_zero) * b_scale / y_scale
    y = mul.reference(a, b, attrs)
    assert np.abs(y - np.clip(real + y_zero, -128, 127)).max() <= 0.5 + 1e-4


def test_shapes_and_errors() -> None:
    attrs = MulAttrs(0.1, 0, 0.1, 0, 0.1, 0, -128, 127)
    assert mul.output_shape((2, 1, 4), (3, 1), attrs) == (2, 3, 4)
    with pytest.raises(ValueError, match=r"mul: shapes \(2, 3\) and \(2, 4\) do not broadcast"):
        mul.output_shape((2, 3), (2, 4), attrs)
    with pytest.raises(ValueError, match="mul: b_scale"):
        replace(attrs, b_scale=0.0)
    with pytest.raises(ValueError, match="mul: a is int32"):
        mul.reference(A.astype(np.int32), B, attrs)
    with pytest.raises(ValueError, match="add: negated 'c'"):
        AddAttrs(0.1, 0, 0.1, 0, 0.1, 0, -128, 127, negated="c")
