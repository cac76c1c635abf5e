"""The stream of words that a routine reads: its head, then a tile for each few output channels.

    head │ before │ weights │ after │ before │ weights │ after │ …

As a whole it is a constant (`PlainTiles`). Else weights are stored in fewer bits, and one tile at a
time is decoded to scratch behind the head (`DecodedTiles`); a routine is called for each tile then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compat import Expr
from ..nary.encoding import Realisation
from .decoding import Decoder, decoder, in_lanes
from .layer import StoredWeights
from .micro_kernel import MicroKernel
from .tir import Buffer, FunctionBuilder, at, loop, scratch, store


@dataclass(frozen=True, eq=False)
class Part:
    """What one call of a routine takes: `channels` output channels from `channel` on."""

    channel: Expr | int
    channels: int
    routine: MicroKernel
    stream: Expr


EachPart = Callable[[Callable[[Part], None]], None]
"""Calls its argument for one part after the other."""


@dataclass(frozen=True, eq=False)
class Tile:
    """Words before the weights, (N, 4) weights of a word each, words after them."""

    before: NDArray[Any]
    weights: NDArray[np.int8]
    after: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Stream:
    """What a routine reads for `channels`. All tiles are alike but for the last, which may have
    fewer than `size` channels; `lanes` and `added` say in which form of `decoding` weights come."""

    head: list[int]
    tiles: list[Tile]
    channels: int
    size: int
    lanes: int
    added: int = 0

    @property
    def weight_bytes(self) -> int:
        """Of all tiles, as one constant."""
        return sum(tile.weights.nbytes for tile in self.tiles)

    def words(self) -> NDArray[np.int32]:
        """As one constant."""
        parts: list[NDArray[Any]] = [np.array(self.head, np.int64)]
        for tile in self.tiles:
            parts += [tile.before, in_lanes(tile.weights, self.lanes, self.added), tile.after]
        return as_words(np.concatenate([part.astype(np.int64).reshape(-1) for part in parts]))


def as_words(values: NDArray[np.int64]) -> NDArray[np.int32]:
    """Their low 32 bits."""
    return (values & 0xFFFFFFFF).astype(np.uint32).view(np.int32)


@dataclass(frozen=True, eq=False)
class PlainTiles:
    """A stream as one constant, for a routine that takes all channels."""

    routine: MicroKernel
    channels: int
    stream: NDArray[np.int32]
    weight_bytes: int
    realisation: Realisation = "plain"

    is_decoded = False

    @property
    def constants(self) -> tuple[NDArray[Any], ...]:
        """Of the kernel."""
        return (self.stream,)

    @property
    def routines(self) -> tuple[MicroKernel, ...]:
        """That tiles are for."""
        return (self.routine,)

    def stored(self, _times: int) -> StoredWeights:
        """How weights are stored."""
        return StoredWeights(self.realisation, self.weight_bytes)

    def declare(self, builder: FunctionBuilder) -> Callable[[], EachPart]:
        """The constants as parameters; what it returns is called when all parameters are."""
        words = builder.parameter("w", self.stream.shape, "int32")
        return lambda: lambda emit: emit(Part(0, self.channels, self.routine, at(words, 0)))


@dataclass(frozen=True, eq=False)
class DecodedTiles:
    """A stream whose weights are decoded tile by tile. `routine` takes a full tile, `rest` the last
    one if that has fewer channels, with a head of its own."""

    stream: Stream
    realisation: Realisation
    routine: MicroKernel
    rest: MicroKernel | None = None
    rest_head: list[int] | None = None

    is_decoded = True

    def stored(self, times: int) -> StoredWeights:
        """How weights are stored; all are decoded so many times in a run."""
        words = sum(len(tile.weights) for tile in self.stream.tiles)
        return StoredWeights(self.realisation, self.decoder.size_bytes, times * words)

    @cached_property
    def decoder(self) -> Decoder:
        """Of all tiles' weights."""
        weights = np.concatenate([tile.weights for tile in self.stream.tiles])
        form = (self.stream.lanes, self.stream.added)
        return decoder(weights, self.realisation, *form, self.routine.isa)

    @cached_property
    def raw(self) -> NDArray[np.int32]:
        """The head, the tiles' other words, the last tile's head if it has one."""
        parts: list[NDArray[Any]] = [np.array(self.stream.head)]
        for tile in self.stream.tiles:
            parts += [tile.before.reshape(-1), tile.after.reshape(-1)]
        if self.rest_head:
            parts.append(np.array(self.rest_head))
        return as_words(np.concatenate(parts).astype(np.int64))

    @property
    def constants(self) -> tuple[NDArray[Any], ...]:
        """Of the kernel."""
        return (self.raw, *self.decoder.constants)

    @property
    def routines(self) -> tuple[MicroKernel, ...]:
        """That tiles are for."""
        return (*self.decoder.routines, *([self.routine] if self._full else []), *self._last)

    @property
    def _last(self) -> tuple[MicroKernel, ...]:
        return (self.rest,) if self.rest else ()

    @property
    def _full(self) -> int:
        """How many tiles `routine` takes."""
        return len(self.stream.tiles) - len(self._last)

    def declare(self, builder: FunctionBuilder) -> Callable[[], EachPart]:
        """The constants as parameters; what it returns is called when all parameters are."""
        raw = builder.parameter("raw", self.raw.shape, "int32")
        constants = self.decoder.declare(builder)
        return lambda: self._open(raw, constants)

    def _open(self, raw: Buffer, constants: list[Buffer]) -> EachPart:
        stream, first = self.stream, self.stream.tiles[0]
        head, words = len(stream.head), len(first.weights)
        others = first.before.size + first.after.size
        margin = self.decoder.margin
        # weights always start here; decoding may overwrite what is around them, which is copied
        # afterwards
        start = max(head + first.before.size, margin)
        size = start + words + max(first.after.size, margin)
        to = scratch("tile", (size,), "int32")

        def bring(index: Expr | int, tile: Tile, head_at: int) -> Expr:
            source, count = head + index * others, len(tile.weights)
            begin = start - tile.before.size - head
            self.decoder.bring(to, start, constants, index, words, count)
            _copy(to, begin, raw, head_at, head)
            _copy(to, begin + head, raw, source, tile.before.size)
            _copy(to, start + count, raw, source + tile.before.size, tile.after.size)
            return at(to, begin)

        def each_part(emit: Callable[[Part], None]) -> None:
            if self._full:
                with loop("tile_index", self._full) as index:
                    tile = bring(index, first, 0)
                    emit(Part(index * stream.size, stream.size, self.routine, tile))
            if self.rest:
                head_at = int(self.raw.size) - head if self.rest_head else 0
                tile = bring(self._full, stream.tiles[-1], head_at)
                done = self._full * stream.size
                emit(Part(done, stream.channels - done, self.rest, tile))

        return each_part


Tiles = PlainTiles | DecodedTiles


def _copy(to: Buffer, first: int, source: Buffer, start: Expr | int, count: int) -> None:
    """Words of a constant to scratch."""
    if count:
        with loop("i", count) as i:
            store(to, [first + i], source[start + i])


__all__ = ["DecodedTiles", "EachPart", "Part", "PlainTiles", "Stream", "Tile", "Tiles", "as_words"]
