"""Weights as stored and back, whatever they are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vq_cortexm.nary.encoding import (
    ENCODED,
    NESTED_LEVELS,
    decode,
    encode,
    possible_realisations,
)

words = st.lists(st.integers(-128, 127), min_size=1, max_size=60).map(
    lambda values: np.resize(np.array(values, np.int8), (-(-len(values) // 4), 4))
)


@given(words, st.sampled_from(ENCODED))
def test_inverse(weights: NDArray[np.int8], realisation: Any) -> None:
    encoding = encode(weights, realisation)
    np.testing.assert_array_equal(decode(encoding), weights)
    assert encoding.realisation == realisation


@given(words)
def test_possible_ones_are_smaller_and_differ(weights: NDArray[np.int8]) -> None:
    found = possible_realisations(weights)
    encoded = [encode(weights, name) for name in found if name != "nested"]
    assert all(one.split.bits < 8 for one in encoded)
    kinds = [(one.realisation == "codebook", one.split) for one in encoded]
    assert len(set(kinds)) == len(kinds)
    reach = max(-int(weights.min()), int(weights.max()) + 1)
    assert ("nested" in found) == (reach <= NESTED_LEVELS // 2)


def test_levels_that_lie_apart_are_uniform_with_a_step() -> None:
    weights = np.array([[-9, -3, 3, 9]], np.int8)
    encoding = encode(weights, "bitfield")
    assert (encoding.split.levels, encoding.first, encoding.step) == (4, -9, 6)
    assert possible_realisations(weights) == ["bitfield"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([-1, 0, 1], ["nested", "bitfield", "radix"]),
        (list(range(-8, 8)), ["nested", "bitfield"]),
        (list(range(-10, 11)), ["bitfield", "hybrid"]),
        ([-128, -3, 0, 5, 127], ["codebook"]),
        (list(range(-128, 128)), []),
    ],
)
def test_possible_realisations(values: list[int], expected: list[str]) -> None:
    assert possible_realisations(np.array(values, np.int8)) == expected


@pytest.mark.parametrize("levels", range(2, 257))
def test_stored_bits(levels: int) -> None:
    """Of tensors over 16 KB, with what fills up the last words."""
    values = np.arange(levels) - levels // 2
    weights = np.random.default_rng(levels).permutation(np.resize(values, 16_640))
    words = weights.astype(np.int8).reshape(-1, 4)
    fewest = 8 * min(encode(words, name).size_bytes for name in ("bitfield", "hybrid"))
    limit = 1.01 if math.log2(levels).is_integer() else 1.04
    assert fewest <= limit * math.log2(levels) * weights.size
