"""The other end of a Project API server: starts it and asks it."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

import tvm

from .rpc_errors import ErrorCode, JSONRPCError
from .server import PROTOCOL_VERSION

SERVER_LAUNCH_SCRIPT_FILENAME = "launch_microtvm_api_server.sh"
SERVER_PYTHON_FILENAME = "microtvm_api_server.py"

REPLY_SECONDS = 3600.0
"""What the slowest method, a build or flashing, may take, ..."""
START_SECONDS = 120.0
"""... and the first answer of a server that was just started."""
MARGIN_SECONDS = 30.0
"""What an answer may be later than the time-out it was given."""
_SHUTDOWN_SECONDS = 10.0
_MAX_REPLY_BYTES = 64 << 20


class ProjectAPIErrorBase(Exception):  # noqa: N818, as microTVM has it
    """Base of what goes wrong between the two ends."""


class ConnectionShutdownError(ProjectAPIErrorBase):
    """The server ended, does not answer, or the connection is closed."""


class MalformedReplyError(ProjectAPIErrorBase):
    """What the server said is no answer."""


class MismatchedIdError(ProjectAPIErrorBase):
    """The answer is one to another request."""


class ProjectAPIServerNotFoundError(ProjectAPIErrorBase):
    """A folder without a server."""


class ProjectAPIClient:
    """Asks a server; `process` is ended with the connection."""

    def __init__(
        self,
        read_file: BinaryIO,
        write_file: BinaryIO,
        process: subprocess.Popen[bytes] | None = None,
    ) -> None:
        self._read_file = read_file
        self._write_file = write_file
        self._process = process
        self._received = bytearray()
        self._next_id = 1

    @property
    def is_shutdown(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._read_file.closed

    def shutdown(self) -> None:
        """Hangs up, upon which the server ends; one that does not is killed."""
        self._read_file.close()
        with contextlib.suppress(OSError):
            self._write_file.close()
        if self._process is not None:
            try:
                self._process.wait(_SHUTDOWN_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def server_info_query(self, tvm_version: str | None = None) -> dict[str, Any]:
        """What the server says of itself, as `ServerInfo` has it."""
        params = {"tvm_version": tvm_version or tvm.__version__}
        info = self._request("server_info_query", params, START_SECONDS)
        if not isinstance(info, dict) or info.get("protocol_version") != PROTOCOL_VERSION:
            raise MalformedReplyError(f"not a server of protocol version {PROTOCOL_VERSION}")
        return info

    def generate_project(
        self,
        model_library_format_path: str,
        standalone_crt_dir: str,
        project_dir: str,
        options: dict[str, Any] | None = None,
    ) -> None:
        """Asks a template to make a project."""
        params = {
            "model_library_format_path": model_library_format_path,
            "standalone_crt_dir": standalone_crt_dir,
            "project_dir": project_dir,
            "options": options or {},
        }
        self._request("generate_project", params)

    def build(self, options: dict[str, Any] | None = None) -> None:
        """Builds the firmware."""
        self._request("build", {"options": options or {}})

    def flash(self, options: dict[str, Any] | None = None) -> None:
        """Brings it onto the device."""
        self._request("flash", {"options": options or {}})

    def open_transport(self, options: dict[str, Any] | None = None) -> dict[str, Any]:
        """Opens the way to the device; `timeouts` in the answer."""
        return self._object("open_transport", {"options": options or {}})

    def close_transport(self) -> None:
        """Closes it."""
        self._request("close_transport", {})

    def read_transport(self, n: int, timeout_sec: float | None) -> dict[str, Any]:
        """`n` bytes as `data`."""
        reply = self._object("read_transport", {"n": n, "timeout_sec": timeout_sec}, timeout_sec)
        try:
            return {**reply, "data": base64.b85decode(reply["data"])}
        except (KeyError, TypeError, ValueError):
            raise MalformedReplyError("read_transport: no bytes in base85") from None

    def write_transport(self, data: bytes, timeout_sec: float | None) -> None:
        """Writes all of `data`."""
        params = {"data": base64.b85encode(data).decode(), "timeout_sec": timeout_sec}
        self._request("write_transport", params, timeout_sec)

    def take_records(self) -> list[dict[str, Any]] | None:
        """What an emulator counted since it was asked last; None where nobody counts."""
        try:
            records = self._request("take_records", {})
        except JSONRPCError as error:
            # a server that knows microTVM's methods alone
            if error.code != ErrorCode.METHOD_NOT_FOUND:
                raise
            return None
        if not isinstance(records, list | None):
            raise MalformedReplyError("take_records: no list")
        return records

    def _object(
        self, method: str, params: dict[str, Any], timeout_sec: float | None = None
    ) -> dict[str, Any]:
        result = self._request(method, params, timeout_sec)
        if not isinstance(result, dict):
            raise MalformedReplyError(f"{method}: the result is no object")
        return result

    def _request(
        self, method: str, params: dict[str, Any], timeout_sec: float | None = None
    ) -> Any:
        if self.is_shutdown:
            raise ConnectionShutdownError("the connection is closed")
        request = {"jsonrpc": "2.0", "method": method, "params": params, "id": self._next_id}
        self._next_id += 1
        seconds = REPLY_SECONDS if timeout_sec is None else timeout_sec + MARGIN_SECONDS
        deadline = time.monotonic() + seconds
        try:
            self._send(json.dumps(request).encode() + b"\n")
            line = self._receive_line(deadline, method)
        except OSError:
            raise self._lost(f"{method}: the server ended") from None
        try:
            reply = json.loads(line)
            if reply["jsonrpc"] != "2.0" or ("result" in reply) == ("error" in reply):
                raise ValueError
            if reply["id"] != request["id"]:
                raise MismatchedIdError(f"{method}: the answer is to another request")
            if "result" in reply:
                return reply["result"]
            error = JSONRPCError.from_json(f"calling method {method}", reply["error"])
        except (ValueError, TypeError, KeyError):
            raise MalformedReplyError(f"{method}: not a JSON-RPC 2.0 answer") from None
        raise error

    def _send(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[self._write_file.write(left) :]

    def _receive_line(self, deadline: float, method: str) -> bytes:
        end = self._received.find(b"\n")
        while end < 0:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self._read_file], [], [], left)[0]:
                raise self._lost(f"{method}: the server does not answer")
            data = os.read(self._read_file.fileno(), 1 << 16)
            if not data:
                raise self._lost(f"{method}: the server ended")
            if len(self._received) > _MAX_REPLY_BYTES:
                raise self._lost(f"{method}: the answer has no end")
            searched = len(self._received)
            self._received += data
            end = self._received.find(b"\n", searched)
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        return line

    def _lost(self, what: str) -> ConnectionShutdownError:
        if self._process is not None:
            self._process.kill()
        self.shutdown()
        return ConnectionShutdownError(what)


def instantiate_from_dir(project_dir: str | Path, debug: bool = False) -> ProjectAPIClient:
    """Starts the server in a project's or template's folder. What it prints goes to stderr."""
    folder = Path(project_dir).resolve()
    launcher, script = folder / SERVER_LAUNCH_SCRIPT_FILENAME, folder / SERVER_PYTHON_FILENAME
    if script.exists():
        command = [sys.executable, "-m", "vq_cortexm.micro.project_api", str(script)]
    elif launcher.exists():
        command = [str(launcher)]
    else:
        raise ProjectAPIServerNotFoundError(
            f"{project_dir}: neither {SERVER_PYTHON_FILENAME} nor {SERVER_LAUNCH_SCRIPT_FILENAME}"
        )
    server_reads, we_write = os.pipe()
    we_read, server_writes = os.pipe()
    arguments = ["--read-fd", str(server_reads), "--write-fd", str(server_writes)]
    try:
        process = subprocess.Popen(
            [*command, *arguments, *(["--debug"] if debug else [])],
            stdin=subprocess.DEVNULL,
            stdout=2,
            pass_fds=(server_reads, server_writes),
            cwd=folder,
        )
    except OSError as error:
        os.close(we_read)
        os.close(we_write)
        raise ConnectionShutdownError(f"{command[0]}: {error.strerror}") from None
    finally:
        os.close(server_reads)
        os.close(server_writes)
    return ProjectAPIClient(
        os.fdopen(we_read, "rb", buffering=0), os.fdopen(we_write, "wb", buffering=0), process
    )
