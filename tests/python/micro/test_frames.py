"""Frames: what is sent is read, what is damaged is dropped, and what follows is read again."""

from __future__ import annotations

import zlib

from hypothesis import given, settings
from hypothesis import strategies as st

from vq_cortexm.micro.frames import (
    LARGEST_PAYLOAD,
    Frame,
    FrameReader,
    decode,
    encode,
    encoded_bytes,
)

FRAMES = st.builds(
    Frame,
    kind=st.integers(0, 255),
    status=st.integers(0, 255),
    session=st.integers(0, 0xFFFF),
    sequence=st.integers(0, 0xFFFF),
    payload=st.binary(max_size=600) | st.integers(0, 1100).map(bytes),
)
PLAIN = Frame(1, 0, 0x1234, 7, b"\x01\x00")


def test_bytes_of_a_frame():
    body = bytes([1, 0, 0x34, 0x12, 7, 0, 1, 0])
    crc = zlib.crc32(body).to_bytes(4, "little")
    assert 0 not in crc
    # COBS: each zero becomes the distance to the next one
    stuffed = bytes([2, 1, 4, 0x34, 0x12, 7, 2, 1, 5]) + crc
    assert encode(PLAIN) == b"\0" + stuffed + b"\0"


@settings(deadline=None)
@given(FRAMES)
def test_round_trip(frame: Frame):
    data = encode(frame)
    assert len(data) <= encoded_bytes(len(frame.payload))
    assert data[0] == data[-1] == 0 and 0 not in data[1:-1]
    assert decode(data[1:-1]) == frame


@settings(deadline=None)
@given(st.lists(FRAMES, max_size=4), st.data())
def test_any_cut_into_reads(frames: list[Frame], data: st.DataObject):
    stream, reader, read = b"".join(map(encode, frames)), FrameReader(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        read += reader.feed(stream[:size])
        stream = stream[size:]
    assert read == frames
    assert reader.dropped == 0


@settings(deadline=None)
@given(FRAMES, st.data())
def test_damage_never_makes_another_frame(frame: Frame, data: st.DataObject):
    stream = bytearray(encode(frame))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(stream) - 1))
        how = data.draw(st.sampled_from(["drop", "duplicate", "change"]))
        if how == "change":
            stream[at] = data.draw(st.integers(0, 255))
        else:
            stream[at : at + 1] = stream[at : at + 1] * (2 if how == "duplicate" else 0)
        if not stream:
            break
    assert all(read == frame for read in FrameReader().feed(bytes(stream)))


@settings(deadline=None)
@given(st.binary(max_size=300), FRAMES)
def test_a_frame_behind_garbage_is_read(garbage: bytes, frame: Frame):
    assert FrameReader().feed(garbage + encode(frame))[-1:] == [frame]


def test_the_largest_frame_is_read_and_no_more_is_kept():
    largest = Frame(4, 0, 1, 1, bytes(range(256)) * 255 + bytes(255))
    assert len(largest.payload) == LARGEST_PAYLOAD
    reader = FrameReader()
    assert reader.feed(encode(largest)) == [largest]
    for _ in range(300):
        assert reader.feed(b"\x05" * 1000) == []
    assert len(reader._part) <= encoded_bytes(LARGEST_PAYLOAD)
    assert reader.feed(b"\0") == []
    assert reader.dropped == 1
    assert reader.feed(encode(PLAIN)) == [PLAIN]


def test_empty_frames_mean_nothing():
    reader = FrameReader()
    assert reader.feed(b"\0\0\0") == []
    assert reader.dropped == 0
