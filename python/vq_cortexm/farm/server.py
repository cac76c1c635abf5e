"""A measuring server: it offers a session at the tracker, does one job in it, and offers the next.

    client                                             server
    hello: protocol, word, identity, board ──────────►
                                           ◄────────── ready, or refused: why
    job: id, job                           ──────────►
                                           ◄────────── busy, every few seconds
                                           ◄────────── id, and run, or error, or trouble

An error is about the job; trouble is about the server, and the job is for another. What is said in
a connection ends with it: no answer can come twice, or to another client. A job that has begun is
done to its end, or its time-out, also where its client has left: a board in the middle of one would
be of no use to the next.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from ..errors import NoDeviceError, ToolError, VqError, first_line
from ..micro.job import RunJob
from ..micro.runner import DeviceRun
from .messages import read_job, write_error, write_run
from .tracker import Address, Tracker
from .wire import LinkError, Message, receive, send

PROTOCOL = 1
BUSY_SECONDS = 2.0
"""Between two messages while a job runs."""
TRANSFER_SECONDS = 60.0
_HELLO_SECONDS = 10.0
_PING_SECONDS = 2.0
_PINGS = 3
"""After which a word that was given out, and that nobody came with, is replaced."""
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 30.0
"""Before a lost tracker, or a lost board, is tried again."""

Notify = Callable[[str], None]


class Stop:
    """Ends servers from another thread or a signal's handler; `select` waits for it."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()

    def fileno(self) -> int:
        """Readable once it is set."""
        return self._reader.fileno()

    def set(self) -> None:
        """Whatever is under way ends."""
        self._writer.close()

    def wait(self, seconds: float | None = None) -> bool:
        """Whether it is set, now or within `seconds`."""
        return bool(select.select([self], [], [], seconds)[0])


@dataclass(frozen=True)
class Service:
    """What a server is: `run` runs its jobs on `board`, one at a time, for clients whose compiler
    and package have the same `identity`. `check` raises DeviceError while there is no board to run
    them on; then the server is not registered."""

    tracker: Address
    key: str
    identity: str
    board: str
    run: RunJob
    check: Callable[[], None] = lambda: None


def serve(service: Service, stop: Stop, *, servers: int = 1, notify: Notify = print) -> None:
    """Serves until `stop` is set, with `servers` jobs at a time; a job that runs is ended first.

    TrackerError: the tracker is not there at the start. One that is lost later is waited for.
    """
    Tracker(service.tracker).close()
    what = f"{servers} x {service.board}, {service.identity}"
    notify(f"{service.key} at {service.tracker}: {what}")
    threads = [
        threading.Thread(target=_serve_one, args=(service, stop, notify)) for _ in range(servers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _serve_one(service: Service, stop: Stop, notify: Notify) -> None:
    pause = _FIRST_PAUSE_SECONDS
    while not stop.wait(0):
        try:
            service.check()
            with Tracker(service.tracker) as tracker, _listener(tracker) as listener:
                tracker.introduce(service.key, listener.getsockname()[1])
                pause = _FIRST_PAUSE_SECONDS
                while not stop.wait(0):
                    _serve_session(service, tracker, listener, stop)
                    service.check()
        except Exception as error:  # a thread that ended would be a server that says nothing
            said = first_line(error)
            if not isinstance(error, VqError | OSError):
                said = f"{type(error).__name__}: {said}"
            with suppress(OSError):  # nobody may listen any more
                notify(f"{said}; tried again in {pause:g} s")
            stop.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def _listener(tracker: Tracker) -> socket.socket:
    """Where the tracker sees this computer, and so where clients find it."""
    family, host = tracker.socket.family, tracker.socket.getsockname()[0]
    return socket.create_server((host, 0), family=family)


def _serve_session(service: Service, tracker: Tracker, listener: socket.socket, stop: Stop) -> None:
    """Offers a session and holds it."""
    port = listener.getsockname()[1]
    word, missed = tracker.put(service.key, port), 0
    awaited: list[socket.socket | Stop] = [listener, stop]
    while True:
        ready, _, _ = select.select(awaited, [], [], _PING_SECONDS)
        if stop in ready:
            return
        if not ready:
            missed = 0 if word in tracker.pending() else missed + 1
            if missed == _PINGS:
                word, missed = tracker.put(service.key, port), 0
            continue
        connection, _ = listener.accept()
        with connection:
            try:
                if _is_welcome(service, word, connection):
                    _work(service, connection, stop)
                    return
            except LinkError:
                # a client that leaves without a word has used its session too
                if word not in tracker.pending():
                    return


def _is_welcome(service: Service, word: str, connection: socket.socket) -> bool:
    """Whether a client may send its job; False where it is not the one that was sent here."""
    hello = receive(connection, _HELLO_SECONDS)
    if hello.get("word") != word:
        send(connection, {"trouble": "the session is another's"}, _HELLO_SECONDS)
        return False
    wanted = {"protocol": PROTOCOL, "identity": service.identity, "board": service.board}
    for what, own in wanted.items():
        if hello.get(what) != own:
            reason = f"its {what} is {own}, not {hello.get(what)}"
            send(connection, {"refused": reason}, _HELLO_SECONDS)
            raise LinkError(reason)
    send(connection, {"ready": True}, _HELLO_SECONDS)
    return True


def _work(service: Service, connection: socket.socket, stop: Stop) -> None:
    """One job."""
    request = receive(connection, TRANSFER_SECONDS)
    number = request.get("id")
    try:
        job = read_job(request.get("job"))
    except LinkError as error:
        send(connection, {"id": number, "trouble": str(error)}, TRANSFER_SECONDS)
        return
    with ThreadPoolExecutor(1) as pool:
        answer = _answer(pool.submit(service.run, job), connection)
    if "error" in answer and stop.wait(0):
        # what stops this process may have hit the emulator first
        answer = {"trouble": "the server is being stopped"}
    send(connection, {"id": number, **answer}, TRANSFER_SECONDS)


def _answer(running: Future[DeviceRun], connection: socket.socket) -> Message:
    """The answer, when there is one; until then the client is told that it is waited for."""
    while True:
        try:
            return {"run": write_run(running.result(BUSY_SECONDS))}
        except TimeoutError as error:
            if running.done():
                return {"trouble": first_line(error)}
            send(connection, {"busy": True}, TRANSFER_SECONDS)
        except (ToolError, NoDeviceError) as error:
            return {"trouble": str(error)}
        except VqError as error:
            return {"error": write_error(error)}
        except Exception as error:  # a full disk, for one
            return {"trouble": f"{type(error).__name__}: {first_line(error)}"}
