"""The errors a user may meet, each with the exit status the command line gives it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class VqError(Exception):
    """Base: `str(error)` is one line that says what, where and what would work.

    Names in it come from files, so what cannot be printed is shown as in a Python literal.
    """

    status = 2

    def __str__(self) -> str:
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in super().__str__())


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type where there is none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


class UsageError(VqError):
    """Bad usage: an unknown option, board, target or a bad input array."""


class ModelError(VqError):
    """A model file that cannot be read, or a model that is not supported."""


@contextmanager
def naming(model: Path | str) -> Iterator[None]:
    """Inside, a ModelError begins with the name of the model, a file's or one in words, if it does
    not already."""
    name = model if isinstance(model, str) else model.name
    try:
        yield
    except ModelError as error:
        text = str(error.args[0])
        if text.startswith((f"{name}: ", f"{model}: ")):
            raise
        raise ModelError(f"{name}: {text}") from error


class BudgetError(VqError):
    """A check failed: the model does not fit the part, or an output differs from the host's."""

    status = 1


class ToolError(VqError):
    """A system tool is missing; the message names it and how to install it."""

    status = 3


class DeviceError(VqError):
    """The emulator, board or link failed: fault, time-out, lost connection."""

    status = 4


class NoDeviceError(DeviceError):
    """Nothing is left to run on, which says nothing about what was to be run."""


class RunError(DeviceError):
    """A model's run returned `returned` in place of 0."""

    def __init__(self, message: str, returned: int) -> None:
        super().__init__(message)
        self.returned = returned
