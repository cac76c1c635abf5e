"""Reading and writing file descriptors with a time-out, for handlers."""

from __future__ import annotations

import os
import select
import time

from .rpc_errors import IoTimeoutError, TransportClosedError


def read_with_timeout(fd: int, n: int, timeout_sec: float | None) -> bytes:
    """1 to `n` bytes of a descriptor; None waits for as long as it takes.

    IoTimeoutError, or TransportClosedError at the end, where the descriptor is closed.
    """
    _wait([fd], [], _deadline(timeout_sec))
    data = os.read(fd, n)
    if not data:
        os.close(fd)
        raise TransportClosedError()
    return data


def write_with_timeout(fd: int, data: bytes, timeout_sec: float | None) -> int:
    """Writes all of `data`, or what could be written in time, and returns how many bytes these are.

    IoTimeoutError if none could be; TransportClosedError if nobody reads. The descriptor should not
    block.
    """
    deadline, written = _deadline(timeout_sec), 0
    while written < len(data):
        try:
            _wait([], [fd], deadline)
            written += os.write(fd, data[written:])
        except IoTimeoutError:
            if written:
                return written
            raise
        except BlockingIOError:
            continue
        except OSError as error:
            raise TransportClosedError() from error
    return written


def _deadline(timeout_sec: float | None) -> float | None:
    return None if timeout_sec is None else time.monotonic() + timeout_sec


def _wait(readers: list[int], writers: list[int], deadline: float | None) -> None:
    left = None if deadline is None else max(0.0, deadline - time.monotonic())
    if not any(select.select(readers, writers, [], left)):
        raise IoTimeoutError()
