"""Frames on the device's side of the link: damaged ones, sizes, repeats."""

from __future__ import annotations

import struct

import pytest
from cobs import cobs
from fake_model import Command, expected, sample
from rpc_link import (
    DEADLINE_SECONDS,
    LARGEST_PAYLOAD,
    SESSION,
    Answer,
    Counters,
    Kind,
    Link,
    Status,
    body,
    parts,
    stuffed,
)


def assert_dropped(link: Link, line: bytes, dropped: int = 1) -> None:
    """Nobody answers what is on the line, and what follows is understood."""
    before = link.counters()
    link.send(line)
    link.send(stuffed(body(Kind.COUNTERS, b"", SESSION, 999)))
    # in order, so an answer to the line would be here
    answer = link.frame(DEADLINE_SECONDS)
    assert answer is not None
    assert answer[:6] == body(Kind.COUNTERS + 128, b"", SESSION, 999)
    after = Counters(*struct.unpack("<6I", answer[6:]))
    assert (after.taken, after.dropped) == (before.taken + 1, before.dropped + dropped)


def test_what_is_damaged_is_dropped(session: Link) -> None:
    frame = stuffed(body(Kind.COUNTERS, b"", SESSION, 77))
    for position in range(1, len(frame) - 1):
        flipped = frame[position] ^ 0x10
        # a zero byte makes two damaged frames of one, but for an empty one
        damaged = frame[:position] + bytes([flipped or 1]) + frame[position + 1 :]
        session.send(damaged)
        lost = frame[:position] + frame[position + 1 :]
        session.send(lost)
        doubled = frame[: position + 1] + frame[position:]
        session.send(doubled)
    assert session.counters().dropped == 3 * (len(frame) - 2)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"\1\0", id="empty block"),
        pytest.param(b"\5\1\2\0", id="ends inside a block"),
        pytest.param(b"\xff\0", id="head alone"),
        pytest.param(cobs.encode(bytes(9)) + b"\0", id="too short"),
        pytest.param(cobs.encode(b"\5\0\0\0\0\0\0\0\0\0") + b"\0", id="wrong CRC"),
        pytest.param(stuffed(bytes(LARGEST_PAYLOAD + 7)), id="a byte too long"),
        pytest.param(stuffed(bytes(range(256)) * 100), id="much too long"),
        pytest.param(b"\x11" * 5000 + b"\0", id="noise"),
        pytest.param(stuffed(body(128 + Kind.HELLO, b"", SESSION, 1)), id="an answer"),
        pytest.param(stuffed(body(255, b"", SESSION, 1)), id="the largest kind"),
    ],
)
def test_what_is_no_request_is_dropped(session: Link, line: bytes) -> None:
    assert_dropped(session, line)


def test_empty_frames_mean_nothing(session: Link) -> None:
    assert_dropped(session, bytes(100), 0)


def test_noise_in_front_of_a_frame(session: Link) -> None:
    session.send(b"\x33" * 20)
    assert session.counters() == Counters(2, 1, 0, 0, 0, session.counters().stack_bytes)


@pytest.mark.parametrize("fill", [0, 1, 255])
@pytest.mark.parametrize("size", [0, 1, 245, 246, 247, 253, 254, 255, 509, 1015, 1016])
def test_stuffing_of_every_length(session: Link, fill: int, size: int) -> None:
    """Blocks of 254 bytes end anywhere: what does not fit the input says so, whole."""
    payload = struct.pack("<HHI", 0, 0, 0) + bytes([fill]) * size
    expected_status = Status.DONE if size <= 15 else Status.OUT_OF_RANGE
    assert session.ask(Kind.LOAD, payload) == Answer(expected_status)


# --- repeats ---------------------------------------------------------------------------------


def test_a_repeated_run_is_not_run_again(session: Link) -> None:
    session.load(*parts(sample(1, Command.ERROR)))
    first = session.ask(Kind.RUN, struct.pack("<I", 1))
    session.load(*parts(sample(1)))
    run = session.sequence - 2
    again = session.ask(Kind.RUN, struct.pack("<I", 1), sequence=run)
    assert first == again
    assert session.counters().repeats == 1
    assert session.read(0, 15) == Answer(Status.NO_RESULT)
    assert session.ask(Kind.RUN, struct.pack("<I", 1)) != first


def test_a_number_comes_round_again(session: Link) -> None:
    session.load(*parts(sample(1, Command.ERROR)))
    session.sequence = 99
    assert session.run() == (7, 0, 0)
    session.load(*parts(sample(2)))
    # half way round nothing has been run
    session.ask(Kind.COUNTERS, sequence=100 + 40000)
    session.sequence = 99
    assert session.run() == (0, 0, 0)
    assert session.read(0, 15).payload == expected(sample(2))


def test_repeated_loads_and_reads(session: Link) -> None:
    data = sample(9)
    for _ in range(3):
        session.load(*parts(data))
    session.run()
    for _ in range(3):
        assert session.read(0, 15).payload == expected(data)
    assert session.counters().repeats == 0
