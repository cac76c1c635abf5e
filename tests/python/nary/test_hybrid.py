"""Low bits as fields, the rest as radix digits: how few bits a digit takes."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from vq_cortexm.nary.fields import BLOCK
from vq_cortexm.nary.hybrid import Hybrid, best_hybrid, pack_hybrid, unpack_hybrid

LEVELS = range(2, 257)
WORST = 1.0372
"""Stored bits over log2 of the levels."""


@pytest.mark.parametrize("levels", LEVELS)
def test_inverse_and_size(levels: int) -> None:
    split = best_hybrid(levels)
    for count in (0, 1, 40, 5_000):
        digits = np.random.default_rng(levels).integers(0, levels, (count, 4)).astype(np.uint8)
        words = pack_hybrid(digits, split)
        np.testing.assert_array_equal(unpack_hybrid(words, split, count), digits)
        # the last ones of either kind may be part empty
        blocks = -(-count // BLOCK)
        groups = -(-count // split.digits_per_fraction) if split.base > 1 else 0
        bits = 4 * (BLOCK * blocks * split.low_bits + groups * split.fraction_bits)
        assert 8 * words.size_bytes == bits


@pytest.mark.parametrize("levels", LEVELS)
def test_bits_of_the_best_split(levels: int) -> None:
    least, bits = math.log2(levels), best_hybrid(levels).bits
    if least.is_integer():
        assert bits == least
    else:
        assert least < bits <= WORST * least


def test_worst_case_is_what_is_said() -> None:
    ratios = [best_hybrid(levels).bits / math.log2(levels) for levels in LEVELS]
    assert max(ratios) == pytest.approx(WORST, abs=5e-5)


@pytest.mark.parametrize("levels", [2, 3, 7, 100, 129, 256])
def test_every_split_is_inverse(levels: int) -> None:
    digits = np.resize(np.arange(levels), (levels, 4)).astype(np.uint8)
    for low_bits, bits in itertools.product(range(9), (32, 64)):
        split = Hybrid(levels, low_bits, bits)
        assert split.base << low_bits >= levels
        words = pack_hybrid(digits, split)
        np.testing.assert_array_equal(unpack_hybrid(words, split, levels), digits)


def test_64_bits_are_taken_where_32_hold_too_few_digits() -> None:
    assert {levels for levels in LEVELS if best_hybrid(levels).fraction_bits == 64} >= {5, 25, 49}
    assert best_hybrid(3) == Hybrid(3, 0, 32)


def test_digit_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="5 levels"):
        pack_hybrid(np.array([[0, 5, 0, 0]], np.uint8), best_hybrid(5))
