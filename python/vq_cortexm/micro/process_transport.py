"""A device that is a process of this computer: bytes over its standard input and output."""

from __future__ import annotations

import os
import select
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from ..errors import DeviceError
from .transport import IoTimeoutError, Line, Transport, TransportClosedError, TransportTimeouts

_END_SECONDS = 5.0
"""For a process that was told to end, until it is killed."""
_MESSAGE_BYTES = 4096
"""Of what the process says on its standard error stream; the rest is not read."""
_WRITE_BYTES = 4096
"""At once: a pipe that is ready takes as many."""


class ProcessTransport(Transport):
    """Starts `command` in `open` and ends it in `close`; its end is noticed at once.

    `name` is what errors call it.
    """

    def __init__(self, command: Sequence[str], *, name: str) -> None:
        self._command = list(command)
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None

    def timeouts(self) -> TransportTimeouts:
        """A process of this computer starts soon, unless the computer is very busy."""
        return TransportTimeouts(0.25, 30.0, 30.0)

    def line(self) -> Line:
        """Pipes; how fast the process works is not known."""
        return Line(1e7, 0.05, cycles_per_second=1e7)

    def open(self) -> None:
        """Starts the process; DeviceError if it cannot be started."""
        self.close()
        command, directory = self._prepare()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                cwd=directory,
                start_new_session=True,
            )
        except OSError as error:
            self.close()
            raise DeviceError(f"{self._name} does not start: {error.strerror}") from None
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)

    def close(self) -> None:
        """Ends the process: by the end of its input, or else by force."""
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.close()
            process.terminate()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
        if self._errors is not None:
            self._errors.close()
            self._errors = None

    @property
    def process_id(self) -> int:
        """Of the process; TransportClosedError if it is not open."""
        return self._running().pid

    def read(self, n: int, timeout_sec: float) -> bytes:
        """As `Transport.read`."""
        output = self._running().stdout
        assert output is not None
        if not _is_ready(output, select.POLLIN, timeout_sec):
            raise IoTimeoutError(f"{self._name} said nothing within {timeout_sec:g} s")
        data = os.read(output.fileno(), n)
        if not data:
            raise self._ended()
        return data

    def write(self, data: bytes, timeout_sec: float) -> None:
        """As `Transport.write`."""
        pipe = self._running().stdin
        assert pipe is not None
        until = time.monotonic() + timeout_sec
        while data:
            if not _is_ready(pipe, select.POLLOUT, until - time.monotonic()):
                raise IoTimeoutError(f"{self._name} did not take all within {timeout_sec:g} s")
            try:
                data = data[os.write(pipe.fileno(), data[:_WRITE_BYTES]) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise self._ended() from None

    def _prepare(self) -> tuple[list[str], Path | None]:
        """The command, and the folder that it is started in, if not this process's."""
        return self._command, None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise TransportClosedError(f"{self._name} is not open")
        return self._process

    def _ended(self) -> TransportClosedError:
        """With its status, and the first line that it said on its standard error stream."""
        process = self._running()
        assert self._errors is not None
        try:
            status = process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            return TransportClosedError(f"{self._name} closed its end")
        self._errors.seek(0)
        lines = self._errors.read(_MESSAGE_BYTES).decode(errors="replace").splitlines()
        said = [line.strip() for line in lines if line.strip() and "warning: " not in line]
        return TransportClosedError(
            f"{self._name} ended with status {status}" + (f": {said[0]}" if said else "")
        )


def _is_ready(file: IO[bytes], event: int, timeout_seconds: float) -> bool:
    """Whether `file` can be read or written, or its other end is gone, within the time."""
    poll = select.poll()
    poll.register(file, event)
    return bool(poll.poll(max(timeout_seconds, 0.0) * 1000))
