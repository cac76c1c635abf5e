"""How the command ends: a status and at most one line, also where nobody reads what it prints."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import traceback
from typing import Any

import click

from .errors import UsageError, VqError, first_line

_STREAMS = {"stdout": "standard output", "stderr": "standard error"}
_TERMINATED = 128 + signal.SIGTERM
_DEBUG = "run again with `vq-cortexm --debug` for the traceback"


def run_command(command: click.Command) -> None:
    """Runs it with this process' arguments; SystemExit with a status for everything that can go
    wrong."""
    # so that folders of `with` are removed; `serve` ends in its own way
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    _outlive_readers()
    debug = "--debug" in sys.argv
    try:
        command.main(prog_name="vq-cortexm", standalone_mode=False)
    except VqError as error:
        _fail(str(error), error.status, debug)
    except click.exceptions.Abort:
        _fail("interrupted", 130, debug)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
    except click.ClickException as error:
        _fail(error.format_message().replace("\n", " "), 2, debug)
    except OSError as error:
        _fail(_explain(error), 2, debug)
    except Exception as error:
        _fail(f"internal error: {type(error).__name__}: {first_line(error)}; {_DEBUG}", 2, debug)


class _Output(io.FileIO):
    """A standard stream that swallows what a closed pipe does not take: the reader has what it
    wants, and the command's status says what the command found."""

    def __init__(self, descriptor: int, called: str) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self._called = called

    def write(self, data: Any, /) -> Any:
        try:
            return super().write(data)
        except OSError as error:
            # what is still buffered would fail once more when Python ends
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if not isinstance(error, BrokenPipeError):
                raise OSError(error.errno, error.strerror, self._called) from None
            return memoryview(data).nbytes


def _outlive_readers() -> None:
    """click and rich would both end with status 1, which says that a check failed."""
    for name, called in _STREAMS.items():
        stream = getattr(sys, name)
        if stream is None:
            # closed by `>&-`
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        # another one than Python's is a caller's, as pytest's
        elif stream is getattr(sys, f"__{name}__") and not stream.isatty():
            output = io.BufferedWriter(_Output(stream.fileno(), called))
            how = {"line_buffering": stream.line_buffering, "errors": stream.errors}
            setattr(sys, name, io.TextIOWrapper(output, stream.encoding, **how))


def _explain(error: OSError) -> str:
    """What and where, in one line."""
    said = error.strerror or first_line(error)
    if error.filename is not None:
        return str(UsageError(f"{os.fsdecode(error.filename)}: {said}"))
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{said}, for what is written or in the temporary folder; TMPDIR names another one"
    return str(UsageError(f"{said}; {_DEBUG}"))


def _fail(message: str, status: int, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    click.echo(f"vq-cortexm: error: {message}", err=True)
    sys.exit(status)
