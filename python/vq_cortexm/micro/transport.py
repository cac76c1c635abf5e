"""A byte stream to a device: what every transport does, in microTVM's names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from ..errors import DeviceError, UsageError
from ..target import Board
from .cycle_model import InferenceRecord

DEFAULT_BAUD = 115_200
"""Bits per second of a serial line."""


def check_baud(board: Board, baud: int) -> None:
    """UsageError, with those that work, for a rate that the board's UART cannot make."""
    if not board.least_baud <= baud <= board.most_baud:
        raise UsageError(
            f"baud {baud}: the UART of {board.name} works with {board.least_baud} "
            f"to {board.most_baud} bits per second"
        )


class IoTimeoutError(DeviceError):
    """Nothing could be read, or not all written, in the time that was given."""


class TransportClosedError(DeviceError):
    """The other end is gone, or the transport is not open."""


@dataclass(frozen=True)
class TransportTimeouts:
    """What a session waits for, in seconds.

    Until the device says hello it is asked again every `session_start_retry_timeout_sec`, and given
    up after `session_start_timeout_sec`. Then a request may take `session_established_timeout_sec`
    beside what the line and the model's own work take.
    """

    session_start_retry_timeout_sec: float
    session_start_timeout_sec: float
    session_established_timeout_sec: float


@dataclass(frozen=True)
class Line:
    """How fast a link is. Nothing but waiting depends on it.

    `latency_seconds` is what the way there and back takes beside the bytes' own time, at first
    sight. `cycles_per_second` is what an emulator manages at least; None where the clock that the
    device tells of is a real one.
    """

    bytes_per_second: float = 11_520.0
    latency_seconds: float = 0.1
    cycles_per_second: float | None = None


class Transport(ABC):
    """A byte stream, opened and closed as a context manager, any number of times.

    Bytes may be lost or damaged on the way; what is not lost stays in order. One thread at a time.
    """

    metadata: Mapping[str, Any] | None = None
    """What `metadata.json` says of the model that the device should have, where this is known."""

    first_session: int | None = None
    """The number of the first session, 1 to 65535, where a certain one has to be taken."""

    @abstractmethod
    def timeouts(self) -> TransportTimeouts:
        """What a session should wait for."""

    @abstractmethod
    def open(self) -> None:
        """Makes the device reachable. DeviceError: it is not there, or another program has it;
        ToolError: a program that is needed is missing."""

    @abstractmethod
    def close(self) -> None:
        """Ends all that `open` began; harmless where nothing is open."""

    @abstractmethod
    def read(self, n: int, timeout_sec: float) -> bytes:
        """1 to `n` bytes, as soon as there are any. IoTimeoutError after `timeout_sec`,
        TransportClosedError."""

    @abstractmethod
    def write(self, data: bytes, timeout_sec: float) -> None:
        """Writes all of `data`. IoTimeoutError after `timeout_sec`, TransportClosedError."""

    def line(self) -> Line:
        """How fast it is."""
        return Line()

    def take_records(self) -> Sequence[InferenceRecord] | None:
        """What an emulator counted of each inference that ended since it was asked last; None where
        nobody counts."""
        return None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
