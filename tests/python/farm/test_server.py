"""A measuring server goes on, whoever speaks to it, and ends when it is told to."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from farm_servers import (
    BOARD,
    IDENTITY,
    KEY,
    SECONDS,
    farm,
    job,
    registered,
    result,
    server_here,
    tracker_here,
    until,
)

from vq_cortexm.errors import DeviceError, NoDeviceError
from vq_cortexm.farm import server as farm_server
from vq_cortexm.farm.messages import write_job
from vq_cortexm.farm.server import PROTOCOL, Service, Stop, serve
from vq_cortexm.farm.tracker import Address, Tracker, TrackerError
from vq_cortexm.farm.wire import receive, send
from vq_cortexm.micro.job import Job
from vq_cortexm.micro.runner import DeviceRun

HELLO = {"protocol": PROTOCOL, "identity": IDENTITY, "board": BOARD}


def test_a_stranger_costs_nothing() -> None:
    with tracker_here() as tracker, server_here(tracker):
        with Tracker(tracker) as link:
            (address,) = link.servers(KEY)
        where = (address.host, address.port)
        with socket.create_connection(where) as stranger:
            stranger.sendall(b"GET / HTTP/1.0\r\n\r\n" + bytes(64))
        with socket.create_connection(where) as stranger:
            send(stranger, {**HELLO, "word": "guessed"}, SECONDS)
            assert "another's" in receive(stranger, SECONDS)["trouble"]
        assert farm(tracker).run(job()) == result(job())


@pytest.mark.parametrize(
    "changed",
    [
        {"sources": {"../m.c": ""}},
        {"samples": ["?"]},
        {"app": None},
        {"timeout_seconds": "nan"},
        {"timeout_seconds": 10**400},
    ],
)
def test_a_job_that_is_none_is_not_run(changed: dict[str, object]) -> None:
    with tracker_here() as tracker, server_here(tracker), Tracker(tracker) as link:
        offer = link.request(KEY, SECONDS)
        with socket.create_connection((offer.address.host, offer.address.port)) as connection:
            send(connection, {**HELLO, "word": offer.word}, SECONDS)
            assert receive(connection, SECONDS) == {"ready": True}
            send(connection, {"id": "1", "job": {**write_job(job()), **changed}}, SECONDS)
            assert receive(connection, SECONDS) == {"id": "1", "trouble": "a job that is none"}
        assert farm(tracker).run(job()) == result(job())


def test_a_session_that_nobody_comes_to_is_offered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(farm_server, "_PING_SECONDS", 0.02)
    with tracker_here() as tracker, server_here(tracker):
        with Tracker(tracker) as link:
            link.request(KEY, SECONDS)
        assert farm(tracker).run(job()) == result(job())


def test_a_client_that_leaves_during_its_job_costs_that_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(farm_server, "BUSY_SECONDS", 0.02)
    goes_on = threading.Event()

    def run(one: Job) -> DeviceRun:
        goes_on.wait(SECONDS)
        return result(one)

    with tracker_here() as tracker, server_here(tracker, run):
        with Tracker(tracker) as link:
            offer = link.request(KEY, SECONDS)
        with socket.create_connection((offer.address.host, offer.address.port)) as connection:
            send(connection, {**HELLO, "word": offer.word}, SECONDS)
            receive(connection, SECONDS)
            send(connection, {"id": "1", "job": write_job(job())}, SECONDS)
            assert receive(connection, SECONDS) == {"busy": True}
        goes_on.set()
        assert farm(tracker).run(job(1)) == result(job(1))


def test_a_tracker_that_comes_back_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(farm_server, "_PING_SECONDS", 0.02)
    monkeypatch.setattr(farm_server, "_FIRST_PAUSE_SECONDS", 0.02)
    # where nothing else takes the port meanwhile
    with tracker_here(Address("127.0.0.2", 0)) as tracker:
        stop, lines = Stop(), list[str]()
        service = Service(tracker, KEY, IDENTITY, BOARD, result)
        thread = threading.Thread(
            target=serve, args=(service, stop), kwargs={"notify": lines.append}
        )
        thread.start()
        until(lambda: registered(tracker) == 1)
    until(lambda: len(lines) > 1)
    assert lines[0] == f"{KEY} at {tracker}: 1 x {BOARD}, {IDENTITY}"
    assert "tried again in 0.02 s" in lines[1]
    with tracker_here(tracker) as again:
        assert farm(again).run(job()) == result(job())
        stop.set()
        thread.join()
        until(lambda: registered(again) == 0)


def test_a_lost_board_takes_no_jobs_until_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(farm_server, "_FIRST_PAUSE_SECONDS", 0.02)
    is_lost, stop, runs, ours = threading.Event(), Stop(), list[Job](), list[str]()

    def run(one: Job) -> DeviceRun:
        runs.append(one)
        if len(runs) == 1:
            is_lost.set()
            raise NoDeviceError("nucleo at /dev/ttyACM0: no device")
        return result(one)

    def check() -> None:
        if is_lost.is_set():
            raise DeviceError("nucleo at /dev/ttyACM0: no device")

    lines: list[str] = []
    with tracker_here() as tracker, ThreadPoolExecutor(1) as pool:
        service = Service(tracker, KEY, IDENTITY, BOARD, run, check)
        served = pool.submit(serve, service, stop, notify=ours.append)
        until(lambda: registered(tracker) == 1)
        client = farm(tracker, lines)
        with server_here(tracker) as _, ThreadPoolExecutor(4) as clients:
            jobs = [job(number) for number in range(12)]
            assert list(clients.map(client.run, jobs)) == [result(one) for one in jobs]
            until(lambda: len(ours) > 2 and registered(tracker) == 1)
        assert [runs[0]] == runs and len(lines) == 1
        assert "nucleo at /dev/ttyACM0: no device; left out for 1 s" in lines[0]
        assert ours[1].endswith("no device; tried again in 0.02 s")
        assert ours[2].endswith("no device; tried again in 0.04 s")
        is_lost.clear()
        until(lambda: registered(tracker) == 1)
        assert farm(tracker).run(job()) == result(job())
        stop.set()
        served.result(SECONDS)


def test_what_nobody_thought_of_is_told_and_the_server_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(farm_server, "_FIRST_PAUSE_SECONDS", 0.02)
    stop, lines, checks = Stop(), list[str](), list[int]()

    def notify(line: str) -> None:
        lines.append(line)
        if len(lines) > 1:
            raise BrokenPipeError

    def check() -> None:
        checks.append(1)
        if len(checks) == 1:
            raise MemoryError

    with tracker_here() as tracker, ThreadPoolExecutor(1) as pool:
        service = Service(tracker, KEY, IDENTITY, BOARD, result, check)
        served = pool.submit(serve, service, stop, notify=notify)
        until(lambda: registered(tracker) == 1 or served.done())
        assert lines[1] == "MemoryError: MemoryError; tried again in 0.02 s"
        assert farm(tracker).run(job()) == result(job())
        stop.set()
        served.result(SECONDS)


def test_without_a_tracker_nothing_is_served() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = Address("127.0.0.1", listener.getsockname()[1])
    with pytest.raises(TrackerError, match=r"`python -m tvm.exec.rpc_tracker` starts one"):
        serve(Service(address, KEY, IDENTITY, BOARD, result), Stop())


def test_a_server_that_is_stopped_ends_its_job_first() -> None:
    started, goes_on, stop = threading.Event(), threading.Event(), Stop()

    def run(one: Job) -> DeviceRun:
        started.set()
        goes_on.wait(SECONDS)
        return result(one)

    with tracker_here() as tracker, ThreadPoolExecutor(2) as pool:
        served = pool.submit(serve, Service(tracker, KEY, IDENTITY, BOARD, run), stop)
        until(lambda: registered(tracker) == 1)
        done = pool.submit(farm(tracker).run, job())
        assert started.wait(SECONDS)
        stop.set()
        goes_on.set()
        assert done.result(SECONDS) == result(job())
        served.result(SECONDS)
        assert registered(tracker) == 0


def test_an_error_while_a_server_is_stopped_is_not_the_jobs() -> None:
    stop, lines = Stop(), list[str]()

    def run(_: Job) -> DeviceRun:
        stop.set()
        raise DeviceError("the emulator was interrupted")

    with tracker_here() as tracker, ThreadPoolExecutor(2) as pool:
        served = pool.submit(serve, Service(tracker, KEY, IDENTITY, BOARD, run), stop)
        until(lambda: registered(tracker) == 1)
        done = pool.submit(farm(tracker, lines).run, job())
        served.result(SECONDS)
        with server_here(tracker):
            assert done.result(SECONDS) == result(job())
    assert len(lines) == 1 and "is being stopped" in lines[0]


def test_two_clients_share_a_server_job_by_job() -> None:
    order: list[int] = []

    def run(one: Job) -> DeviceRun:
        order.append(one.samples[0][0])
        return result(one)

    with tracker_here() as tracker, server_here(tracker, run), ThreadPoolExecutor(2) as pool:

        def client(first: int) -> list[DeviceRun]:
            of = farm(tracker)
            return [of.run(job(first + i)) for i in range(8)]

        done = [pool.submit(client, first) for first in (0, 100)]
        for first, one in zip((0, 100), done, strict=True):
            assert one.result(SECONDS) == [result(job(first + i)) for i in range(8)]
    assert sorted(order) == [*range(8), *range(100, 108)]
