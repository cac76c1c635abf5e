"""Weights that are decoded where they are used: a few channels of them at a time, into scratch.

A kernel's words of weights are four of them each. `nary.encoding` says how they are stored;
routines bring any run of words back, each pass going over the same words in scratch:

    decode_radix     groups of words from four fractions     digits, or their upper parts
    decode_fields    blocks of eight words                   digits, or their lower parts
    decode_table     in place                                digits of a codebook to values

Weights come in one of two forms, with a number that is added to each byte:

    halves    31        24 23        16 15         8 7          0     lanes of 16 bits
              │     256 * w[3] + w[2]     │     256 * w[1] + w[0]    │
    bytes     │    w[3]    │    w[2]     │    w[1]    │    w[0]     │     lanes of 8 bits

Groups and blocks are decoded whole, so a few words before and behind the run are overwritten.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..compat import Expr
from ..nary.encoding import Encoding, Realisation, encode
from ..nary.fields import BLOCK
from ..target import Isa
from .micro_kernel import MicroKernel
from .tir import Buffer, FunctionBuilder, T, as_expr, at, call

_ONES = {8: 0x01010101, 16: 0x00010001}


@dataclass(frozen=True, eq=False)
class Pass:
    """A routine, what it reads, and the words it makes at a time from so many of those."""

    micro: MicroKernel
    constant: NDArray[np.int8] | NDArray[np.int32]
    words: int
    stored: int


@dataclass(frozen=True, eq=False)
class Decoder:
    """The passes that bring weights back."""

    encoding: Encoding
    passes: tuple[Pass, ...]

    @property
    def margin(self) -> int:
        """Words before and behind a run that may be overwritten, at most."""
        return max(one.words for one in self.passes) - 1

    @property
    def constants(self) -> tuple[NDArray[np.int8] | NDArray[np.int32], ...]:
        """What the passes read."""
        return tuple(one.constant for one in self.passes)

    @property
    def size_bytes(self) -> int:
        """Of what the passes read."""
        return sum(constant.nbytes for constant in self.constants)

    @property
    def routines(self) -> tuple[MicroKernel, ...]:
        """Of the passes."""
        return tuple(one.micro for one in self.passes)

    def declare(self, builder: FunctionBuilder) -> list[Buffer]:
        """The constants as parameters of a function."""
        return [
            builder.parameter(f"weights{i}", constant.shape, str(constant.dtype))
            for i, constant in enumerate(self.constants)
        ]

    def bring(
        self,
        words: Buffer,
        start: int,
        constants: list[Buffer],
        tile: Expr | int,
        tile_words: int,
        count: Expr | int,
    ) -> None:
        """Decodes the `count` first words of a tile to words[start:]; `tile_words` lie between the
        tiles' first ones."""
        for one, constant in zip(self.passes, constants, strict=True):
            if one.stored == 0:
                call(one.micro.symbol, at(words, start), at(constant, 0), count)
                continue
            if tile_words % one.words == 0:
                source = at(constant, tile * (tile_words // one.words * one.stored))
                call(one.micro.symbol, at(words, start), source, _runs(count, one.words))
                continue
            # a tile may start inside a group
            first = as_expr(tile * tile_words)
            inside = T.truncmod(first, one.words)
            source = at(constant, T.truncdiv(first, one.words) * one.stored)
            groups = _runs(inside + count, one.words)
            call(one.micro.symbol, at(words, start - inside), source, groups)


def _runs(words: Expr | int, size: int) -> Expr | int:
    """How many runs of `size` words cover them."""
    if isinstance(words, int):
        return -(-words // size)
    return T.truncdiv(words + (size - 1), size)


def in_lanes(weights: NDArray[np.int8], lanes: int, added: int = 0) -> NDArray[np.int64]:
    """(N, 4) weights as N words, `added` more than they are: what a decoder brings."""
    wide = weights.astype(np.int64) + added
    if lanes == 16:
        halves = (256 * wide[:, 1::2] + wide[:, 0::2]) & 0xFFFF
        return np.asarray(halves[:, 0] | halves[:, 1] << 16)
    return np.asarray((wide & 0xFF) @ np.array([1, 1 << 8, 1 << 16, 1 << 24]))


def decoder(
    weights: NDArray[np.int8], realisation: Realisation, lanes: int, added: int, isa: Isa
) -> Decoder:
    """The decoder of (N, 4) weights that brings them in `lanes` of 8 or 16 bits, `added` more than
    they are."""
    encoding = encode(weights, realisation)
    split, words = encoding.split, encoding.words
    isa = "thumb" if isa == "thumb" else "thumb2"
    # values are made from digits by the last pass over digits
    made = _values(encoding, lanes, added)
    kept = {**made, "step": 1, "add": 0, "flip": 0, "full": False}
    codebook = realisation == "codebook"
    passes = []
    if split.base > 1:
        ending = made if not split.low_bits and not codebook else kept
        parameters = {
            "base": split.base,
            "digits": split.digits_per_fraction,
            "bits": split.fraction_bits,
            "low": split.low_bits,
            **ending,
        }
        stored = split.fraction_bits // 8
        micro = MicroKernel("decode_radix", parameters, isa)
        passes.append(
            Pass(micro, words.fractions.view(np.int32), split.digits_per_fraction, stored)
        )
    if split.low_bits:
        ending = kept if codebook else made
        parameters = {"low": split.low_bits, "merge": split.base > 1, **ending}
        micro = MicroKernel("decode_fields", parameters, isa)
        passes.append(Pass(micro, words.fields.view(np.int32), BLOCK, split.low_bits))
    if codebook:
        table = (encoding.table.astype(np.int16) + added).astype(np.int8)
        table = np.pad(table, (0, -len(table) % 4))
        passes.append(Pass(MicroKernel("decode_table", {"lanes": lanes}, isa), table, 1, 0))
    return Decoder(encoding, tuple(passes))


def _values(encoding: Encoding, lanes: int, added: int) -> dict[str, int | bool]:
    """How templates make values of digits: `add` has no carry out of a lane, whose top bit `flip`
    adds to; `full`: digits reach that bit."""
    ones = _ONES[lanes]
    tops = ones << (lanes - 1)
    addend = (encoding.first + added) * (257 if lanes == 16 else 1)
    spread = (addend & ((1 << lanes) - 1)) * ones
    largest = (encoding.split.levels - 1) * encoding.step
    return {
        "lanes": lanes,
        "step": encoding.step,
        "add": spread & ~tops,
        "flip": spread & tops,
        "full": largest >= 128,
    }
