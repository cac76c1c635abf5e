"""The errors of the Project API, as JSON-RPC 2.0 carries them."""

from __future__ import annotations

import enum
import traceback
from collections.abc import Mapping
from typing import Any, Self


class ErrorCode(enum.IntEnum):
    """JSON-RPC's codes, and the one of all errors that a handler raises."""

    SERVER_ERROR = -32000
    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603


class JSONRPCError(Exception):
    """An error that was, or is to be, sent in place of a result."""

    def __init__(
        self,
        code: int,
        message: str,
        data: Any = None,
        client_context: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data
        self.client_context = client_context

    def to_json(self) -> dict[str, Any]:
        """The object that goes over the wire."""
        return {"code": int(self.code), "message": self.message, "data": self.data}

    def __str__(self) -> str:
        context = f"{self.client_context}: " if self.client_context else ""
        return f"{context}JSON-RPC error {self.code}: {self.message}"

    @staticmethod
    def from_json(client_context: str, error: Mapping[str, Any]) -> JSONRPCError:
        """The error that a server sent."""
        code, message, data = int(error["code"]), str(error["message"]), error.get("data")
        if code != ErrorCode.SERVER_ERROR:
            return JSONRPCError(code, message, data, client_context)
        # a subclass travels by its name
        for kind in _subclasses(ServerError):
            if kind.__name__ == message:
                return kind(data=data, client_context=client_context)
        return ServerError(message, data, client_context)


class ServerError(JSONRPCError):
    """An error of a valid request. A subclass has its own name as message; `data` may hold the
    server's traceback and, of our handlers, the line for the user and the exit status."""

    def __init__(
        self,
        message: str | None = None,
        data: Any = None,
        client_context: str | None = None,
    ) -> None:
        named = message if type(self) is ServerError and message else type(self).__name__
        super().__init__(ErrorCode.SERVER_ERROR, named, data, client_context)
        if message is not None and message != named:
            self.data = {**(data or {}), "line": message}

    @classmethod
    def from_exception(cls, error: BaseException, *, message: str) -> Self:
        """What a handler raised, with its traceback; `message` says where."""
        return cls(message).with_exception(error)

    def with_exception(self, error: BaseException) -> Self:
        """The same with the exception's text, status and traceback in `data`."""
        data = dict(self.data or {})
        data.setdefault("line", f"{type(error).__name__}: {error}")
        data.setdefault("traceback", "".join(traceback.format_exception(error)))
        if isinstance(status := getattr(error, "status", None), int):
            data.update(line=str(error), status=status)
        self.data = data
        return self


class TransportClosedError(ServerError):
    """The transport is not open, or what it leads to is gone."""


class IoTimeoutError(ServerError):
    """Nothing could be read, or not all written, in the time that was given."""


class UnsupportedTVMVersionError(ServerError):
    """The server does not work with the caller's TVM."""


def _subclasses(kind: type[ServerError]) -> list[type[ServerError]]:
    below = kind.__subclasses__()
    return below + [other for each in below for other in _subclasses(each)]
