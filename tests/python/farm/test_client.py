"""Jobs are done by the servers that do them well, whatever the others do."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from farm_servers import (
    BOARD,
    IDENTITY,
    KEY,
    SECONDS,
    bad_server,
    farm,
    job,
    job_of,
    result,
    server_here,
    tracker_here,
    until,
)

from vq_cortexm.errors import BudgetError, DeviceError, NoDeviceError, RunError, ToolError
from vq_cortexm.farm.client import Farm
from vq_cortexm.farm.messages import write_run
from vq_cortexm.farm.tracker import Address, Offer, Tracker, TrackerError
from vq_cortexm.farm.wire import LinkError, Message, send
from vq_cortexm.micro.cmake import BuildError
from vq_cortexm.micro.job import Job
from vq_cortexm.micro.runner import DeviceRun


def test_jobs_of_several_threads_each_get_their_own_result() -> None:
    with tracker_here() as tracker, server_here(tracker, servers=3), ThreadPoolExecutor(8) as pool:
        client = farm(tracker)
        assert len(client.servers()) == 3
        jobs = [job(number) for number in range(40)]
        assert list(pool.map(client.run, jobs)) == [result(one) for one in jobs]


def test_several_servers_work_at_the_same_time() -> None:
    together = threading.Barrier(3)

    def run(one: Job) -> DeviceRun:
        together.wait(SECONDS)  # which one server alone would not come through
        return result(one)

    with (
        tracker_here() as tracker,
        server_here(tracker, run, servers=3),
        ThreadPoolExecutor(3) as pool,
    ):
        jobs = [job(number) for number in range(3)]
        assert list(pool.map(farm(tracker).run, jobs)) == [result(one) for one in jobs]


def leaves(connection: socket.socket, hello: Message) -> None:
    pass


def leaves_with_the_job(connection: socket.socket, hello: Message) -> None:
    job_of(connection)


def says_noise(connection: socket.socket, hello: Message) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(64))


def flips_a_bit(connection: socket.socket, hello: Message) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send(ours, {"ready": True}, SECONDS)
        data = bytearray(theirs.recv(4096))
    data[-3] ^= 4
    connection.sendall(data)


def answers_another_job(connection: socket.socket, hello: Message) -> None:
    job_of(connection)
    send(connection, {"id": "0", "run": write_run(result(job()))}, SECONDS)


def answers_with_too_little(connection: socket.socket, hello: Message) -> None:
    request = job_of(connection)
    short = result(job(samples=1))
    send(connection, {"id": request["id"], "run": write_run(short)}, SECONDS)


def answers_without_figures(connection: socket.socket, hello: Message) -> None:
    request = job_of(connection)
    run = {**write_run(result(job())), "records": "none"}
    send(connection, {"id": request["id"], "run": run}, SECONDS)


def has_no_compiler(connection: socket.socket, hello: Message) -> None:
    request = job_of(connection)
    send(connection, {"id": request["id"], "trouble": "cmake not found on PATH"}, SECONDS)


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (leaves, "the connection is lost"),
        (leaves_with_the_job, "the connection is lost"),
        (says_noise, "does not speak this protocol"),
        (flips_a_bit, "damaged"),
        (answers_another_job, "the answer to another job"),
        (answers_with_too_little, "a result that is none"),
        (answers_without_figures, "a result that is none"),
        (has_no_compiler, "cmake not found on PATH"),
    ],
)
def test_the_job_of_a_bad_server_is_done_by_another(act: object, why: str) -> None:
    lines: list[str] = []
    with tracker_here() as tracker, bad_server(tracker, act) as bad:  # type: ignore[arg-type]
        client = farm(tracker, lines)
        with server_here(tracker), ThreadPoolExecutor(2) as pool:
            jobs = [job(number) for number in range(4)]
            assert list(pool.map(client.run, jobs)) == [result(one) for one in jobs]
    assert bad.sessions >= 1
    assert len(lines) == bad.sessions
    assert all(why in line and "left out for" in line for line in lines)


def test_a_silent_server_is_waited_for_no_longer_than_told() -> None:
    lines: list[str] = []
    with tracker_here() as tracker:
        with bad_server(tracker, lambda *_: True) as bad, ThreadPoolExecutor(1) as pool:
            done = pool.submit(farm(tracker, lines, silence=0.2).run, job())
            until(lambda: bool(lines))
            with server_here(tracker):
                assert done.result(SECONDS) == result(job())
        assert bad.sessions == 1
    assert "no answer within 0.2 s; left out for 1 s" in lines[0]


def test_a_server_that_fails_again_is_left_out_for_longer() -> None:
    lines: list[str] = []
    with tracker_here() as tracker, bad_server(tracker, leaves), pytest.raises(NoDeviceError):
        farm(tracker, lines, left_out=0.01, left_out_longest=0.05).run(job())
    shown = [line.rpartition("left out for ")[2] for line in lines]
    assert shown == ["0.01 s", "0.02 s", "0.04 s", *["0.05 s"] * 7]


def test_a_job_that_every_server_fails_at_ends_the_run() -> None:
    with tracker_here() as tracker, bad_server(tracker, leaves_with_the_job):
        client = farm(tracker, left_out=0.001, left_out_longest=0.001)
        with pytest.raises(NoDeviceError, match="10 servers in turn failed at the same job") as one:
            client.run(job())
        assert "\n" not in str(one.value)
        with pytest.raises(NoDeviceError, match="10 servers"):
            client.run(job(1))


def test_no_server_for_long_is_one_line() -> None:
    with tracker_here() as tracker:
        with pytest.raises(NoDeviceError) as caught:
            farm(tracker, server=0.05).run(job())
        assert caught.value.status == 4
        assert str(caught.value) == (
            f"{KEY} at {tracker}: no server for 0.05 s: none is registered; "
            "`vq-cortexm serve` starts a server"
        )


def test_a_server_that_works_is_waited_for_longer() -> None:
    started, goes_on = threading.Event(), threading.Event()

    def run(one: Job) -> DeviceRun:
        started.set()
        goes_on.wait(SECONDS)
        return result(one)

    with tracker_here() as tracker, server_here(tracker, run), ThreadPoolExecutor(2) as pool:
        first = pool.submit(farm(tracker).run, job(1))
        assert started.wait(SECONDS)
        asked: list[int] = []

        class Patient(Farm):
            def _usable(self) -> bool:
                asked.append(1)
                if len(asked) == 3:
                    goes_on.set()
                return super()._usable()

        limits = farm(tracker, server=0.05)._limits
        client = Patient(tracker, KEY, IDENTITY, BOARD, limits=limits)
        # once it is free, it may take more than the 0.05 s to offer itself again: that is refilled
        assert pool.submit(client.run, job(2)).result(SECONDS) == result(job(2))
        assert first.result(SECONDS) == result(job(1))
    assert len(asked) >= 3


def test_another_compiler_is_refused_with_one_line() -> None:
    lines: list[str] = []
    with tracker_here() as tracker, server_here(tracker, identity="gcc 4"):
        with pytest.raises(NoDeviceError, match="its identity is gcc 4, not this compiler") as one:
            farm(tracker, lines).run(job())
        assert "\n" not in str(one.value)
        with server_here(tracker):
            assert farm(tracker, lines).run(job()) == result(job())
    assert all(line.endswith("; left out") for line in lines)


def test_another_board_is_refused() -> None:
    with (
        tracker_here() as tracker,
        server_here(tracker, board="other"),
        pytest.raises(NoDeviceError, match="its board is other, not test"),
    ):
        farm(tracker).run(job())


@pytest.mark.parametrize(
    "error",
    [
        BuildError("model/m.c:1: error: expected"),
        BudgetError("m does not fit test"),
        DeviceError("test: more than 7 instructions"),
        RunError("test: run returned 3", 3),
    ],
)
def test_an_error_of_the_job_is_the_jobs(error: DeviceError) -> None:
    tries = []

    def run(one: Job) -> DeviceRun:
        tries.append(one)
        raise error

    with tracker_here() as tracker, server_here(tracker, run):
        with pytest.raises(type(error)) as caught:
            farm(tracker).run(job())
        assert type(caught.value) is type(error)
        assert vars(caught.value) == vars(error)
        assert str(caught.value) == str(error)
    assert tries == [job(), job()]


def test_an_error_that_only_one_server_finds_does_not_count() -> None:
    tries = []

    def run(one: Job) -> DeviceRun:
        tries.append(one)
        if len(tries) == 1:
            raise DeviceError("the emulator ended with status -9")
        return result(one)

    with tracker_here() as tracker, server_here(tracker, run):
        assert farm(tracker).run(job()) == result(job())
    assert len(tries) == 2


@pytest.mark.parametrize("error", [ToolError("no gcc"), OSError(28, "No space left"), KeyError(1)])
def test_what_is_the_servers_trouble_is_done_elsewhere(error: Exception) -> None:
    first = threading.Event()

    def run(one: Job) -> DeviceRun:
        if not first.is_set():
            first.set()
            raise error
        return result(one)

    lines: list[str] = []
    with tracker_here() as tracker, server_here(tracker, run, servers=2):
        assert farm(tracker, lines).run(job()) == result(job())
    assert len(lines) == 1


def test_all_that_a_job_has_comes_to_the_server() -> None:
    seen = []

    def run(one: Job) -> DeviceRun:
        seen.append(one)
        return replace(result(one), records=(), sizes=None)

    whole = replace(job(3), poison=True, thresholds=(-5, 7), instruction_limit=1 << 40)
    with tracker_here() as tracker, server_here(tracker, run):
        farm(tracker).run(whole)
    assert seen == [whole]


def test_without_a_tracker_there_is_no_farm() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = Address("127.0.0.1", listener.getsockname()[1])
    with pytest.raises(TrackerError, match=f"no tracker at {address}"):
        farm(address).servers()


@pytest.mark.parametrize("host", ["a..b", "a" * 64])
def test_a_name_that_no_computer_can_have_is_one_line(host: str) -> None:
    with pytest.raises(TrackerError, match=rf"at {host}:1: that is no computer's name; `python"):
        Tracker(Address(host, 1))
    client = farm(Address("127.0.0.1", 1))
    with pytest.raises(LinkError, match=r"^that is no computer's name$"):
        client._connect(Offer(Address(host, 1), "word"))


def test_what_listens_may_be_no_tracker() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            connection.sendall(b"SSH-2.0")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        address = Address("127.0.0.1", listener.getsockname()[1])
        with pytest.raises(TrackerError, match="is not TVM's RPC tracker"):
            farm(address).servers()
        thread.join()
