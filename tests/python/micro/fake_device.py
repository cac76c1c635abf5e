"""A device in Python, after docs/protocol.md alone, and a transport that leads to it.

Its model has one input and one output of SIZE bytes: the input plus the threshold, byte by byte.
"""

from __future__ import annotations

import struct
import zlib
from collections import deque
from collections.abc import Callable

from cobs import cobs

from vq_cortexm.micro.transport import IoTimeoutError, Line, Transport, TransportTimeouts

SIZE = 40
PAYLOAD = 64
THRESHOLD = 3
CLOCK_HZ = 1_000_000
FINGERPRINT = b"\x01\x02\x03\x04\x05\x06\x07\x08"

Request = tuple[int, int, int, bytes]
"""Kind, session, sequence, payload."""


class FakeDevice(Transport):
    """Answers what is written; `lose` says of a request whether its answer is lost."""

    def __init__(self, lose: Callable[[Request], bool] = lambda _: False) -> None:
        self.lose = lose
        self.seen: list[Request] = []
        self.runs = 0
        self.resets = 0
        self.version = 1
        self.fingerprint = FINGERPRINT
        self.fault = (0, 0)
        self.counter, self.cycles, self.layers = 0, 0, (5, 6)
        self.is_open = False
        self._answers: deque[bytes] = deque()
        self.restart()

    def restart(self) -> None:
        """As after a loss of power."""
        self._session: int | None = None
        self._last_run: tuple[int, bytes] | None = None
        self._input = bytearray(SIZE)
        self._output: bytes | None = None
        self._threshold = THRESHOLD

    def timeouts(self) -> TransportTimeouts:
        return TransportTimeouts(0.01, 0.2, 0.2)

    def line(self) -> Line:
        return Line(1e7, 0.01, 1e9)

    def open(self) -> None:
        self.is_open = True

    def close(self) -> None:
        self.is_open = False

    def read(self, n: int, timeout_sec: float) -> bytes:
        if not self._answers:
            raise IoTimeoutError("nothing")
        data = self._answers.popleft()
        if len(data) > n:
            self._answers.appendleft(data[n:])
        return data[:n]

    def write(self, data: bytes, timeout_sec: float) -> None:
        for stuffed in data.split(b"\0"):
            if not stuffed:
                continue
            body = cobs.decode(stuffed)
            assert zlib.crc32(body[:-4]) == int.from_bytes(body[-4:], "little")
            kind, status, session, sequence = struct.unpack_from("<BBHH", body)
            assert status == 0
            request = (kind, session, sequence, bytes(body[6:-4]))
            self.seen.append(request)
            code, payload = self.answer(request)
            if not self.lose(request):
                self.say(kind + 128, code, session, sequence, payload)

    def say(self, kind: int, status: int, session: int, sequence: int, payload: bytes) -> None:
        """Puts an answer onto the line."""
        body = struct.pack("<BBHH", kind, status, session, sequence) + payload
        stuffed = cobs.encode(body + zlib.crc32(body).to_bytes(4, "little"))
        self._answers.append(stuffed + b"\0")

    def answer(self, request: Request) -> tuple[int, bytes]:
        """Status and payload."""
        kind, session, sequence, payload = request
        if kind == 1:
            if int.from_bytes(payload[:2], "little") != self.version:
                return 5, self.version.to_bytes(2, "little")
            self._session = session
            return 0, self.hello()
        if session != self._session:
            return 3, b""
        if kind == 2:
            index, zero, offset = struct.unpack_from("<HHI", payload)
            data = payload[8:]
            assert (index, zero) == (0, 0) and offset + len(data) <= SIZE
            self._input[offset : offset + len(data)] = data
            return 0, b""
        if kind == 3:
            count = int.from_bytes(payload, "little")
            if self._last_run is None or self._last_run[0] != sequence:
                self.runs += 1
                self._output = bytes((byte + self._threshold) & 255 for byte in self._input)
                self._last_run = sequence, struct.pack("<iiQ", 0, 0, self.cycles * count)
            return 0, self._last_run[1]
        if kind == 4:
            index, count, offset = struct.unpack("<HHI", payload)
            assert index == 0 and offset + count <= SIZE
            return (6, b"") if self._output is None else (0, self._output[offset : offset + count])
        if kind == 5:
            return 0, struct.pack("<2I", *self.layers)[4 * int.from_bytes(payload, "little") :]
        if kind == 6:
            return 0, struct.pack("<6I", 1, 2, 3, 4, 5, 6)
        if kind == 7:
            index, wants, value = struct.unpack("<HHi", payload)
            if index != 0:
                return 4, b""
            self._threshold = value if wants else self._threshold
            return 0, struct.pack("<i", self._threshold)
        if kind == 8:
            self.resets += 1
            self.restart()
            return 0, b""
        return 1, b""

    def hello(self) -> bytes:
        """The payload of hello's answer."""
        numbers = struct.pack("<HHIHHH", self.version, PAYLOAD, CLOCK_HZ, self.counter, 2, 1)
        rest = struct.pack("<BBII8sII", 1, 1, *self.fault, self.fingerprint, SIZE, SIZE)
        return numbers + rest + b"fake\0echo\0"
