"""The client of a farm: runs jobs on whatever measuring server is free, until one has done it.

A server that is gone, silent, or answers nonsense is left out for a while, which doubles each time,
and the job goes to another. An error of a job counts only once two answers agree on it: an emulator
that was killed, for one, also ends with an error.
"""

from __future__ import annotations

import math
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from ..errors import NoDeviceError, VqError
from ..micro.job import Job
from ..micro.runner import DeviceRun
from .messages import read_error, read_run, write_job
from .server import BUSY_SECONDS, PROTOCOL, TRANSFER_SECONDS
from .tracker import Address, Offer, SilentTrackerError, Tracker, TrackerError, why_not
from .wire import LinkError, Message, receive, send

_ATTEMPTS = 10
"""Of a job, which the servers may suffer from."""
_PAUSE_SECONDS = 0.1
"""Before the tracker is asked again that offered a server which is left out, or is not there."""


@dataclass(frozen=True)
class Limits:
    """How long the client waits, in seconds.

    `server`: for any server at all; `busy`: for one of those that are there. `silence`: for the
    next message, of which a server that works sends one every two. `build`: for a job beside the
    time that it may run. A server is left out for `left_out` at first, `left_out_longest` at most.
    """

    server: float = 120.0
    busy: float = 3600.0
    connect: float = 10.0
    silence: float = 15 * BUSY_SECONDS
    build: float = 600.0
    left_out: float = 1.0
    left_out_longest: float = 60.0


@dataclass(frozen=True)
class LeftOut:
    """A server that is not asked before `until`, a time of `time.monotonic`; why, and how long that
    is in all."""

    why: str
    seconds: float
    until: float


class RefusedError(LinkError):
    """A server does not serve clients like this one: it would tell other figures."""


class Farm:
    """The servers of a key at a tracker; `run` may be called by several threads.

    `identity` is of this client's compiler and package, and `board` the one that jobs are for:
    servers have the same. `notify` is told of every server that is left out.
    """

    def __init__(
        self,
        tracker: Address,
        key: str,
        identity: str,
        board: str,
        *,
        notify: Callable[[str], None] = lambda _line: None,
        limits: Limits = Limits(),
    ) -> None:
        self.tracker, self.key = tracker, key
        self._hello = {"protocol": PROTOCOL, "identity": identity, "board": board}
        self._notify, self._limits = notify, limits
        self._lock = threading.Lock()
        self._left_out: dict[Address, LeftOut] = {}
        """Also those whose time is over, until they have done a job."""
        self._lost: NoDeviceError | None = None

    def servers(self) -> set[Address]:
        """Those that are there. TrackerError: no tracker."""
        with Tracker(self.tracker) as tracker:
            return tracker.servers(self.key)

    def run(self, job: Job) -> DeviceRun:
        """Runs a job on a server.

        VqError: what is wrong with the job, as on this computer. NoDeviceError: no server for long,
        or one after the other failed; from then on every call says so.
        """
        said: VqError | None = None
        last = ""
        for _ in range(_ATTEMPTS):
            offer = self._offer()
            try:
                answer = self._ask(offer, job)
            except LinkError as error:
                last = self._leave_out(offer.address, error)
                continue
            with self._lock:
                self._left_out.pop(offer.address, None)
            if isinstance(answer, DeviceRun):
                return answer
            if said is not None and (type(said), str(said)) == (type(answer), str(answer)):
                raise answer
            said = answer
        raise said or self._give_up(f"{_ATTEMPTS} servers in turn failed at the same job: {last}")

    def _offer(self) -> Offer:
        """A server that is not left out."""
        began = time.monotonic()
        until = began + self._limits.server
        why = "none is registered"
        while (left := until - time.monotonic()) > 0:
            if self._lost is not None:
                raise self._lost
            try:
                with Tracker(self.tracker) as tracker:
                    offer = tracker.request(self.key, left)
                if self._is_left_out(offer.address) is None:
                    return offer
                self._hand_back(offer)
                self._check_refusals()
                why = "those that are there are left out"
            except SilentTrackerError:
                if self._usable() and time.monotonic() < began + self._limits.busy:
                    until = time.monotonic() + self._limits.server
                    why = "those that are there are busy"
                    continue
            except TrackerError as error:
                why = str(error)
            time.sleep(_PAUSE_SECONDS)
        raise self._give_up(f"no server for {self._limits.server:g} s: {why}")

    def _ask(self, offer: Offer, job: Job) -> DeviceRun | VqError:
        """What a server says to a job; LinkError: it is not to be believed, or says nothing."""
        limits, number = self._limits, secrets.token_hex(8)
        until = time.monotonic() + limits.build + job.timeout_seconds
        with self._connect(offer) as connection:
            send(connection, {**self._hello, "word": offer.word}, limits.silence)
            ready = receive(connection, limits.silence)
            if "ready" not in ready:
                raise RefusedError(str(ready.get("refused", "it does not say why")))
            send(connection, {"id": number, "job": write_job(job)}, TRANSFER_SECONDS)
            answer: Message = {"busy": True}
            while "busy" in answer:
                if time.monotonic() > until:
                    raise LinkError("a job that does not end")
                answer = receive(connection, limits.silence)
        if answer.get("id") != number:
            raise LinkError("the answer to another job")
        if "trouble" in answer:
            raise LinkError(str(answer["trouble"]))
        if "error" in answer:
            return read_error(answer["error"])
        return read_run(answer.get("run"), job)

    def _connect(self, offer: Offer) -> socket.socket:
        address = offer.address
        try:
            return socket.create_connection((address.host, address.port), self._limits.connect)
        except (OSError, UnicodeError) as error:
            raise LinkError(why_not(error)) from None

    def _hand_back(self, offer: Offer) -> None:
        """A server that hears nothing in its session offers the next."""
        with suppress(LinkError):  # it is gone, and the tracker will know
            self._connect(offer).close()

    def _leave_out(self, address: Address, error: LinkError) -> str:
        """Notes it for a while; what it is notified as."""
        line, limits = f"server {address}: {error}", self._limits
        with self._lock:
            before = self._left_out.get(address)
            seconds = 2 * before.seconds if before else limits.left_out
            seconds = min(seconds, limits.left_out_longest)
            if isinstance(error, RefusedError):
                seconds = math.inf
            self._left_out[address] = LeftOut(line, seconds, time.monotonic() + seconds)
        self._notify(f"{line}; left out" + ("" if seconds == math.inf else f" for {seconds:g} s"))
        return line

    def _is_left_out(self, address: Address) -> LeftOut | None:
        with self._lock:
            found = self._left_out.get(address)
        return found if found and found.until > time.monotonic() else None

    def _usable(self) -> bool:
        """Whether there is a server that is not left out."""
        try:
            return any(self._is_left_out(server) is None for server in self.servers())
        except TrackerError:
            return False

    def _check_refusals(self) -> None:
        """NoDeviceError: every server that is there refuses this client."""
        found = [self._is_left_out(server) for server in self.servers()]
        refusals = [one.why for one in found if one and one.seconds == math.inf]
        if refusals and len(refusals) == len(found):
            raise self._give_up("; ".join(refusals))

    def _give_up(self, reason: str) -> NoDeviceError:
        with self._lock:
            if self._lost is None:
                self._lost = NoDeviceError(
                    f"{self.key} at {self.tracker}: {reason}; `vq-cortexm serve` starts a server"
                )
            return self._lost
