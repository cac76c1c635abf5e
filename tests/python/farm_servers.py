"""TVM's tracker and measuring servers in this process, on ports that are free."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tvm.rpc import base
from tvm.rpc.tracker import _tracker_server

from vq_cortexm.farm.client import Farm, Limits
from vq_cortexm.farm.server import Service, Stop, serve
from vq_cortexm.farm.tracker import Address, Tracker
from vq_cortexm.farm.wire import Message, receive, send
from vq_cortexm.micro.app import AppSpec, IoTensor, ModelIo
from vq_cortexm.micro.cycle_model import FunctionRecord, InferenceRecord, LayerRecord
from vq_cortexm.micro.firmware import FirmwareSizes, Symbol
from vq_cortexm.micro.job import Job, RunJob
from vq_cortexm.micro.runner import DeviceRun

KEY, IDENTITY, BOARD = "vq-cortexm/test", "this compiler", "test"
SECONDS = 60.0
"""For what should be there at once, on a busy machine."""
IO = ModelIo("m", (IoTensor("x", 4),), (IoTensor("y", 4),), layers=3)


def job(number: int = 0, samples: int = 2) -> Job:
    """Jobs of different numbers have different results."""
    inputs = tuple(bytes([number, i, 0, 0]) for i in range(samples))
    return Job({"m.c": "int m;"}, AppSpec(IO, bytes(4)), inputs, ("f", "g"), SECONDS)


def result(of: Job) -> DeviceRun:
    """What every server should make of it."""
    layers = (LayerRecord("f", 3, 4), LayerRecord("g", 5, None))
    record = InferenceRecord(10, 12, layers, (FunctionRecord("h", 7, 9),))
    sizes = FirmwareSizes(1, 2, 3, 4, (Symbol("f", "text", 64, 8),))
    outputs = tuple(sample[::-1] for sample in of.samples)
    return DeviceRun(outputs, (), (record,) * len(of.samples), sizes, 100)


_ANYWHERE = Address("127.0.0.1", 0)


@contextmanager
def tracker_here(at: Address = _ANYWHERE) -> Iterator[Address]:
    listener = socket.create_server((at.host, at.port))
    address = Address(at.host, listener.getsockname()[1])
    thread = threading.Thread(target=_tracker_server, args=(listener, "stop"))
    thread.start()
    try:
        yield address
    finally:
        with socket.create_connection((address.host, address.port)) as connection:
            connection.sendall(base.RPC_TRACKER_MAGIC.to_bytes(4, "little"))
            base.recvall(connection, 4)
            base.sendjson(connection, [base.TrackerCode.STOP, "stop"])
            base.recvjson(connection)
        thread.join()


@contextmanager
def server_here(
    tracker: Address,
    run: RunJob = result,
    *,
    servers: int = 1,
    identity: str = IDENTITY,
    board: str = BOARD,
) -> Iterator[list[str]]:
    """Servers; what they notify of."""
    stop, lines = Stop(), list[str]()
    service = Service(tracker, KEY, identity, board, run)
    before = registered(tracker)
    thread = threading.Thread(
        target=serve, args=(service, stop), kwargs={"servers": servers, "notify": lines.append}
    )
    thread.start()
    try:
        until(lambda: registered(tracker) == before + servers)
        yield lines
    finally:
        stop.set()
        thread.join()


def registered(tracker: Address) -> int:
    with Tracker(tracker) as connection:
        return len(connection.servers(KEY))


def until(holds: Callable[[], bool]) -> None:
    """Waits; AssertionError if it does not hold for long."""
    pause = threading.Event()
    for _ in range(int(SECONDS / 0.02)):
        if holds():
            return
        pause.wait(0.02)
    raise AssertionError("it never holds")


def farm(tracker: Address, lines: list[str] | None = None, **limits: float) -> Farm:
    notify = (lambda _line: None) if lines is None else lines.append
    return Farm(tracker, KEY, IDENTITY, BOARD, notify=notify, limits=Limits(**limits))


@dataclass
class Bad:
    """Counts the sessions of a server that does not do as it should."""

    sessions: int = 0
    held: list[socket.socket] = field(default_factory=list)
    """Connections that stay open."""


@contextmanager
def bad_server(
    tracker: Address, act: Callable[[socket.socket, Message], bool | None]
) -> Iterator[Bad]:
    """`act` is what it does in a session after a right hello; true: the connection stays open."""
    found, ends = Bad(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener, Tracker(tracker) as link:
        port = listener.getsockname()[1]
        link.introduce(KEY, port)
        link.put(KEY, port)

        def sessions() -> None:
            while True:
                connection, _ = listener.accept()
                if ends.is_set():
                    return
                with suppress(Exception):
                    hello = receive(connection, SECONDS)
                    found.sessions += 1
                    if act(connection, hello):
                        found.held.append(connection)
                        continue
                connection.close()
                with suppress(Exception):
                    link.put(KEY, port)

        thread = threading.Thread(target=sessions)
        thread.start()
        try:
            yield found
        finally:
            ends.set()
            socket.create_connection(("127.0.0.1", port)).close()
            thread.join()
            for connection in found.held:
                connection.close()


def job_of(connection: socket.socket) -> Message:
    """Says ready; the request that follows."""
    send(connection, {"ready": True}, SECONDS)
    return receive(connection, SECONDS)
