"""A transport that loses, doubles, damages and delays bytes of another one, the same each time."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .cycle_model import InferenceRecord
from .transport import IoTimeoutError, Line, Transport, TransportTimeouts

Fault = Literal["drop", "duplicate", "flip", "delay"]
FAULTS: tuple[Fault, ...] = ("drop", "duplicate", "flip", "delay")

_LONGEST_DELAY_SECONDS = 0.02


@dataclass(frozen=True)
class _Piece:
    """Bytes behind a delay."""

    wait_seconds: float
    data: bytes


class FaultyLink(Transport):
    """`inner` over a bad line: each byte of both directions meets one of `faults` with the
    probability `rate`.

    What happens to a byte follows from `seed` and the byte's place in its direction alone. A flip
    changes one bit; a delay, of up to 20 ms, holds up all that follows, so bytes stay in order.
    """

    def __init__(
        self,
        inner: Transport,
        *,
        rate: float,
        seed: int,
        faults: Sequence[Fault] = FAULTS,
    ) -> None:
        self._inner = inner
        self.metadata = inner.metadata
        self.first_session = inner.first_session
        self._rate = rate
        self._faults = tuple(faults)
        self._to_device, self._to_host = (random.Random(2 * seed + n) for n in range(2))
        self._received: list[_Piece] = []
        self._release = 0.0
        self.injected = dict.fromkeys(self._faults, 0)
        """How many of each."""

    def timeouts(self) -> TransportTimeouts:
        """The inner one's."""
        return self._inner.timeouts()

    def line(self) -> Line:
        """The inner one's."""
        return self._inner.line()

    def take_records(self) -> Sequence[InferenceRecord] | None:
        """The inner one's."""
        return self._inner.take_records()

    def open(self) -> None:
        """Opens the inner one."""
        self._received.clear()
        self._inner.open()

    def close(self) -> None:
        """Closes the inner one."""
        self._inner.close()

    def write(self, data: bytes, timeout_sec: float) -> None:
        """As `Transport.write`."""
        until = time.monotonic() + timeout_sec
        for piece in self._damage(self._to_device, data):
            time.sleep(piece.wait_seconds)
            if piece.data:
                self._inner.write(piece.data, max(until - time.monotonic(), 0.0))

    def read(self, n: int, timeout_sec: float) -> bytes:
        """As `Transport.read`."""
        until = time.monotonic() + timeout_sec
        while True:
            left = max(until - time.monotonic(), 0.0)
            if not self._received:
                self._take(self._inner.read(n, left))
                continue
            wait = self._release - time.monotonic()
            if wait > left:
                time.sleep(left)
                raise IoTimeoutError(f"nothing within {timeout_sec:g} s")
            time.sleep(max(wait, 0.0))
            piece = self._received.pop(0)
            if len(piece.data) > n:
                self._received.insert(0, _Piece(0.0, piece.data[n:]))
            self._begin()
            if piece.data:
                return piece.data[:n]

    def _take(self, data: bytes) -> None:
        self._received = self._damage(self._to_host, data)
        self._begin()

    def _begin(self) -> None:
        """The first piece's wait begins."""
        if self._received:
            self._release = time.monotonic() + self._received[0].wait_seconds

    def _damage(self, rng: random.Random, data: bytes) -> list[_Piece]:
        """What becomes of `data`: at least one piece, which may be empty."""
        pieces, part, wait = [], bytearray(), 0.0
        for byte in data:
            if rng.random() >= self._rate:
                part.append(byte)
                continue
            fault = rng.choice(self._faults)
            self.injected[fault] += 1
            if fault == "duplicate":
                part += bytes([byte, byte])
            elif fault == "flip":
                part.append(byte ^ 1 << rng.randrange(8))
            elif fault == "delay":
                pieces.append(_Piece(wait, bytes(part)))
                part, wait = bytearray([byte]), rng.uniform(0.0, _LONGEST_DELAY_SECONDS)
        return [*pieces, _Piece(wait, bytes(part))]
