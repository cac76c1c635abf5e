"""The constants of depthwise layers, a row for each output channel: words of its own, then bytes of
its taps in an order that the routines want.

    row    │ own … │ taps[order[0]] taps[order[1]] … │

As a whole they are a constant (`PlainRows`). Else taps are stored in fewer bits, a few channels
next to each other, and these channels' rows are made in scratch (`DecodedRows`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compat import Expr
from ..nary.encoding import ENCODED, Realisation
from ..target import Isa
from .decoding import Decoder, decoder
from .layer import StoredWeights
from .micro_kernel import MicroKernel
from .tir import Buffer, FunctionBuilder, T, as_expr, at, bind, call, scratch, when
from .weights import padded

CHANNELS = 8
"""That are decoded at once, a multiple of four: taps of four channels are whole words."""
_MOST_TAPS = 128
"""For which rows are made by straight code."""


@dataclass(frozen=True, eq=False)
class OpenRows:
    """Inside a function: `bring(channel)` has to be called before the first of each CHANNELS
    channels is used, `row(channel)` is the address of a row."""

    bring: Callable[[Expr | int], None]
    row: Callable[[Expr | int], Expr]


@dataclass(frozen=True, eq=False)
class PlainRows:
    """(O, words)"""

    rows: NDArray[np.int32]
    weight_bytes: int
    routines: tuple[MicroKernel, ...] = ()

    @property
    def constants(self) -> tuple[NDArray[Any], ...]:
        """Of the kernel."""
        return (self.rows,)

    def stored(self, _times: int) -> StoredWeights:
        """How weights are stored."""
        return StoredWeights(size_bytes=self.weight_bytes)

    def declare(self, builder: FunctionBuilder) -> Callable[[], OpenRows]:
        """The constants as parameters; what it returns is called when all parameters are."""
        rows = builder.parameter("w", self.rows.shape, "int32")
        return lambda: OpenRows(lambda _: None, lambda channel: at(rows, channel, 0))


@dataclass(frozen=True, eq=False)
class DecodedRows:
    """`own`: (O, n) words, `taps`: (O, K) weights, `order`: of a row's bytes, -1 for a zero."""

    own: NDArray[np.int32]
    taps: NDArray[np.int8]
    order: NDArray[np.int64]
    realisation: Realisation
    isa: Isa

    @cached_property
    def decoder(self) -> Decoder:
        """Of all channels' taps."""
        taps = padded(self.taps.astype(np.int64), 4).astype(np.int8)
        return decoder(taps.reshape(-1, 4), self.realisation, 8, 0, self.isa)

    def stored(self, times: int) -> StoredWeights:
        """How weights are stored; all are decoded so many times in a run."""
        decoded = times * self.decoder.encoding.count
        return StoredWeights(self.realisation, self.decoder.size_bytes, decoded)

    @property
    def _assembly(self) -> MicroKernel:
        parameters = {
            "own": self.own.shape[1],
            "taps": self.taps.shape[1],
            "order": ",".join(map(str, self.order.tolist())),
        }
        return MicroKernel("depthwise_rows", parameters, self.isa)

    @property
    def routines(self) -> tuple[MicroKernel, ...]:
        """That make rows."""
        return (*self.decoder.routines, self._assembly)

    @property
    def constants(self) -> tuple[NDArray[Any], ...]:
        """Of the kernel."""
        return (self.own, *self.decoder.constants)

    def declare(self, builder: FunctionBuilder) -> Callable[[], OpenRows]:
        """The constants as parameters; what it returns is called when all parameters are."""
        own = builder.parameter("own", self.own.shape, "int32")
        constants = self.decoder.declare(builder)
        return lambda: self._open(own, constants)

    def _open(self, own: Buffer, constants: list[Buffer]) -> OpenRows:
        channels, tile_words = len(self.own), self.taps.shape[1] * CHANNELS // 4
        words = self.own.shape[1] + len(self.order) // 4
        margin = self.decoder.margin
        taps = scratch("taps", (tile_words + 2 * margin,), "int32")
        rows = scratch("tap_rows", (CHANNELS, words), "int32")

        def bring(channel: Expr | int) -> None:
            tile = T.truncdiv(as_expr(channel), CHANNELS)
            first = bind("first_row", tile * CHANNELS)
            count = T.min(CHANNELS, channels - first) if channels % CHANNELS else CHANNELS
            words_left = self.decoder.encoding.count - tile * tile_words
            is_even = self.decoder.encoding.count % tile_words == 0
            decoded = tile_words if is_even else T.min(tile_words, words_left)
            self.decoder.bring(taps, margin, constants, tile, tile_words, decoded)
            source = at(taps, margin)
            call(self._assembly.symbol, at(rows, 0, 0), at(own, first, 0), source, count)

        def bring_once(channel: Expr | int) -> None:
            if isinstance(channel, int):
                bring(channel)
                return
            with when(T.truncmod(channel, CHANNELS) == 0):
                bring(channel)

        def row(channel: Expr | int) -> Expr:
            return at(rows, T.truncmod(as_expr(channel), CHANNELS), 0)

        return OpenRows(bring_once, row)


Rows = PlainRows | DecodedRows


def rows_of(
    own: NDArray[np.int32],
    taps: NDArray[np.int8],
    order: NDArray[np.int64],
    realisation: Realisation,
    isa: Isa,
) -> Rows:
    """Rows of (O, n) words and of (O, K) taps in an order, (bytes,), a multiple of 4."""
    if realisation in ENCODED and taps.shape[1] <= _MOST_TAPS:
        return DecodedRows(own, taps, order, realisation, isa)
    extended = np.concatenate([taps, np.zeros((len(taps), 1), np.int8)], axis=1)
    coefficients = np.ascontiguousarray(extended[:, order]).view(np.int32)
    return PlainRows(np.concatenate([own, coefficients], axis=1), coefficients.nbytes)
