"""What went over a link as a text file, and a transport that plays it back without the device.

    vq-cortexm link 1
    session 4711
    line 11520.0 0.1 none
    timeouts 0.5 10.0 5.0
    0.000012 open
    0.000201 > 0002010184...            from the host, hexadecimal
    0.004112 < 0002816484...            from the device
    1.733018 closed the port is gone    the other end was lost

Seconds are since the recording began. A session that is played back asks the same as the recorded
one as long as its caller does: nothing that it sends depends on the time.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import IO

from ..errors import DeviceError, UsageError
from .cycle_model import InferenceRecord
from .transport import IoTimeoutError, Line, Transport, TransportClosedError, TransportTimeouts

_TITLE = "vq-cortexm link 1"


class RecordingTransport(Transport):
    """Records all that goes over `inner` into a file, from when it is opened first."""

    def __init__(self, inner: Transport, path: Path) -> None:
        self._inner = inner
        self._path = path
        self._file: IO[str] | None = None
        self._start: float | None = None
        self.metadata = inner.metadata
        self.first_session = inner.first_session or 1 + secrets.randbelow(0xFFFF)

    def timeouts(self) -> TransportTimeouts:
        """The inner one's."""
        return self._inner.timeouts()

    def line(self) -> Line:
        """The inner one's."""
        return self._inner.line()

    def take_records(self) -> Sequence[InferenceRecord] | None:
        """The inner one's; they are not recorded."""
        return self._inner.take_records()

    def open(self) -> None:
        """Opens the inner one; UsageError if the file cannot be written."""
        self._inner.open()
        try:
            # by lines, so that it is there whatever happens next
            mode = "w" if self._start is None else "a"
            self._file = self._path.open(mode, encoding="utf-8", buffering=1)
        except OSError as error:
            self._inner.close()
            raise UsageError(f"{self._path}: {error.strerror}") from None
        if self._start is None:
            self._start = time.monotonic()
            self._file.write(self._head())
        self._note("open")

    def close(self) -> None:
        """Closes the inner one. What happens when it is opened again is recorded too."""
        self._inner.close()
        if self._file is not None:
            self._file.close()
            self._file = None

    def read(self, n: int, timeout_sec: float) -> bytes:
        """As `Transport.read`."""
        try:
            data = self._inner.read(n, timeout_sec)
        except TransportClosedError as error:
            self._note(f"closed {error}")
            raise
        self._note(f"< {data.hex()}")
        return data

    def write(self, data: bytes, timeout_sec: float) -> None:
        """As `Transport.write`."""
        self._note(f"> {data.hex()}")
        try:
            self._inner.write(data, timeout_sec)
        except TransportClosedError as error:
            self._note(f"closed {error}")
            raise

    def _head(self) -> str:
        numbers = [
            ("session", (self.first_session,)),
            ("line", astuple(self.line())),
            ("timeouts", astuple(self.timeouts())),
        ]
        lines = [f"{name} {' '.join(str(n).lower() for n in values)}" for name, values in numbers]
        return "\n".join([_TITLE, *lines]) + "\n"

    def _note(self, event: str) -> None:
        if self._file is None or self._start is None:
            raise TransportClosedError("the transport is not open")
        self._file.write(f"{time.monotonic() - self._start:.6f} {event}\n")


class ReplayTransport(Transport):
    """Plays a recording: gives what the device said, and checks what the host says.

    DeviceError names the line where a caller asks something else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            title, session, line, timeouts, *lines = path.read_text(encoding="utf-8").splitlines()
            if title != _TITLE:
                raise ValueError(title)
            (self.first_session,) = (int(word) for word in _words(session, "session"))
            speed, latency, cycles = _words(line, "line")
            known = None if cycles == "none" else float(cycles)
            self._line = Line(float(speed), float(latency), known)
            self._timeouts = TransportTimeouts(*map(float, _words(timeouts, "timeouts")))
            self._events = [_event(text) for text in lines]
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from None
        except (ValueError, TypeError):
            raise UsageError(f"{path}: not a recording of a link, or a damaged one") from None
        self._next = 0
        self._rest = b""

    def timeouts(self) -> TransportTimeouts:
        """The recorded one's."""
        return self._timeouts

    def line(self) -> Line:
        """The recorded one's."""
        return self._line

    def open(self) -> None:
        """The next session of the recording."""
        self._rest = b""
        self._expect("open", "")

    def close(self) -> None:
        """Nothing is there to close."""

    def read(self, n: int, timeout_sec: float) -> bytes:
        """As `Transport.read`; nobody waits. Where the host spoke next, the time-out is over."""
        if not self._rest:
            kind, text = self._peek()
            if kind in (">", "open"):
                raise IoTimeoutError(f"{self._path}: nothing until line {self._line_number}")
            self._next += 1
            if kind == "closed":
                raise TransportClosedError(text)
            self._rest = bytes.fromhex(text)
        data, self._rest = self._rest[:n], self._rest[n:]
        return data

    def write(self, data: bytes, timeout_sec: float) -> None:
        """As `Transport.write`."""
        self._expect(">", data.hex())
        if self._next < len(self._events) and self._peek()[0] == "closed":
            self._next += 1
            raise TransportClosedError(self._events[self._next - 1][1])

    @property
    def _line_number(self) -> int:
        return self._next + 5

    def _peek(self) -> tuple[str, str]:
        if self._next == len(self._events):
            raise TransportClosedError(f"{self._path}: the recording ends here")
        return self._events[self._next]

    def _expect(self, kind: str, text: str) -> None:
        if self._peek() != (kind, text):
            raise DeviceError(
                f"{self._path}, line {self._line_number}: the recorded session went on otherwise"
            )
        self._next += 1


def _words(line: str, name: str) -> list[str]:
    first, *words = line.split()
    if first != name:
        raise ValueError(line)
    return words


def _event(line: str) -> tuple[str, str]:
    seconds, kind, *rest = line.split(" ", 2)
    text = rest[0] if rest else ""
    if float(seconds) < 0 or kind not in ("open", ">", "<", "closed"):
        raise ValueError(line)
    if kind in "<>":
        bytes.fromhex(text)
    return kind, text
