"""A serial port, by pySerial."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TypeVar

import serial
from serial.tools import list_ports

from ..errors import DeviceError
from .transport import (
    DEFAULT_BAUD,
    IoTimeoutError,
    Line,
    Transport,
    TransportClosedError,
    TransportTimeouts,
)

_BITS_PER_BYTE = 10
"""With start and stop bit."""

_Result = TypeVar("_Result")


class SerialTransport(Transport):
    """The serial port `port` (/dev/ttyACM0, COM3) at `baud`, 8N1, taken for this process alone."""

    def __init__(self, port: str, *, baud: int = DEFAULT_BAUD) -> None:
        self._port = port
        self._baud = baud
        self._serial: serial.Serial | None = None

    def timeouts(self) -> TransportTimeouts:
        """A board may still be starting, or a boot loader be waiting."""
        return TransportTimeouts(0.5, 10.0, 5.0)

    def line(self) -> Line:
        """At the port's own speed; adapters for USB hold bytes back for some milliseconds."""
        return Line(self._baud / _BITS_PER_BYTE, 0.1)

    def open(self) -> None:
        """Opens the port, and forgets what was received before. DeviceError: there is no such port,
        it is in use, or this user may not open it."""
        self.close()
        try:
            self._serial = serial.Serial(self._port, self._baud, exclusive=True)
            self._serial.reset_input_buffer()
        except (OSError, ValueError) as error:
            raise DeviceError(self._why_not_open(error)) from None

    def close(self) -> None:
        """Closes the port."""
        if self._serial is not None:
            self._serial.close()
            self._serial = None

    def read(self, n: int, timeout_sec: float) -> bytes:
        """As `Transport.read`."""
        port = self._opened()

        def receive() -> bytes:
            port.timeout = max(timeout_sec, 0.0)
            first = port.read(1)
            return first + port.read(min(n - 1, port.in_waiting)) if first else b""

        data = self._guarded(receive)
        if not data:
            raise IoTimeoutError(f"{self._port}: nothing within {timeout_sec:g} s")
        return data

    def write(self, data: bytes, timeout_sec: float) -> None:
        """As `Transport.write`."""
        port = self._opened()

        def send() -> None:
            port.write_timeout = max(timeout_sec, 0.0)
            port.write(data)

        self._guarded(send)

    def _guarded(self, action: Callable[[], _Result]) -> _Result:
        try:
            return action()
        except serial.SerialTimeoutException:
            raise IoTimeoutError(f"{self._port}: not all written in time") from None
        except OSError:
            raise TransportClosedError(f"{self._port}: the port is gone") from None

    def _opened(self) -> serial.Serial:
        if self._serial is None:
            raise TransportClosedError(f"{self._port}: not open")
        return self._serial

    def _why_not_open(self, error: OSError | ValueError) -> str:
        number = getattr(error, "errno", None)
        if number in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
            ports = ", ".join(sorted(port.device for port in list_ports.comports()))
            return f"{self._port}: no such serial port; there are: {ports or 'none'}"
        if number in (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK):
            return f"{self._port}: in use by another program; close it, or choose another port"
        if number in (errno.EACCES, errno.EPERM):
            return f"{self._port}: no permission to open it; on Debian its group is dialout"
        return f"{self._port}: {getattr(error, 'strerror', None) or error}"
