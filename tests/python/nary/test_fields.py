"""Digits as fields of n bits."""

from __future__ import annotations

import numpy as np
import pytest

from vq_cortexm.nary.fields import pack_fields, unpack_fields

BITS = range(1, 9)


@pytest.mark.parametrize("count", [0, 1, 4, 31, 32, 33, 997])
@pytest.mark.parametrize("bits", BITS)
def test_inverse_in_as_few_words_as_possible(bits: int, count: int) -> None:
    digits = np.random.default_rng(count).integers(0, 1 << bits, count).astype(np.uint8)
    words = pack_fields(digits, bits)
    assert words.dtype == np.uint32
    assert len(words) == -(-count * bits // 32)
    np.testing.assert_array_equal(unpack_fields(words, bits, count), digits)


def test_first_digit_lies_lowest_and_the_rest_is_zero() -> None:
    assert pack_fields(np.array([1, 2, 15], np.uint8), 4).tolist() == [0xF21]
    eleven = np.array([0] * 10 + [7], np.uint8)
    assert pack_fields(eleven, 3).tolist() == [3 << 30, 1]


@pytest.mark.parametrize(("digit", "bits"), [(2, 1), (8, 3), (128, 7), (0, 0), (0, 9)])
def test_digit_without_room_is_refused(digit: int, bits: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        pack_fields(np.array([0, digit], np.uint8), bits)
