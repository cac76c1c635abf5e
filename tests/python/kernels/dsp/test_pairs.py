"""Byte pairs: what a stream holds, by hand; and when sums stay within their words."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vq_cortexm.kernels.dsp.pairs import LANES, TILE, arrange, fits_pairs, in_fours, tiles
from vq_cortexm.kernels.tiles import Stream
from vq_cortexm.kernels.weights import accumulator_bounds


def wrapped(value: int) -> int:
    """As int32."""
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def halves(word: int) -> tuple[int, int]:
    """A word's low and high half as int16."""
    low = (word + (1 << 15)) % (1 << 16) - (1 << 15)
    return low, word >> 16


def low_byte(half: int) -> int:
    """As int8: one half of SXTB16."""
    return (half + 128) % 256 - 128


class Reader:
    """Words of a stream, one after the other."""

    def __init__(self, stream: NDArray[np.int32]) -> None:
        self.words = [int(word) for word in stream]

    def take(self, count: int) -> list[int]:
        taken, self.words = self.words[:count], self.words[count:]
        return taken


def draw(seed: int) -> tuple[NDArray[np.int8], NDArray[np.int32], NDArray[np.int32]]:
    """Weights (O, K), K even, biases and multipliers."""
    rng = np.random.default_rng(seed)
    channels, inputs = int(rng.integers(1, 14)), 2 * int(rng.integers(1, 20))
    weight = rng.integers(-127, 128, (channels, inputs)).astype(np.int8)
    bias = rng.integers(-(1 << 20), 1 << 20, channels).astype(np.int32)
    return weight, bias, rng.integers(0, 1 << 31, channels).astype(np.int32)


def pack(
    weight: NDArray[np.int8], bias: NDArray[np.int32], constants: NDArray[np.int32]
) -> NDArray[np.int32]:
    """The stream without a head."""
    return Stream([], tiles(weight, bias, constants), len(weight), TILE, LANES).words()


def outputs(pair_count: int, stream: Reader, x: NDArray[np.int64]) -> list[tuple[int, int]]:
    """(sum, multiplier) of the channels of a tile, as SMLAD, SXTB16 and SUB compute them."""
    starts = stream.take(2 * pair_count)
    p, b = starts[0::2], starts[1::2]
    for k in range(0, len(x), 2):
        for pair, word in enumerate(stream.take(pair_count)):
            for activation, half in zip(x[k : k + 2].tolist(), halves(word), strict=True):
                p[pair] = wrapped(p[pair] + activation * half)
                b[pair] = wrapped(b[pair] + activation * low_byte(half))
    multipliers = stream.take(2 * pair_count)
    even = [wrapped(p[i] - b[i]) for i in range(pair_count)]
    assert all(scaled % 256 == 0 for scaled in even)
    sums = [s for i in range(pair_count) for s in (even[i] >> 8, b[i])]
    return list(zip(sums, multipliers, strict=True))


@pytest.mark.parametrize("seed", range(30))
def test_a_stream_computes_the_sums_of_its_weights(seed: int) -> None:
    weight, bias, multiplier = draw(seed)
    x = np.random.default_rng(seed).integers(-128, 256, weight.shape[1])
    stream = Reader(pack(weight, bias, multiplier))
    found: list[tuple[int, int]] = []
    while len(found) < len(weight):
        found += outputs(1 if len(weight) - len(found) <= 2 else 2, stream, x)
    assert stream.words == []
    sums = weight.astype(np.int64) @ x + bias
    wanted = list(zip(sums.tolist(), multiplier.tolist(), strict=True))
    assert found[: len(weight)] == wanted
    # a channel that fills up the last pair is all zeros
    assert found[len(weight) :] in ([], [(0, 0)])


@pytest.mark.parametrize("seed", range(10))
def test_the_weights_come_back_from_the_words(seed: int) -> None:
    weight, bias, multiplier = draw(seed)
    weight = weight[:2] if len(weight) > 1 else np.repeat(weight, 2, axis=0)
    words = pack(weight, bias[:1].repeat(2), multiplier[:1].repeat(2))[2:-2]
    in_order = [half for word in words.tolist() for half in halves(word)]
    odd = [low_byte(half) for half in in_order]
    assert odd == weight[1].tolist()
    assert [(half - b) // 256 for half, b in zip(in_order, odd, strict=True)] == weight[0].tolist()


def test_no_constants_leave_none_in_the_stream() -> None:
    weight, bias, multiplier = draw(1)
    stream = pack(weight, bias, multiplier[:, np.newaxis][:, :0])
    pairs = (len(weight) + 1) // 2
    assert len(stream) == pairs * (2 + weight.shape[1] // 2)


@pytest.mark.parametrize("inputs", range(1, 14))
def test_in_fours_is_the_order_of_sxtb16(inputs: int) -> None:
    order = in_fours(inputs)
    assert sorted(i for i in order if i >= 0) == list(range(inputs))
    assert order.count(-1) == inputs % 2
    for start in range(0, inputs // 4 * 4, 4):
        # bytes 0 and 2 of a word, then of the word rotated right by 8
        assert order[start : start + 4] == [start, start + 2, start + 1, start + 3]


def test_arranged_weights_follow_the_order_and_are_zero_at_gaps() -> None:
    weight = np.array([[1, 2, 3], [4, 5, 6]], np.int8)
    assert arrange(weight, [2, -1, 0, 1]).tolist() == [[3, 0, 1, 2], [6, 0, 4, 5]]


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_bounds_are_reached_and_not_exceeded(dtype: str) -> None:
    rng = np.random.default_rng(1)
    weight, bias = draw(2)[:2]
    info = np.iinfo(dtype)
    lowest, highest = accumulator_bounds(weight, bias, dtype)
    wide = weight.astype(np.int64)
    worst = np.where(wide > 0, info.max, info.min)
    best = np.where(wide > 0, info.min, info.max)
    assert np.array_equal((wide * worst).sum(axis=1) + bias, highest)
    assert np.array_equal((wide * best).sum(axis=1) + bias, lowest)
    x = rng.integers(info.min, info.max + 1, (weight.shape[1], 1000))
    sums = wide @ x + bias[:, np.newaxis]
    assert np.all(sums >= lowest[:, np.newaxis])
    assert np.all(sums <= highest[:, np.newaxis])


@pytest.mark.parametrize(
    ("even", "odd", "fits"),
    [(-128, 0, True), (-128, -1, False), (127, 127, True), (-127, -128, True)],
)
def test_each_half_must_fit_int16(even: int, odd: int, fits: bool) -> None:
    weight = np.array([[1, even], [1, odd]], np.int8)
    small = np.zeros(2, np.int64)
    assert fits_pairs(weight, small, small) == fits
    # the other channel's neighbour is the zero that fills up the pair
    assert fits_pairs(weight[:1], small[:1], small[:1])


def test_only_the_sums_of_even_channels_are_limited() -> None:
    weight = np.ones((3, 2), np.int8)
    limit = 1 << 23
    large = np.array([limit - 1, limit * 8, 0])
    assert fits_pairs(weight, -large - 1, large)
    for channel, fits in ((0, False), (1, True), (2, False)):
        sums = np.zeros(3, np.int64)
        sums[channel] = limit
        assert fits_pairs(weight, 0 * sums, sums) == fits
        assert fits_pairs(weight, -sums - 1, 0 * sums) == fits
