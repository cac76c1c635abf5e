"""Serial ports, played by pseudo-terminals."""

from __future__ import annotations

import errno
import os
import tty
from collections.abc import Iterator

import pytest
import serial

from vq_cortexm.errors import DeviceError
from vq_cortexm.micro.serial_transport import SerialTransport
from vq_cortexm.micro.transport import IoTimeoutError, TransportClosedError

SECONDS = 30.0


@pytest.fixture
def terminal() -> Iterator[tuple[int, str]]:
    """The board's end, and the name of the port."""
    board, port = os.openpty()
    tty.setraw(port)
    yield board, os.ttyname(port)
    for end in (board, port):
        try:
            os.close(end)
        except OSError as error:
            assert error.errno == errno.EBADF


def test_bytes_both_ways(terminal: tuple[int, str]):
    board, port = terminal
    with SerialTransport(port) as transport:
        transport.write(b"\0\x01\x02hello\0", SECONDS)
        assert os.read(board, 100) == b"\0\x01\x02hello\0"
        os.write(board, bytes(range(200)))
        received = b""
        while len(received) < 200:
            piece = transport.read(64, SECONDS)
            assert 1 <= len(piece) <= 64
            received += piece
        assert received == bytes(range(200))


def test_nothing_comes(terminal: tuple[int, str]):
    with SerialTransport(terminal[1]) as transport, pytest.raises(IoTimeoutError, match="nothing"):
        transport.read(1, 0.01)


def test_nothing_is_taken(terminal: tuple[int, str]):
    with SerialTransport(terminal[1]) as transport, pytest.raises(IoTimeoutError, match="not all"):
        transport.write(bytes(1_000_000), 0.05)


def test_what_came_before_is_forgotten(terminal: tuple[int, str]):
    board, port = terminal
    os.write(board, b"old")
    with SerialTransport(port) as transport:
        os.write(board, b"new")
        received = b""
        while len(received) < 3:
            received += transport.read(10, SECONDS)
        assert received == b"new"


def test_speed():
    assert SerialTransport("/dev/ttyACM0").line().bytes_per_second == 11_520
    assert SerialTransport("/dev/ttyACM0", baud=921_600).line().bytes_per_second == 92_160


def test_no_such_port():
    with pytest.raises(DeviceError, match=r"^/dev/ttyNONE: no such serial port; there are: "):
        SerialTransport("/dev/ttyNONE").open()


def test_in_use(terminal: tuple[int, str]):
    port = terminal[1]
    with SerialTransport(port), pytest.raises(DeviceError, match=f"^{port}: in use by another"):
        SerialTransport(port).open()


def test_no_permission(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise serial.SerialException(errno.EACCES, "could not open port")

    monkeypatch.setattr(serial, "Serial", refuse)
    with pytest.raises(DeviceError, match=r"^/dev/ttyS0: no permission to open it; on Debian"):
        SerialTransport("/dev/ttyS0").open()


def test_the_port_goes(terminal: tuple[int, str]):
    board, port = terminal
    with SerialTransport(port) as transport:
        os.close(board)
        with pytest.raises(TransportClosedError, match=f"^{port}: the port is gone"):
            transport.read(1, SECONDS)


def test_not_open():
    transport = SerialTransport("/dev/ttyS0")
    transport.close()
    with pytest.raises(TransportClosedError, match="/dev/ttyS0: not open"):
        transport.write(b"1", 1.0)


def test_not_a_terminal(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"")
    with pytest.raises(DeviceError, match=f"^{file}: "):
        SerialTransport(str(file)).open()
