"""The client against a device in Python: repeats, late answers, restarts and refusals."""

from __future__ import annotations

import time

import pytest
from fake_device import FINGERPRINT, PAYLOAD, SIZE, FakeDevice

from vq_cortexm.errors import DeviceError
from vq_cortexm.micro.client import Client, NoAnswerError, NoSessionError
from vq_cortexm.micro.messages import Counters, CycleCounter, Kind
from vq_cortexm.micro.transport import Line, TransportTimeouts

DATA = bytes(range(SIZE))
SUM = bytes(range(3, SIZE + 3))


def started(device: FakeDevice) -> Client:
    client = Client(device, device.timeouts())
    client.start()
    return client


def infer(client: Client) -> bytes:
    client.load(0, DATA)
    assert client.run(1, 0.0, 0.1).status == 0
    return client.read(0, SIZE)


def kinds(device: FakeDevice) -> list[int]:
    return [kind for kind, *_ in device.seen]


def test_hello():
    hello = started(FakeDevice()).hello
    assert (hello.version, hello.payload_bytes, hello.clock_hz) == (1, PAYLOAD, 1_000_000)
    assert (hello.counter, hello.layers, hello.thresholds) == (CycleCounter.NONE, 2, 1)
    assert (hello.input_bytes, hello.output_bytes) == ((SIZE,), (SIZE,))
    assert (hello.board, hello.model, hello.fingerprint) == ("fake", "echo", FINGERPRINT)
    assert hello.fault == ""


def test_all_requests():
    device = FakeDevice()
    client = started(device)
    assert infer(client) == SUM
    assert client.layers() == (5, 6)
    assert client.counters() == Counters(1, 2, 3, 4, 5, 6)
    client.set_threshold(0, -1)
    client.run(2, 0.0, 0.1)
    assert client.read(0, SIZE) == bytes([255, *range(SIZE - 1)])
    client.reset()
    assert device.resets == 1
    with pytest.raises(NoSessionError):
        client.read(0, SIZE)
    assert client.start().model == "echo"
    assert client.counts.repeats == 0


def test_requests_have_numbers_of_their_own_and_one_session():
    device = FakeDevice()
    infer(started(device))
    numbers = [sequence for _, _, sequence, _ in device.seen]
    assert len(set(numbers)) == len(numbers)
    assert len({session for _, session, _, _ in device.seen}) == 1
    device.first_session = 0xFFFF
    client = started(device)
    client.start()
    assert [session for _, session, _, _ in device.seen[-2:]] == [0xFFFF, 1]


def test_a_lost_answer_is_asked_for_again():
    """Every request's first answer is lost; a run is carried out once nevertheless."""
    seen: set[tuple[int, int]] = set()

    def lose_first(request) -> bool:
        kind, _, sequence, payload = request
        # a transfer's next attempt may be a smaller piece, with a number of its own
        key = (kind, int.from_bytes(payload[4:8], "little") if kind in (2, 4) else sequence)
        lost = key not in seen
        seen.add(key)
        return lost

    device = FakeDevice(lose_first)
    client = started(device)
    assert infer(client) == SUM
    assert device.runs == 1
    assert client.counts.repeats >= 4
    runs = {sequence for kind, _, sequence, _ in device.seen if kind == Kind.RUN}
    assert len(runs) == 1


def test_a_late_answer_is_not_taken_for_another():
    device = FakeDevice()
    client = started(device)
    infer(client)
    _, session, sequence, _ = device.seen[-1]
    for stale in (sequence, sequence + 2, sequence - 1):
        device.say(4 + 128, 0, session, stale & 0xFFFF, b"x" * SIZE)
    device.say(4 + 128, 0, session ^ 1, sequence + 1, b"y" * SIZE)
    device.say(2 + 128, 0, session, sequence + 1, b"")
    assert client.read(0, SIZE) == SUM


def test_a_run_never_has_the_number_of_the_run_before():
    device = FakeDevice()
    client = started(device)
    client.run(1, 0.0, 0.1)
    last = device.seen[-1][2]
    for _ in range(0xFFFF):
        client._next_sequence()
    client.run(1, 0.0, 0.1)
    assert device.runs == 2
    assert device.seen[-1][2] != last


