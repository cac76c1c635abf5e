"""The way to a device that leads through a project's server."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from ..errors import DeviceError
from .cycle_model import InferenceRecord, parse_records
from .project_api.client import ProjectAPIClient
from .transport import Line, Transport, TransportClosedError, TransportTimeouts


class ProjectTransport(Transport):
    """Reads and writes by `read_transport` and `write_transport` of a Project API server.

    `errors` makes errors of ours of a server's; `metadata` is the model's.
    """

    def __init__(
        self,
        api_client: ProjectAPIClient,
        options: Mapping[str, Any],
        metadata: Mapping[str, Any] | None,
        errors: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.metadata = metadata
        self._api_client = api_client
        self._options = dict(options)
        self._errors = errors
        self._timeouts: TransportTimeouts | None = None
        self._line = Line()
        self._available = 0

    def timeouts(self) -> TransportTimeouts:
        """As the server says; TransportClosedError before the transport was opened."""
        if self._timeouts is None:
            raise TransportClosedError("the project's transport is not open")
        return self._timeouts

    def line(self) -> Line:
        """As the server says, or else that of a slow serial port."""
        return self._line

    def open(self) -> None:
        """Opens the server's transport."""
        with self._errors():
            reply = self._api_client.open_transport(self._options)
        try:
            self._timeouts = TransportTimeouts(**reply["timeouts"])
            self._line = Line(**reply.get("line", {}))
        except (KeyError, TypeError):
            raise DeviceError("the project's server tells no time-outs") from None
        self._available = 0

    def close(self) -> None:
        """Closes the server's transport."""
        if self._timeouts is not None and not self._api_client.is_shutdown:
            with self._errors():
                self._api_client.close_transport()
        self._timeouts = None

    def read(self, n: int, timeout_sec: float) -> bytes:
        """1 to `n` bytes.

        A server gives exactly as many as it is asked for, so it is asked for one, or for those that
        it has said to have.
        """
        with self._errors():
            reply = self._api_client.read_transport(max(1, min(n, self._available)), timeout_sec)
        available = reply.get("available", 0)
        self._available = available if isinstance(available, int) else 0
        return bytes(reply["data"])

    def write(self, data: bytes, timeout_sec: float) -> None:
        """Writes all of `data`."""
        with self._errors():
            self._api_client.write_transport(data, timeout_sec)

    def take_records(self) -> Sequence[InferenceRecord] | None:
        """As the server's emulator has them."""
        with self._errors():
            records = self._api_client.take_records()
        if records is None:
            return None
        return parse_records("".join(json.dumps(record) + "\n" for record in records))
