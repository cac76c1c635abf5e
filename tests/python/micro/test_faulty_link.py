"""What a faulty link does to bytes, and that sessions bear it."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import numpy as np
import pytest
from linked_models import link, tiny

from vq_cortexm.micro.faulty_link import FAULTS, Fault, FaultyLink
from vq_cortexm.micro.session import Session, create_local_aot_executor
from vq_cortexm.micro.transport import IoTimeoutError, Transport, TransportTimeouts
from vq_cortexm.samples import random_samples

SENT = bytes(random.Random(1).randbytes(20_000))


class Pipe(Transport):
    """Keeps what is written, and gives what `said` holds."""

    def __init__(self, said: bytes = b"") -> None:
        self.taken = b""
        self.said = said

    def timeouts(self) -> TransportTimeouts:
        return TransportTimeouts(1.0, 1.0, 1.0)

    def open(self) -> None: ...

    def close(self) -> None: ...

    def read(self, n: int, timeout_sec: float) -> bytes:
        if not self.said:
            raise IoTimeoutError("nothing")
        data, self.said = self.said[:n], self.said[n:]
        return data

    def write(self, data: bytes, timeout_sec: float) -> None:
        self.taken += data


def sent(
    pieces: int, faults: Sequence[Fault], rate: float = 0.01
) -> tuple[bytes, dict[Fault, int]]:
    pipe = Pipe()
    with FaultyLink(pipe, rate=rate, seed=3, faults=faults) as link:
        for start in range(0, len(SENT), pieces):
            link.write(SENT[start : start + pieces], 10.0)
        return pipe.taken, link.injected


def received(most: int, faults: Sequence[Fault]) -> bytes:
    data = b""
    with FaultyLink(Pipe(SENT), rate=0.001, seed=3, faults=faults) as link:
        try:
            while True:
                piece = link.read(most, 1.0)
                assert 1 <= len(piece) <= most
                data += piece
        except IoTimeoutError:
            return data


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nobody sleeps; the list has for how long it would have been."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


def test_no_faults():
    assert sent(100, FAULTS, rate=0.0) == (SENT, dict.fromkeys(FAULTS, 0))


def test_each_fault(at_once: list[float]):
    taken, injected = sent(500, ["drop"])
    assert len(taken) == len(SENT) - injected["drop"]
    assert 150 < injected["drop"] < 250
    taken, injected = sent(500, ["duplicate"])
    assert len(taken) == len(SENT) + injected["duplicate"]
    taken, injected = sent(500, ["flip"])
    changed = [a ^ b for a, b in zip(taken, SENT, strict=True) if a != b]
    assert len(changed) == injected["flip"] and all(n.bit_count() == 1 for n in changed)
    at_once.clear()
    taken, injected = sent(500, ["delay"])
    assert taken == SENT
    assert len([wait for wait in at_once if wait > 0]) == injected["delay"]
    assert max(at_once) <= 0.02


def test_faults_follow_from_the_seed_and_the_place_alone(at_once: list[float]):
    assert sent(1000, FAULTS)[0] == sent(7, FAULTS)[0] != SENT
    assert received(4096, FAULTS) == received(3, FAULTS) != SENT


def test_a_delay_is_a_time_out_for_who_does_not_wait():
    link = FaultyLink(Pipe(b"ab"), rate=1.0, seed=1, faults=["delay"])
    with pytest.raises(IoTimeoutError):
        link.read(10, 0.0)
    assert link.read(10, 10.0) == b"a"
    assert link.read(10, 10.0) == b"b"


def test_a_delay_is_over_when_it_is_over():
    link = FaultyLink(Pipe(b"ab"), rate=1.0, seed=1, faults=["delay"])
    start = time.monotonic()
    assert link.read(1, 10.0) + link.read(1, 10.0) == b"ab"
    assert time.monotonic() - start > 0.001


@pytest.mark.parametrize(
    ("board", "requests"),
    [
        ("host", 100),
        *(pytest.param(board, 1000, marks=pytest.mark.slow) for board in ("host", "mps2-an386")),
    ],
)
def test_every_request_ends_right(board: str, requests: int):
    """One byte in a hundred, in each direction, is lost, doubled, changed or late."""
    model = tiny(board)
    samples = random_samples(model.program.inputs, 16, seed=2)
    wanted = model.run(samples).outputs
    faulty = FaultyLink(link(model, board, counts=False), rate=0.01, seed=5)
    inferences = 0
    with Session(faulty, model=model) as session:
        executor = create_local_aot_executor(session)
        while session.link_counts.requests < requests:
            index = inferences % len(samples)
            executor.set_input(0, samples[index][0])
            executor.run()
            output = executor.get_output(0).numpy()
            np.testing.assert_array_equal(output, wanted[index][0])
            inferences += 1
    assert session.link_counts.repeats > 0
    assert all(count > 0 for count in faulty.injected.values())
