"""A Project API server: JSON-RPC 2.0 over two pipes, a line for each message.

`microtvm_api_server.py` of a project makes a handler and calls `main(handler)`; whoever starts it
gives `--read-fd N --write-fd N`. One request at a time; bytes travel in base85.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from ..transport import TransportTimeouts
from .handler import (
    ProjectAPIHandler,
    ProjectOption,
    ServerInfo,
    default_project_options,
)
from .pipes import read_with_timeout, write_with_timeout
from .rpc_errors import (
    ErrorCode,
    IoTimeoutError,
    JSONRPCError,
    ServerError,
    TransportClosedError,
    UnsupportedTVMVersionError,
)

PROTOCOL_VERSION = 1

_LOG = logging.getLogger(__name__)
_SECONDS = (int, float, type(None))
_PARAMETERS: dict[str, dict[str, Any]] = {
    "server_info_query": {"tvm_version": str},
    "generate_project": {
        "model_library_format_path": str,
        "standalone_crt_dir": str,
        "project_dir": str,
        "options": dict,
    },
    "build": {"options": dict},
    "flash": {"options": dict},
    "open_transport": {"options": dict},
    "close_transport": {},
    "read_transport": {"n": int, "timeout_sec": _SECONDS},
    "write_transport": {"data": str, "timeout_sec": _SECONDS},
    "take_records": {},
}
"""The types of each method's parameters, all of which have to be given. `take_records` is ours, the
others are microTVM's."""


class ProjectAPIServer:
    """Answers requests from `read_file` on `write_file`, both unbuffered and binary."""

    def __init__(
        self, read_file: BinaryIO, write_file: BinaryIO, handler: ProjectAPIHandler
    ) -> None:
        self._lines = os.fdopen(read_file.fileno(), "rb", closefd=False)
        self._write_file = write_file
        self._handler = handler

    def serve_forever(self) -> None:
        """Until the other end closes its pipe, or sends what is no request; then the transport is
        closed."""
        try:
            while self.serve_one_request():
                pass
        finally:
            with contextlib.suppress(Exception):
                self._handler.close_transport()

    def serve_one_request(self) -> bool:
        """Reads and answers one request; False where no other can follow."""
        line = self._lines.readline()
        _LOG.debug("read request <- %r", line)
        if not line:
            return False
        request: Any = None
        try:
            request = _parse(line)
            result = self._call(request["method"], request["params"])
        except JSONRPCError as error:
            if isinstance(error, ServerError):
                error.with_exception(error)
            self._reply(_id_of(request), error=error.to_json())
        except Exception as error:
            wrapped = ServerError.from_exception(error, message=f"calling {request['method']}")
            self._reply(_id_of(request), error=wrapped.to_json())
        else:
            self._reply(_id_of(request), result=result)
        return request is not None

    def _reply(self, request_id: Any, **outcome: Any) -> None:
        reply = json.dumps({"jsonrpc": "2.0", "id": request_id, **outcome})
        _LOG.debug("write reply -> %s", reply)
        data = memoryview(reply.encode() + b"\n")
        while data:
            data = data[self._write_file.write(data) :]

    def _call(self, method: str, params: dict[str, Any]) -> Any:
        _check_parameters(method, params)
        own = getattr(self, f"_{method}", None)
        return own(**params) if own else getattr(self._handler, method)(**params)

    def _server_info_query(self, tvm_version: str) -> dict[str, Any]:
        info = self._handler.server_info_query(tvm_version)
        path = info.model_library_format_path
        return {
            **info._asdict(),
            "model_library_format_path": None if path is None else str(path),
            "project_options": [option._asdict() for option in info.project_options],
            "protocol_version": PROTOCOL_VERSION,
        }

    def _generate_project(
        self,
        model_library_format_path: str,
        standalone_crt_dir: str,
        project_dir: str,
        options: dict[str, Any],
    ) -> None:
        self._handler.generate_project(
            Path(model_library_format_path), Path(standalone_crt_dir), Path(project_dir), options
        )

    def _open_transport(self, options: dict[str, Any]) -> dict[str, Any]:
        timeouts = self._handler.open_transport(options)
        return {"timeouts": vars(timeouts), **self._handler.describe_transport()}

    def _read_transport(self, n: int, timeout_sec: float | None) -> dict[str, Any]:
        data = self._handler.read_transport(n, timeout_sec)
        return {
            "data": base64.b85encode(data).decode(),
            "available": self._handler.bytes_available(),
        }

    def _write_transport(self, data: str, timeout_sec: float | None) -> None:
        try:
            decoded = base64.b85decode(data)
        except ValueError:
            raise JSONRPCError(ErrorCode.INVALID_PARAMS, "data: not base85") from None
        self._handler.write_transport(decoded, timeout_sec)


