"""Whatever comes over a connection is a message, or a LinkError in bounded time and memory."""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import threading
import zlib
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from farm_servers import SECONDS, job, result
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vq_cortexm.errors import UsageError
from vq_cortexm.farm import wire
from vq_cortexm.farm.messages import read_job, read_run, write_job, write_run
from vq_cortexm.farm.tracker import Address, parse_address
from vq_cortexm.farm.wire import LinkError, receive, send
from vq_cortexm.micro.cycle_model import InferenceRecord, LayerRecord


def received(data: bytes, seconds: float = SECONDS) -> Any:
    ours, theirs = socket.socketpair()

    def say() -> None:
        with ours, suppress(OSError):
            ours.sendall(data)

    thread = threading.Thread(target=say)
    thread.start()
    try:
        with theirs:
            return receive(theirs, seconds)
    finally:
        thread.join()


def sent(message: dict[str, Any]) -> bytes:
    ours, theirs = socket.socketpair()
    with theirs:
        with ours:
            send(ours, message, SECONDS)
        return b"".join(iter(lambda: theirs.recv(4096), b""))


def framed(body: bytes) -> bytes:
    return struct.pack("<4sI32s", b"VQF1", len(body), hashlib.sha256(body).digest()) + body


def test_what_is_sent_is_received() -> None:
    message = {"text": "ä\0", "numbers": [1, -2, None, True], "nested": {"x": {}}}
    assert received(sent(message)) == message


def test_jobs_and_results_stay_what_they_are() -> None:
    assert read_job(json.loads(json.dumps(write_job(job(7))))) == job(7)
    of_a_board = InferenceRecord(None, 12, (LayerRecord("f", None, 12),), ())
    for run in (result(job(7)), replace(result(job(7)), records=(of_a_board,) * 2)):
        assert read_run(json.loads(json.dumps(write_run(run))), job(7)) == run


@pytest.mark.parametrize("name", ["layers", "thresholds"])
def test_a_job_of_so_many_layers_is_none(name: str) -> None:
    message = json.loads(json.dumps(write_job(job())))
    io = message["app"]["io"]
    for count in (0, 0xFFFF):
        io[name] = count
        assert getattr(read_job(message).app.io, name) == count
    for bad in (-1, 1 << 16, True, None, "3"):
        io[name] = bad
        with pytest.raises(LinkError, match="a job that is none"):
            read_job(message)
    del io[name]
    with pytest.raises(LinkError, match="a job that is none"):
        read_job(message)


def test_a_time_that_no_float_holds_is_none() -> None:
    message = json.loads(json.dumps({**write_job(job()), "timeout_seconds": 10**400}))
    with pytest.raises(LinkError, match="a job that is none"):
        read_job(message)


@settings(deadline=None)
@given(st.data())
def test_damage_is_found(data: st.DataObject) -> None:
    whole = sent({"run": list(range(20))})
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[at] ^ data.draw(st.integers(1, 255))
    with pytest.raises(LinkError):
        received(whole[:at] + bytes([damaged]) + whole[at + 1 :])
    with pytest.raises(LinkError, match="the connection is lost"):
        received(whole[:at])


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_no_message(noise: bytes) -> None:
    assume(not noise.lstrip().startswith(b"{"))
    for data in (noise, framed(noise), framed(zlib.compress(noise)), b"VQF1" + noise):
        with pytest.raises(LinkError):
            received(data)


def test_a_message_that_would_be_huge_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "_TEXT_BYTES", 1 << 20)
    text = json.dumps({"zeros": "0" * (1 << 20)}).encode()
    with pytest.raises(LinkError, match="not readable"):
        received(framed(zlib.compress(text)))
    with pytest.raises(LinkError, match="does not speak"):
        received(struct.pack("<4sI32s", b"VQF1", 1 << 31, b""))


def test_an_end_that_says_nothing_is_given_up() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(LinkError, match=r"no answer within 0\.01 s"):
        receive(theirs, 0.01)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
    st.sampled_from([*write_run(result(job()))]),
    st.sampled_from([*write_job(job())]),
)
def test_nonsense_is_neither_a_job_nor_a_result(value: Any, of_run: str, of_job: str) -> None:
    run, one = write_run(result(job())), write_job(job())
    for read, message in (
        (lambda m: read_run(m, job()), value),
        (lambda m: read_run(m, job()), {**run, of_run: value}),
        (read_job, value),
        (read_job, {**one, of_job: value}),
    ):
        try:
            read(message)  # some values are as good as those they replace
        except LinkError as error:
            assert "that is none" in str(error)


def test_addresses() -> None:
    assert parse_address("127.0.0.1:9190") == Address("127.0.0.1", 9190)
    assert str(parse_address("[::1]:9190")) == "[::1]:9190"
    for text in ("9190", ":9190", "host:", "host:0", "host:65536", "host:٣", "host:-1"):
        with pytest.raises(UsageError, match="HOST:PORT works"):
            parse_address(text)
