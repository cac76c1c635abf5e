"""Messages between a client and a measuring server, over TCP.

    0 ... 3    4 ... 7           8 ... 39             40 ...
    +--------+-----------------+--------------------+----------------------+
    | "VQF1" | bytes of body   | SHA-256 of body    | body: deflated JSON  |    little-endian
    +--------+-----------------+--------------------+----------------------+

Whatever comes in is bounded in size, and all of it in time.
"""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import time
import zlib
from typing import Any

from ..errors import DeviceError, first_line

_MAGIC = b"VQF1"
_HEAD = struct.Struct("<4sI32s")
_BODY_BYTES, _TEXT_BYTES = 64 << 20, 256 << 20
"""That a message has at most, deflated and not."""

Message = dict[str, Any]


class LinkError(DeviceError):
    """The other end is gone, is silent, or does not say what it should."""


def send(connection: socket.socket, message: Message, seconds: float) -> None:
    """Sends a message. LinkError: it is not taken within `seconds`."""
    body = zlib.compress(json.dumps(message).encode(), 1)
    if len(body) > _BODY_BYTES:
        raise LinkError(f"a message of {len(body)} bytes; {_BODY_BYTES} work")
    try:
        connection.settimeout(seconds)  # of all of it
        connection.sendall(_HEAD.pack(_MAGIC, len(body), hashlib.sha256(body).digest()) + body)
    except OSError as error:
        raise _lost(error, seconds) from None


def receive(connection: socket.socket, seconds: float) -> Message:
    """The next message. LinkError: it is not there within `seconds`, or is damaged."""
    until = time.monotonic() + seconds
    try:
        magic, size, digest = _HEAD.unpack(receive_exactly(connection, _HEAD.size, until))
        if magic != _MAGIC or size > _BODY_BYTES:
            raise LinkError("it does not speak this protocol")
        body = receive_exactly(connection, size, until)
    except OSError as error:
        raise _lost(error, seconds) from None
    if hashlib.sha256(body).digest() != digest:
        raise LinkError("a message came damaged")
    return _read(body)


def receive_exactly(connection: socket.socket, count: int, until: float) -> bytes:
    """`count` bytes; OSError: they are not there at `until`, a time of `time.monotonic`."""
    data = bytearray()
    while len(data) < count:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        part = connection.recv(min(count - len(data), 1 << 16))
        if not part:
            raise ConnectionResetError
        data += part
    return bytes(data)


def _read(body: bytes) -> Message:
    inflate = zlib.decompressobj()
    try:
        text = inflate.decompress(body, _TEXT_BYTES)
        message = json.loads(text)
    except (zlib.error, ValueError, RecursionError):
        raise LinkError("a message is not readable") from None
    if not inflate.eof or not isinstance(message, dict):
        raise LinkError("a message is not readable")
    return message


def _lost(error: OSError, seconds: float) -> LinkError:
    if isinstance(error, TimeoutError):
        return LinkError(f"no answer within {seconds:g} s")
    if isinstance(error, ConnectionError):
        return LinkError("the connection is lost")
    return LinkError(error.strerror or first_line(error))