def _parse(line: bytes) -> dict[str, Any]:
    """The request of a line; JSONRPCError if it is none."""
    try:
        request = json.loads(line)
    except ValueError:
        raise JSONRPCError(ErrorCode.PARSE_ERROR, "not JSON") from None
    if not isinstance(request, dict) or request.get("jsonrpc") != "2.0":
        raise JSONRPCError(ErrorCode.INVALID_REQUEST, "not a JSON-RPC 2.0 request")
    method = request.get("method")
    if not isinstance(method, str) or not re.fullmatch(r"[a-zA-Z0-9_]+", method):
        raise JSONRPCError(ErrorCode.INVALID_REQUEST, "method: not a name")
    if not isinstance(request.get("params"), dict):
        raise JSONRPCError(ErrorCode.INVALID_REQUEST, "params: not an object")
    if not isinstance(request.get("id"), (str, int, type(None))):
        raise JSONRPCError(ErrorCode.INVALID_REQUEST, "id: neither a text nor a whole number")
    return request


def _check_parameters(method: str, params: dict[str, Any]) -> None:
    if method not in _PARAMETERS:
        raise JSONRPCError(ErrorCode.METHOD_NOT_FOUND, f"{method}: no such method")
    wanted = _PARAMETERS[method]
    for name, kind in wanted.items():
        if name not in params:
            raise JSONRPCError(ErrorCode.INVALID_PARAMS, f"{method}: parameter {name} not given")
        if not isinstance(params[name], kind) or isinstance(params[name], bool):
            raise JSONRPCError(
                ErrorCode.INVALID_PARAMS,
                f"{method}: parameter {name} is a {type(params[name]).__name__}",
            )
    if extra := sorted(set(params) - set(wanted)):
        raise JSONRPCError(
            ErrorCode.INVALID_PARAMS, f"{method}: extra parameters: {', '.join(extra)}"
        )


def _id_of(request: dict[str, Any] | None) -> Any:
    return None if request is None else request.get("id")


def main(handler: ProjectAPIHandler, argv: Sequence[str] | None = None) -> None:
    """Serves until the other end hangs up. `argv` stands for the command line."""
    parser = argparse.ArgumentParser(description="Project API server")
    parser.add_argument("--read-fd", type=int, required=True, help="where requests come from")
    parser.add_argument("--write-fd", type=int, required=True, help="where answers go")
    parser.add_argument("--debug", action="store_true", help="log every message")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level="DEBUG" if arguments.debug else "INFO")
    with (
        os.fdopen(arguments.read_fd, "rb", buffering=0) as read_file,
        os.fdopen(arguments.write_fd, "wb", buffering=0) as write_file,
        # whoever started it is interrupted too, and says so
        contextlib.suppress(KeyboardInterrupt),
    ):
        ProjectAPIServer(read_file, write_file, handler).serve_forever()


__all__ = [
    "ErrorCode",
    "IoTimeoutError",
    "JSONRPCError",
    "ProjectAPIHandler",
    "ProjectAPIServer",
    "ProjectOption",
    "ServerError",
    "ServerInfo",
    "TransportClosedError",
    "TransportTimeouts",
    "UnsupportedTVMVersionError",
    "default_project_options",
    "main",
    "read_with_timeout",
    "write_with_timeout",
]
