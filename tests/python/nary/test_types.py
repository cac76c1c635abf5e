"""Which levels an int8 tensor holds, and its digits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vq_cortexm.nary import NaryType, detect

LEVELS = range(2, 257)


@pytest.mark.parametrize("levels", LEVELS)
def test_digits_and_values_are_inverse(levels: int) -> None:
    rng = np.random.default_rng(levels)
    table = np.sort(rng.choice(np.arange(-128, 128), levels, replace=False))
    values = rng.permutation(np.resize(table, (8, 5, 7, 4)).reshape(-1)).reshape(8, 5, 7, 4)
    found = detect(values.astype(np.int8))
    assert (found.levels, found.tables) == (levels, (tuple(table.tolist()),))
    digits = found.digits(values)
    assert digits.dtype == np.uint8
    assert set(digits.reshape(-1).tolist()) == set(range(levels))
    restored = found.values(digits)
    assert restored.dtype == np.int8
    np.testing.assert_array_equal(restored, values)
    assert math.isclose(2**found.bits, levels)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_tables_of_channels(axis: int) -> None:
    shape = [4, 4, 4]
    values = np.zeros(shape, np.int8)
    for channel, view in enumerate(np.moveaxis(values, axis, 0)):
        view[...] = np.resize([10 * channel, 10 * channel + channel + 1, -5], (4, 4))
    found = detect(values, axis)
    assert (found.levels, found.axis, len(found.tables)) == (3, axis, 4)
    np.testing.assert_array_equal(found.values(found.digits(values)), values)
    assert detect(values).levels == len(np.unique(values))


def test_channels_count_only_where_they_have_fewer_levels() -> None:
    values = np.array([[1, 2, 3], [3, 2, 1]], np.int8)
    assert detect(values, 0) == NaryType(3, ((1, 2, 3),))


def test_constant_tensor_has_two_levels() -> None:
    found = detect(np.full((3, 3), 7, np.int8))
    assert (found.levels, found.tables, found.is_uniform) == (2, ((7,),), True)
    np.testing.assert_array_equal(found.values(np.zeros(4, np.uint8)), np.full(4, 7))


@pytest.mark.parametrize(
    ("table", "uniform"),
    [((-1, 0, 1), True), ((-1, 1), True), ((-128, 0, 127), False), ((0, 2, 4, 5), False)],
)
def test_uniform_tables_are_progressions(table: tuple[int, ...], uniform: bool) -> None:
    assert NaryType(len(table), (table,)).is_uniform is uniform


def test_value_that_is_no_level_is_refused() -> None:
    for value in (-2, 0, 9):
        with pytest.raises(ValueError, match="none of the levels"):
            NaryType(2, ((-1, 1),)).digits(np.array([1, value], np.int8))


@pytest.mark.parametrize(
    ("levels", "tables", "axis"),
    [
        (1, ((0,),), None),
        (257, ((0,),), None),
        (2, ((0, 1, 2),), None),
        (3, ((1, 0),), None),
        (3, ((0, 0),), None),
        (3, ((),), None),
        (3, ((0,), (1,)), None),
    ],
)
def test_impossible_types_are_refused(
    levels: int, tables: tuple[tuple[int, ...], ...], axis: int | None
) -> None:
    with pytest.raises(ValueError, match=r"levels|table"):
        NaryType(levels, tables, axis)
