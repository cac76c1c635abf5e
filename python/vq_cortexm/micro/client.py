"""Asks a device over a transport: one request at a time, repeated until it is answered.

The rules are those of docs/protocol.md. A request ends with its own answer or with an error, and
within a time that follows from the line's speed, the device's work and what answers took so far.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Container, Iterable
from contextlib import suppress
from dataclasses import dataclass

from ..errors import DeviceError
from .frames import Frame, FrameReader, encode, encoded_bytes
from .messages import (
    ANSWER,
    COUNTERS_BYTES,
    HELLO,
    LAYERS,
    LOAD,
    READ,
    RUN,
    RUN_ANSWER_BYTES,
    THRESHOLD,
    VERSION,
    Counters,
    Hello,
    Kind,
    RunAnswer,
    Status,
    parse_counters,
    parse_hello,
    parse_layers,
    parse_run,
    parse_threshold,
)
from .pace import Pace, growing_waits
from .transport import IoTimeoutError, Transport, TransportTimeouts

_SMALLEST_PIECE = 16
"""Of an input or output, in bytes: what is asked for at once on a bad line."""
_READ_BYTES = 4096
_HELLO_BYTES = 256
"""About what hello's answer has."""


class NoAnswerError(DeviceError):
    """A request that nobody answered in time."""


class NoSessionError(DeviceError):
    """The device has started anew: it has neither inputs nor outputs."""


@dataclass
class LinkCounts:
    """What a client has seen of its line."""

    requests: int = 0
    repeats: int = 0
    frames_dropped: int = 0


@dataclass(frozen=True)
class _Request:
    """Its answer has `answer_bytes` of payload; of a transfer it asks for `piece_bytes`."""

    kind: Kind
    sequence: int
    payload: bytes
    answer_bytes: int
    piece_bytes: int = 0


