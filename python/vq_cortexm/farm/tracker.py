"""TVM's RPC tracker, as measuring servers and their clients speak to it.

`python -m tvm.exec.rpc_tracker` starts one. A server puts a key there, with a word that it makes up
for every session; whoever asks for the key is given one server's address and word.
"""

from __future__ import annotations

import json
import secrets
import socket
import struct
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from ..compat import rpc_protocol
from ..errors import DeviceError, UsageError, first_line
from .wire import receive_exactly

_SIZE = struct.Struct("<i")
_ANSWER_BYTES = 1 << 20
CONNECT_SECONDS = 10.0
"""For a connection, and for an answer that waits for nobody."""


@dataclass(frozen=True)
class Address:
    """Of a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_address(text: str) -> Address:
    """The address in HOST:PORT; UsageError for anything else."""
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise UsageError(f"--tracker {text}: HOST:PORT works, as 127.0.0.1:9190")
    return Address(host.removeprefix("[").removesuffix("]"), int(port))


class TrackerError(DeviceError):
    """The tracker is not there, is none, or says nothing."""


class SilentTrackerError(TrackerError):
    """It did not answer in time, as it does not while it has no free server."""


@dataclass(frozen=True)
class Offer:
    """A server that waits for one session, in which this word is said."""

    address: Address
    word: str


class Tracker:
    """A connection to the tracker; all methods raise TrackerError."""

    def __init__(self, address: Address) -> None:
        protocol = rpc_protocol()
        self.address, self._codes = address, protocol.TrackerCode
        try:
            self.socket = socket.create_connection((address.host, address.port), CONNECT_SECONDS)
        except (OSError, UnicodeError) as error:
            said = why_not(error)
            raise TrackerError(
                f"no tracker at {address}: {said}; `python -m tvm.exec.rpc_tracker` starts one"
            ) from None
        magic = _SIZE.pack(protocol.RPC_TRACKER_MAGIC)
        try:
            self.socket.sendall(magic)
            if receive_exactly(self.socket, len(magic), _soon()) != magic:
                raise OSError
        except OSError:
            self.socket.close()
            raise TrackerError(f"what listens at {address} is not TVM's RPC tracker") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """What was put through this connection is taken back by that."""
        self.socket.close()

    def introduce(self, key: str, port: int) -> None:
        """Says what is served by whoever is at this end, for lists of servers."""
        # without a host the tracker notes the one that it sees
        self._ask([self._codes.UPDATE_INFO, {"key": f"server:{key}", "addr": [None, port]}])

    def put(self, key: str, port: int) -> str:
        """Offers a session at a port of this end; the word that comes with it."""
        word = f"{key}:{secrets.token_hex(8)}"
        self._ask([self._codes.PUT, key, [port, word], None])
        return word

    def pending(self) -> list[str]:
        """The words that this connection put and nobody was given."""
        found = self._ask([self._codes.GET_PENDING_MATCHKEYS])
        return found if isinstance(found, list) else []

    def request(self, key: str, seconds: float) -> Offer:
        """A free server, as soon as there is one; SilentTrackerError after `seconds`."""
        try:
            code, value = self._ask([self._codes.REQUEST, key, "", 1], seconds)
            host, port, word = value
            if code != self._codes.SUCCESS or not isinstance(port, int):
                raise ValueError
            return Offer(Address(str(host), port), str(word))
        except (TypeError, ValueError):
            raise TrackerError(f"the tracker at {self.address} answers nonsense") from None

    def servers(self, key: str) -> set[Address]:
        """Those that serve a key, free or not."""
        try:
            _, summary = self._ask([self._codes.SUMMARY])
            found = [one["addr"] for one in summary["server_info"] if one["key"] == f"server:{key}"]
            return {Address(str(host), int(port)) for host, port in found}
        except (TypeError, ValueError, KeyError):
            raise TrackerError(f"the tracker at {self.address} answers nonsense") from None

    def _ask(self, message: list[Any], seconds: float = CONNECT_SECONDS) -> Any:
        body = json.dumps(message).encode()
        try:
            self.socket.settimeout(CONNECT_SECONDS)
            self.socket.sendall(_SIZE.pack(len(body)) + body)
            until = time.monotonic() + seconds
            (size,) = _SIZE.unpack(receive_exactly(self.socket, _SIZE.size, until))
            if not 0 < size <= _ANSWER_BYTES:
                raise OSError("an answer too long")
            return json.loads(receive_exactly(self.socket, size, max(until, _soon())))
        except TimeoutError:
            raise SilentTrackerError(
                f"the tracker at {self.address} did not answer within {seconds:g} s"
            ) from None
        except (OSError, ValueError):
            raise TrackerError(f"the tracker at {self.address} is gone") from None


def why_not(error: OSError | UnicodeError) -> str:
    """Why there is no connection, in words: a name that none can have is a UnicodeError."""
    if isinstance(error, UnicodeError):
        return "that is no computer's name"
    return error.strerror or first_line(error)


def _soon() -> float:
    return time.monotonic() + CONNECT_SECONDS
