"""Digits of any base in 64-bit words."""

from __future__ import annotations

import numpy as np
import pytest

from vq_cortexm.nary.radix import digits_per_word, pack_radix, unpack_radix

BASES = range(2, 257)


@pytest.mark.parametrize("base", BASES)
def test_words_are_full(base: int) -> None:
    count = digits_per_word(base)
    assert base**count <= 1 << 64 < base ** (count + 1)


@pytest.mark.parametrize("base", BASES)
def test_inverse(base: int) -> None:
    rng = np.random.default_rng(base)
    full = digits_per_word(base)
    for count in (0, 1, full - 1, full, full + 1, 5 * full + 3):
        digits = rng.integers(0, base, count).astype(np.uint8)
        words = pack_radix(digits, base)
        assert words.dtype == np.uint64
        assert len(words) == -(-count // full)
        np.testing.assert_array_equal(unpack_radix(words, base, count), digits)


@pytest.mark.parametrize("base", BASES)
def test_inverse_of_the_extremes(base: int) -> None:
    """The largest number of a word, the smallest, and both beside each other."""
    count = digits_per_word(base)
    low, high = np.zeros(count, np.uint8), np.full(count, base - 1, np.uint8)
    alternating = np.resize(np.array([0, base - 1], np.uint8), count)
    for digits in (low, high, alternating, alternating[::-1]):
        np.testing.assert_array_equal(unpack_radix(pack_radix(digits, base), base, count), digits)


def test_first_digit_is_what_overflows_first() -> None:
    (word,) = pack_radix(np.array([2, 1], np.uint8), 3).tolist()
    assert word * 3 >> 64 == 2
    assert (word * 3 % (1 << 64)) * 3 >> 64 == 1


def test_digit_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="base 3"):
        pack_radix(np.array([0, 3], np.uint8), 3)