class Client:
    """One side of a link; the transport is opened and closed by others.

    All methods raise NoAnswerError, NoSessionError and TransportClosedError; DeviceError for a
    device that says no.
    """

    def __init__(self, transport: Transport, timeouts: TransportTimeouts) -> None:
        self.counts = LinkCounts()
        self._transport = transport
        self._timeouts = timeouts
        self._line = transport.line()
        self._reader = FrameReader()
        self._hello: Hello | None = None
        self._session = (transport.first_session or 1 + secrets.randbelow(0xFFFF)) - 1
        self._sequence = 0
        # carried out once for its number, which therefore must not come again
        self._last_run: int | None = None
        self._pace = Pace(self._line.latency_seconds, self._established)
        self._piece_bytes = 0

    @property
    def hello(self) -> Hello:
        """The last hello's answer; DeviceError before `start`."""
        if self._hello is None:
            raise DeviceError("the device has not been asked for its hello")
        return self._hello

    def start(self) -> Hello:
        """Says hello, with a session of its own, until the device answers."""
        # 0 is no session's number
        self._session = self._session % 0xFFFF + 1
        self._sequence, self._last_run = 0, None
        self._reader = FrameReader()
        retry = self._timeouts.session_start_retry_timeout_sec
        limit = self._timeouts.session_start_timeout_sec
        waits = growing_waits(retry, retry, limit)
        hello = parse_hello(self._ask(Kind.HELLO, HELLO.pack(VERSION), _HELLO_BYTES, waits))
        self._hello = hello
        self._piece_bytes = self._largest_piece
        return hello

    def load(self, index: int, data: bytes) -> None:
        """Loads a whole input."""

        def piece(offset: int, size: int) -> bytes:
            return LOAD.pack(index, 0, offset) + data[offset : offset + size]

        self._transfer(Kind.LOAD, len(data), piece)

    def read(self, index: int, size: int) -> bytes:
        """A whole output of `size` bytes, of the last inference."""

        def piece(offset: int, size: int) -> bytes:
            return READ.pack(index, size, offset)

        data = self._transfer(Kind.READ, size, piece)
        if len(data) != size:
            raise DeviceError(f"output {index} came with {len(data)} bytes in place of {size}")
        return data

    def run(self, inferences: int, expected_seconds: float, limit_seconds: float) -> RunAnswer:
        """Runs the model; the answer is looked for after `expected_seconds` (0 where nobody knows)
        and given up some time after `limit_seconds`."""
        waits = self._pace.waits(self._established + limit_seconds, expected_seconds)
        payload = self._ask(Kind.RUN, RUN.pack(inferences), RUN_ANSWER_BYTES, waits)
        return parse_run(payload)

    def layers(self) -> tuple[int, ...]:
        """Cycles of all layers in the last inference."""
        count = self.hello.layers
        cycles: tuple[int, ...] = ()
        while len(cycles) < count:
            wanted = min(4 * (count - len(cycles)), self.hello.payload_bytes)
            part = parse_layers(self._ask(Kind.LAYERS, LAYERS.pack(len(cycles)), wanted))
            if not part:
                raise DeviceError(f"cycles of {len(cycles)} layers came in place of {count}")
            cycles += part
        return cycles[:count]

    def counters(self) -> Counters:
        """The device's counters."""
        return parse_counters(self._ask(Kind.COUNTERS, b"", COUNTERS_BYTES))

    def set_threshold(self, index: int, value: int) -> None:
        """Sets a threshold, int32; DeviceError if another value holds then."""
        held = parse_threshold(self._ask(Kind.THRESHOLD, THRESHOLD.pack(index, 1, value), 4))
        if held != value:
            raise DeviceError(f"threshold {index} was set to {value} and is {held}")

    def reset(self) -> None:
        """Starts the device anew; `start` has to follow."""
        # where the answer is lost, the repeated request meets a device that has started anew
        with suppress(NoSessionError):
            self._ask(Kind.RESET, b"", 0)

    @property
    def _established(self) -> float:
        return self._timeouts.session_established_timeout_sec

    @property
    def _largest_piece(self) -> int:
        return self.hello.payload_bytes - LOAD.size

    def _transfer(self, kind: Kind, size: int, request: Callable[[int, int], bytes]) -> bytes:
        """Asks for `request(offset, bytes)` until `size` bytes have gone, and joins the answers.

        On a bad line pieces get smaller, for fewer bytes are less likely to be hit; of all sizes
        those do best that arrive about half the time.
        """
        largest, offset, data = self._largest_piece, 0, b""
        while offset < size:
            asked: dict[int, _Request] = {}
            for wait in self._pace.waits(self._established):
                piece = min(self._piece_bytes, size - offset)
                answer_bytes = piece if kind == Kind.READ else 0
                sequence = self._next_sequence()
                asked[sequence] = _Request(
                    kind, sequence, request(offset, piece), answer_bytes, piece
                )
                # an answer to any of the attempts is as good
                answer = self._attempt(asked[sequence], asked, wait, is_repeat=len(asked) > 1)
                if answer is not None:
                    self._piece_bytes = min(self._piece_bytes * 3 // 2, largest)
                    break
                self._piece_bytes = max(self._piece_bytes * 2 // 3, _SMALLEST_PIECE)
            else:
                raise self._no_answer(kind)
            data += answer.payload
            offset += asked[answer.sequence].piece_bytes
        return data

    def _ask(
        self, kind: Kind, payload: bytes, answer_bytes: int, waits: Iterable[float] = ()
    ) -> bytes:
        """The answer's payload; the request is repeated after each of `waits`, by default as often
        as the session's time-out allows."""
        request = _Request(kind, self._next_sequence(), payload, answer_bytes)
        if kind in (Kind.RUN, Kind.RESET):
            self._last_run = request.sequence
        accepted = (request.sequence,)
        for attempt, wait in enumerate(waits or self._pace.waits(self._established)):
            answer = self._attempt(request, accepted, wait, is_repeat=attempt > 0)
            if answer is not None:
                return answer.payload
        raise self._no_answer(kind)

    def _attempt(
        self,
        request: _Request,
        accepted: Container[int],
        wait_seconds: float,
        *,
        is_repeat: bool,
    ) -> Frame | None:
        """Sends a request; the answer that says yes to one of the numbers `accepted`, None if there
        is none within `wait_seconds` and the time that the bytes take on the line."""
        frame = encode(
            Frame(request.kind, Status.DONE, self._session, request.sequence, request.payload)
        )
        line = (len(frame) + encoded_bytes(request.answer_bytes)) / self._line.bytes_per_second
        start = time.monotonic()
        self.counts.requests += not is_repeat
        self.counts.repeats += is_repeat
        answer = None
        with suppress(IoTimeoutError):
            self._transport.write(frame, line + wait_seconds)
            answer = self._await(request.kind, accepted, start + line + wait_seconds)
        if answer is None:
            return None
        # of others nobody knows what they wait for: a start, the model, or which of the attempts
        if not is_repeat and request.kind not in (Kind.HELLO, Kind.RUN):
            self._pace.answered(time.monotonic() - start - line)
        return _accept(answer)

    def _await(self, kind: Kind, accepted: Container[int], until: float) -> Frame | None:
        """The answer to a request; every other frame is an answer that came too late."""
        while (left := until - time.monotonic()) > 0:
            dropped = self._reader.dropped
            frames = self._reader.feed(self._transport.read(_READ_BYTES, left))
            self.counts.frames_dropped += self._reader.dropped - dropped
            for frame in frames:
                if frame.session != self._session:
                    continue
                if frame.kind == kind + ANSWER and frame.sequence in accepted:
                    return frame
                self._pace.late()
        return None

    def _next_sequence(self) -> int:
        self._sequence = (self._sequence + 1) & 0xFFFF
        if self._sequence == self._last_run:
            self._sequence = (self._sequence + 1) & 0xFFFF
        return self._sequence

    def _no_answer(self, kind: Kind) -> NoAnswerError:
        counts = self.counts
        return NoAnswerError(
            f"no answer to {kind.name.lower()} in time ({counts.requests} requests, "
            f"{counts.repeats} repeats and {counts.frames_dropped} damaged answers so far)"
        )


def _accept(answer: Frame) -> Frame:
    """An answer that says yes; else the error that it tells of."""
    if answer.status == Status.DONE:
        return answer
    if answer.status in (Status.NO_SESSION, Status.NO_RESULT):
        raise NoSessionError("the device has started anew")
    if answer.status == Status.VERSION:
        raise DeviceError(
            f"the firmware speaks another version of the protocol than {VERSION}; "
            "build and flash it again"
        )
    refused = Kind(answer.kind - ANSWER).name.lower()
    known = {int(status): status.name.lower() for status in Status}
    why = known.get(answer.status, str(answer.status))
    raise DeviceError(f"the device refused {refused}: {why}")
