"""Tables of real functions: which arithmetic a function gets, by its values; the lookup itself.

That the tables are TensorFlow Lite's is tested with the operators of its files."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import special

from vq_cortexm.op import extremum, lookup, prelu
from vq_cortexm.op.extremum import ExtremumAttrs
from vq_cortexm.op.lookup import LookupAttrs
from vq_cortexm.op.prelu import PreluAttrs
from vq_cortexm.op.tables import NAMED, TableAttrs, name_of, table

ATTRS = TableAttrs(0.05, 3, 0.04, -7, -128, 127)
X = (np.arange(-128, 128) - 3) * 0.05


@pytest.mark.parametrize("name", NAMED)
def test_functions_are_known_by_their_values(name: str) -> None:
    assert name_of(NAMED[name], X) == (name, 0.0)


@pytest.mark.parametrize("slope", [0.1, -0.3, 3.0])
def test_a_leaky_relu_is_known_with_its_slope(slope: float) -> None:
    def function(x: Any) -> Any:
        return np.maximum(x, 0) + slope * np.minimum(x, 0)

    name, found = name_of(function, X)
    assert name == "leaky_relu"
    assert found == pytest.approx(slope)


def test_other_functions_have_no_name() -> None:
    for function in (np.sin, lambda x: x * special.expit(x), lambda x: x * np.clip(x + 2, 0, 6)):
        assert name_of(function, X) == ("", 0.0)


def test_expansions_get_the_table_of_their_function() -> None:
    def expansion(x: Any) -> Any:
        return x * (np.clip(x + 3, 0, 6) * x.dtype.type(1 / 6))

    for rounding in ("double", "float"):
        attrs = replace(ATTRS, rounding=rounding)
        expected = table(NAMED["hard_swish"], attrs)
        np.testing.assert_array_equal(table(expansion, attrs), expected)


@pytest.mark.parametrize("name", [*NAMED, "swish"])
@pytest.mark.parametrize("rounding", ["single", "double", "float"])
def test_tables_are_near_the_real_function(name: str, rounding: str) -> None:
    function = NAMED.get(name, lambda x: x * special.expit(x))
    with np.errstate(all="ignore"):
        real = np.nan_to_num(function(X), nan=-1e9) / 0.04 - 7
    got = table(function, replace(ATTRS, rounding=rounding))
    tolerance = 1.01 if rounding != "single" else 0.501
    assert np.abs(got - np.clip(real, -128, 127)).max() <= tolerance


def test_where_there_is_no_number_is_the_clamp() -> None:
    clamped = replace(ATTRS, y_min=-100, y_max=90)
    got = table(np.log, clamped)
    assert set(got[:132]) == {-100}
    assert set(table(np.exp, clamped)[250:]) == {90}


def test_unsigned_types() -> None:
    attrs = TableAttrs(0.05, 128, 0.04, 0, 0, 255, x_dtype="uint8", y_dtype="uint8")
    got = table(np.abs, attrs)
    assert got.dtype == np.uint8
    assert (got[0], got[128], got[132]) == (160, 0, 5)


def test_lookup() -> None:
    entries = np.random.default_rng(0).integers(0, 256, 256).astype(np.uint8)
    attrs = LookupAttrs("uint8")
    x = np.arange(-128, 128).astype(np.int8).reshape(2, 128)
    np.testing.assert_array_equal(lookup.reference(x, entries, attrs).reshape(-1), entries)
    assert lookup.output_shape((2, 128), (256,), attrs) == (2, 128)
    with pytest.raises(ValueError, match=r"shape \(255,\)"):
        lookup.output_shape((2,), (255,), attrs)
    with pytest.raises(ValueError, match="table is uint8"):
        lookup.reference(x, entries, LookupAttrs())
    with pytest.raises(ValueError, match="int32"):
        LookupAttrs("int32")


def test_extremum() -> None:
    attrs = ExtremumAttrs("maximum", -50, 100)
    a, b = (np.random.default_rng(i).integers(-128, 128, (3, 4)).astype(np.int8) for i in (0, 1))
    np.testing.assert_array_equal(
        extremum.reference(a, b[:, :1], attrs), np.clip(np.maximum(a, b[:, :1]), -50, 100)
    )
    smaller = replace(attrs, kind="minimum")
    np.testing.assert_array_equal(
        extremum.reference(a, b, smaller), np.clip(np.minimum(a, b), -50, 100)
    )
    with pytest.raises(ValueError, match="maximum: b is uint8"):
        extremum.reference(a, b.astype(np.uint8), attrs)
    with pytest.raises(ValueError, match="median"):
        replace(attrs, kind="median")


def test_prelu_errors() -> None:
    attrs = PreluAttrs(0.1, 0, 0.1, 0, 0.1, 0, -128, 127)
    assert prelu.output_shape((1, 2, 3, 4), (3, 1), attrs) == (1, 2, 3, 4)
    with pytest.raises(ValueError, match="do not broadcast"):
        prelu.output_shape((1, 2, 3, 4), (5,), attrs)
    with pytest.raises(ValueError, match="do not broadcast"):
        prelu.output_shape((4,), (2, 4), attrs)
