"""Digits as fields of n bits, in four lanes."""

from __future__ import annotations

import numpy as np
import pytest

from vq_cortexm.nary.fields import BLOCK, pack_fields, unpack_fields

BITS = range(1, 9)


@pytest.mark.parametrize("count", [0, 1, 4, 31, 32, 33, 997])
@pytest.mark.parametrize("bits", BITS)
def test_inverse_in_few_words(bits: int, count: int) -> None:
    digits = np.random.default_rng(count).integers(0, 1 << bits, (count, 4)).astype(np.uint8)
    words = pack_fields(digits, bits)
    assert words.dtype == np.uint32
    assert len(words) == -(-count // BLOCK) * bits
    np.testing.assert_array_equal(unpack_fields(words, bits, count), digits)


def test_a_lane_is_a_stream_of_its_own() -> None:
    digits = np.array([[1, 0, 0, 5], [2, 0, 0, 6], [7, 0, 0, 7]], np.uint8)
    low, high, _ = (int(word) for word in pack_fields(digits, 3))
    assert (low & 0xFF, high & 0xFF) == (0b11_010_001, 0b1)
    assert (low >> 24, high >> 24) == (0b11_110_101, 0b1)
    assert (low | high) & 0x00FFFF00 == 0


@pytest.mark.parametrize(("digit", "bits"), [(2, 1), (8, 3), (128, 7), (0, 0), (0, 9)])
def test_digit_without_room_is_refused(digit: int, bits: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        pack_fields(np.array([[0, digit, 0, 0]], np.uint8), bits)
