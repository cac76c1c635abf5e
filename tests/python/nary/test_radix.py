"""Digits of any base in fractions of 32 and 64 bits."""

from __future__ import annotations

import numpy as np
import pytest

from vq_cortexm.nary.radix import digits_per_fraction, pack_radix, unpack_radix

BASES = range(2, 257)
BITS = (32, 64)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("base", BASES)
def test_fractions_are_full(base: int, bits: int) -> None:
    count = digits_per_fraction(base, bits)
    assert base**count <= 1 << bits < base ** (count + 1)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("base", BASES)
def test_inverse(base: int, bits: int) -> None:
    rng = np.random.default_rng(base)
    full = digits_per_fraction(base, bits)
    for count in (0, 1, full - 1, full, full + 1, 5 * full + 3):
        digits = rng.integers(0, base, (count, 4)).astype(np.uint8)
        words = pack_radix(digits, base, bits)
        assert words.dtype == np.uint32
        assert len(words) == -(-count // full) * 4 * bits // 32
        np.testing.assert_array_equal(unpack_radix(words, base, bits, count), digits)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("base", BASES)
def test_inverse_of_the_extremes(base: int, bits: int) -> None:
    """The largest number of a fraction, the smallest, and both beside each other."""
    count = digits_per_fraction(base, bits)
    low, high = np.zeros(count, np.uint8), np.full(count, base - 1, np.uint8)
    alternating = np.resize(np.array([0, base - 1], np.uint8), count)
    digits = np.stack([low, high, alternating, alternating[::-1]], axis=1)
    words = pack_radix(digits, base, bits)
    np.testing.assert_array_equal(unpack_radix(words, base, bits, count), digits)


@pytest.mark.parametrize("bits", BITS)
def test_first_digit_is_what_overflows_first(bits: int) -> None:
    words = pack_radix(np.array([[0, 0, 0, 2], [0, 0, 0, 1]], np.uint8), 3, bits).tolist()
    fraction = words[-1] if bits == 32 else (words[-2] << 32) + words[-1]
    assert fraction * 3 >> bits == 2
    assert (fraction * 3 % (1 << bits)) * 3 >> bits == 1


def test_digit_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="base 3"):
        pack_radix(np.array([[0, 3, 0, 0]], np.uint8), 3, 32)
