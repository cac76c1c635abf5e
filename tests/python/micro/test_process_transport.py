"""Processes as devices: their end is noticed, nothing waits for good, nothing is left running."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vq_cortexm.errors import DeviceError
from vq_cortexm.micro.process_transport import ProcessTransport
from vq_cortexm.micro.transport import IoTimeoutError, TransportClosedError

SECONDS = 30.0
ECHO = "import os\nwhile data := os.read(0, 9999): os.write(1, data)"


def python(code: str) -> ProcessTransport:
    return ProcessTransport([sys.executable, "-c", code], name="the program")


def is_running(process_id: int) -> bool:
    return Path(f"/proc/{process_id}").exists()


def test_bytes_there_and_back():
    with python(ECHO) as transport:
        sent = bytes(range(256)) * 1000
        transport.write(sent[:1000], SECONDS)
        received = transport.read(10, SECONDS)
        assert 1 <= len(received) <= 10
        while len(received) < 1000:
            received += transport.read(10_000, SECONDS)
        assert received == sent[:1000]


def test_nothing_comes():
    with python(ECHO) as transport, pytest.raises(IoTimeoutError, match=r"nothing within 0\.01 s"):
        transport.read(1, 0.01)


def test_nothing_is_taken():
    """The pipe is full some time."""
    code = "import time; time.sleep(600)"
    with python(code) as transport, pytest.raises(IoTimeoutError, match="did not take all"):
        transport.write(bytes(10_000_000), 0.05)


def test_the_end_is_noticed_with_its_reason():
    code = "import sys; sys.stderr.write('a warning: x\\nno such machine\\nlast\\n'); sys.exit(3)"
    with (
        python(code) as transport,
        pytest.raises(
            TransportClosedError, match="the program ended with status 3: no such machine"
        ),
    ):
        transport.read(1, SECONDS)


def test_the_end_is_noticed_when_writing():
    with python("pass") as transport:
        with pytest.raises(TransportClosedError, match="the program ended with status 0"):
            transport.read(1, SECONDS)
        with pytest.raises(TransportClosedError, match="the program ended with status 0"):
            transport.write(bytes(1_000_000), SECONDS)


def test_close_ends_what_does_not_want_to_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("vq_cortexm.micro.process_transport._END_SECONDS", 0.2)
    code = "import os, signal, time; signal.signal(15, signal.SIG_IGN); os.write(1, b'1')"
    with python(f"{code}; time.sleep(600)") as transport:
        assert transport.read(1, SECONDS) == b"1"
        process_id = transport.process_id
        assert is_running(process_id)
    assert not is_running(process_id)


def test_it_can_be_opened_again():
    transport = python(ECHO)
    process_ids = set()
    for _ in range(3):
        with transport:
            process_ids.add(transport.process_id)
            transport.write(b"x", SECONDS)
            assert transport.read(5, SECONDS) == b"x"
    assert len(process_ids) == 3
    transport.open()
    first = transport.process_id
    transport.open()
    assert not is_running(first)
    transport.close()
    transport.close()


def test_not_open():
    with pytest.raises(TransportClosedError, match="the program is not open"):
        python(ECHO).read(1, 0.0)


def test_no_such_program():
    transport = ProcessTransport(["/nowhere/program"], name="the program")
    with pytest.raises(DeviceError, match="the program does not start: No such file or directory"):
        transport.open()