def test_pieces_get_smaller_on_a_bad_line_and_larger_again():
    """Only frames of up to 40 bytes get through for a while."""
    bad = True
    device = FakeDevice(lambda request: bad and request[0] == 2 and len(request[3]) > 30)
    client = started(device)
    client.load(0, DATA)
    largest = max(len(payload) for kind, _, _, payload in device.seen if kind == 2)
    assert largest == 8 + SIZE
    bad = False
    for _ in range(8):
        client.load(0, DATA)
    assert len(device.seen[-1][3]) == 8 + SIZE
    assert infer(client) == SUM


def test_nobody_answers():
    device = FakeDevice(lambda _: True)
    client = Client(device, TransportTimeouts(0.01, 0.05, 0.05))
    with pytest.raises(
        NoAnswerError, match=r"no answer to hello in time \(1 requests, \d+ repeats"
    ):
        client.start()
    device.lose = lambda _: False
    client.start()
    device.lose = lambda _: True
    for ask in (client.counters, client.layers, lambda: client.run(1, 0.0, 0.1)):
        with pytest.raises(NoAnswerError):
            ask()
    with pytest.raises(NoAnswerError, match="no answer to load"):
        client.load(0, DATA)


def test_endless_noise_is_no_answer():
    class Noise(FakeDevice):
        def read(self, n: int, timeout_sec: float) -> bytes:
            time.sleep(0.001)
            return b"\x7f" * n

    client = Client(Noise(), TransportTimeouts(0.01, 0.05, 0.05))
    with pytest.raises(NoAnswerError):
        client.start()


def test_a_slow_line_is_waited_for():
    """The time that bytes take at the line's speed does not count as silence."""
    waits: list[float] = []

    class Slow(FakeDevice):
        def line(self) -> Line:
            return Line(bytes_per_second=100.0, latency_seconds=0.01)

        def write(self, data: bytes, timeout_sec: float) -> None:
            waits.append(timeout_sec)
            super().write(data, timeout_sec)

    client = started(Slow())
    client.load(0, DATA)
    # 10 bytes of overhead, 8 of the request and 40 of data, then an answer
    assert waits[-1] > 0.58


def test_other_protocol_version():
    device = FakeDevice()
    device.version = 2
    with pytest.raises(DeviceError, match="another version of the protocol than 1; build and"):
        started(device)


@pytest.mark.parametrize("payload", [b"", b"\0" * 31, b"\x01\0\x10\0" + b"\0" * 40])
def test_malformed_hello(payload: bytes, monkeypatch: pytest.MonkeyPatch):
    device = FakeDevice()
    monkeypatch.setattr(device, "hello", lambda: payload)
    with pytest.raises(DeviceError, match="the answer to hello is malformed"):
        started(device)


def test_a_refusal_says_why():
    client = started(FakeDevice())
    with pytest.raises(DeviceError, match="the device refused threshold: range"):
        client.set_threshold(1, 0)


def test_answers_of_a_wrong_length(monkeypatch: pytest.MonkeyPatch):
    device = FakeDevice()
    client = started(device)
    infer(client)
    monkeypatch.setattr(device, "answer", lambda request: (0, b"12345"))
    with pytest.raises(DeviceError, match="the answer to run has a wrong length"):
        client.run(1, 0.0, 0.1)
    with pytest.raises(DeviceError, match="the answer to layers has a wrong length"):
        client.layers()
    with pytest.raises(DeviceError, match="output 0 came with 5 bytes in place of 40"):
        client.read(0, SIZE)


def test_before_hello():
    device = FakeDevice()
    with pytest.raises(DeviceError, match="has not been asked for its hello"):
        Client(device, device.timeouts()).load(0, DATA)


def test_faults_in_words():
    device = FakeDevice()
    device.fault = (0x8200, 0x08000123)
    assert started(device).hello.fault == "a fault at 0x08000123, CFSR 0x00008200"
    device.fault = (1 << 20, 0)
    assert started(device).hello.fault == "an overflow of the stack"
