"""Frames of the link to a device (docs/protocol.md): COBS, CRC-32, ended by a zero byte."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from cobs import cobs

LARGEST_PAYLOAD = 0xFFFF
"""In bytes: a device tells its own limit in 16 bits."""

# kind, status, session, sequence; behind the payload the CRC
_HEADER, _CRC = struct.Struct("<BBHH"), struct.Struct("<I")
OVERHEAD = _HEADER.size + _CRC.size


@dataclass(frozen=True)
class Frame:
    """A request or an answer; all numbers are unsigned, of 8, 8, 16 and 16 bits."""

    kind: int
    status: int
    session: int
    sequence: int
    payload: bytes = b""


def encode(frame: Frame) -> bytes:
    """The bytes of a frame. A zero byte in front ends what noise may have begun."""
    body = _HEADER.pack(frame.kind, frame.status, frame.session, frame.sequence) + frame.payload
    stuffed: bytes = cobs.encode(body + _CRC.pack(zlib.crc32(body)))
    return b"\0" + stuffed + b"\0"


def decode(stuffed: bytes) -> Frame | None:
    """The frame between two zero bytes; None if its stuffing, length or CRC is wrong."""
    try:
        body: bytes = cobs.decode(stuffed)
    except cobs.DecodeError:
        return None
    if len(body) < OVERHEAD:
        return None
    end = len(body) - _CRC.size
    if _CRC.unpack_from(body, end)[0] != zlib.crc32(body[:end]):
        return None
    kind, status, session, sequence = _HEADER.unpack_from(body)
    return Frame(kind, status, session, sequence, body[_HEADER.size : end])


def encoded_bytes(payload_bytes: int) -> int:
    """The most bytes that `encode` makes of a frame with so large a payload."""
    body = OVERHEAD + payload_bytes
    return body + body // 254 + 3


class FrameReader:
    """Takes bytes as they come and gives whole frames; holds no more than one frame's bytes."""

    def __init__(self) -> None:
        self._part = bytearray()
        self._too_long = False
        self.dropped = 0
        """How many frames were damaged."""

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that end in `data`, in order, without damaged ones."""
        *ended, rest = data.split(b"\0")
        frames = []
        for piece in ended:
            self._append(piece)
            if self._part:
                frame = None if self._too_long else decode(bytes(self._part))
                if frame is None:
                    self.dropped += 1
                else:
                    frames.append(frame)
            self._part.clear()
            self._too_long = False
        self._append(rest)
        return frames

    def _append(self, piece: bytes) -> None:
        room = encoded_bytes(LARGEST_PAYLOAD) - len(self._part)
        self._too_long = self._too_long or len(piece) > room
        self._part += piece[:room]
